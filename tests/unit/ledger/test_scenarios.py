"""The acceptance scenarios of the contract, as far as the ledger decides them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridsignal_schemas.messages import Decision, Direction, DispatchOrder, OrderState, RunMode
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.values import MW
from gridsignal_services.settlement.delivery import amount, deviation, share_of, wh_of
from tests.builders import an_option, utc
from tests.owning import next_records
from tests.unit.ledger.market import Market, told_decisions, told_orders


def test_scenario_1_twelve_megawatts_for_45_minutes_are_worth_810_euros() -> None:
    market = Market("acme")
    market.offer("acme", 12 * MW, "90", notice_s=60)
    market.close()
    market.answer("acme")
    market.run_until(utc("19:00"))
    order = market.order("acme").order
    assert market.state is RequestState.COMPLETED
    assert market.offer_state("acme") is OfferState.DELIVERED
    assert order.ends_at is not None
    assert order.price_per_mwh is not None
    seconds = int((order.ends_at - order.starts_at).total_seconds())
    delivered, _ = share_of(deviation(order.direction, 40 * MW, 28 * MW), 0, order.power_w)
    assert amount(delivered * seconds, order.price_per_mwh) == Decimal("810.0000")
    assert wh_of(delivered * seconds) == 9_000_000


@pytest.mark.parametrize(
    ("actual", "delivered", "deficiency", "settlement"),
    [(7, 2, 0, "14"), (8, 2, 0, "14"), (9, 1, 1, "-4"), (10, 0, 2, "-22"), (11, 0, 3, "-33")],
)
def test_scenario_2_the_worked_example_of_uftp(actual: int, delivered: int, deficiency: int, settlement: str) -> None:
    delivered_w, missing_w = share_of(deviation(Direction.LOAD_DECREASE, 10 * MW, actual * MW), 0, 2 * MW)
    assert (delivered_w, missing_w) == (delivered * MW, deficiency * MW)
    paid = amount(delivered_w * 900, Decimal(28)) - amount(missing_w * 900, Decimal(44))
    assert paid == Decimal(settlement)


def test_scenario_3_half_of_an_offer_with_a_floor_of_six_megawatts_is_refused() -> None:
    market = Market("acme", power_w=5 * MW)
    market.offer("acme", 10 * MW, min_power_w=6 * MW)
    market.close()
    assert market.state is RequestState.UNMET
    assert market.offered("acme").codes == ("MIN_POWER",)


def test_scenario_3_half_of_it_by_hand_is_refused_too() -> None:
    market = Market("acme")
    market.offer("acme", 10 * MW, min_power_w=6 * MW)
    assert market.add(market.by_hand(("acme", 5 * MW))).code == "NOT_AS_OFFERED"
    assert market.state is RequestState.OPEN


def test_scenario_3_six_megawatts_are_awarded_pro_rata() -> None:
    market = Market("acme", power_w=6 * MW)
    market.offer("acme", 10 * MW, "90", min_power_w=6 * MW)
    market.close()
    order = market.order("acme").order
    assert (order.power_w, order.price_per_mwh) == (6 * MW, Decimal(90))
    assert amount(order.power_w * 2700, Decimal(90)) == Decimal("405.0000")


def test_scenario_4_of_exclusive_options_only_one_is_ever_ordered() -> None:
    market = Market("acme", "volt")
    small = an_option(option="small", power_w=6 * MW, price_per_mwh=Decimal(50), divisible=False)
    large = an_option(option="large", power_w=11 * MW, price_per_mwh=Decimal(60), divisible=False)
    market.offer("acme", options=[small, large])
    market.offer("volt", 12 * MW, "80")
    market.close()
    assert market.ordered() == {"acme": 6 * MW, "volt": 6 * MW}
    market.answer("acme")
    market.answer("volt", "REFUSED")
    market.run_for(minutes=1)
    assert market.ordered() == {"acme": 6 * MW}  # its other option does not stand by


def test_scenario_4_two_options_of_one_offer_by_hand_are_refused_as_a_whole() -> None:
    market = Market("acme")
    market.offer("acme", options=[an_option(option=name, power_w=6 * MW) for name in ("all", "other")])
    clearing = market.by_hand(("acme", 6 * MW))
    twice = clearing.model_copy(
        update={"awards": [*clearing.awards, clearing.awards[0].model_copy(update={"option": "other"})]}
    )
    assert market.add(twice).code == "AWARDED_TWICE"
    assert not market.ledger.orders
    assert market.offer_state("acme") is OfferState.LIVE


def crossed(*, order_told_first: bool) -> Market:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "80")
    market.act()
    market.now = market.request.gate_closure_at
    for _ in range(3 if order_told_first else 2):  # the timer, the clearing, what it owes
        for record in next_records(market.ledger, market.now):
            market.add(record)
    market.withdraw("acme")
    return market


@pytest.mark.parametrize("order_told_first", [True, False])
def test_scenario_5_a_withdrawal_and_an_order_cross_and_end_the_same_in_both_orders(order_told_first: bool) -> None:
    market = crossed(order_told_first=order_told_first)
    heard = told_orders(market.act())
    assert market.offer_state("acme") is OfferState.WITHDRAWN
    assert market.order("acme").state is OrderState.CANCELLED
    assert market.order("acme").order.state is OrderState.CANCELLED
    assert market.ordered() == {"volt": 12 * MW}
    cancelled = [("acme", OrderState.CANCELLED, 12 * MW)] if order_told_first else []
    assert heard == [*cancelled, ("volt", OrderState.ISSUED, 12 * MW)]  # nobody hears of an order taken back unheard
    assert market.answer("acme", revision=1).code == "REVISION"
    market.replayed()


def test_scenario_5_the_same_decisions_reach_the_site_that_withdrew() -> None:
    for first in (True, False):
        market = crossed(order_told_first=first)
        to_acme = [decision for who, decision in told_decisions(market.act()) if who == "acme"]
        assert to_acme == [Decision.WITHDRAWN]


def test_scenario_6_the_second_award_beyond_the_headroom_is_refused_overcommitted() -> None:
    market = Market()
    market.site("acme", baseline_w=24 * MW)
    market.ask(power_w=10 * MW)
    market.ask(request_id="second", power_w=10 * MW, gate_closure_at=utc("17:02"), decision_deadline=utc("17:12"))
    market.offer("acme", 10 * MW)
    market.offer("acme", 10 * MW, offer_id="acme-second", request_id="second")
    market.act()
    assert market.ledger.offers["acme", "acme-second"].state is OfferState.LIVE  # both fit until one is awarded
    market.run_until(utc("17:02"))
    assert market.ordered() == {"acme": 10 * MW}
    second = market.ledger.offers["acme", "acme-second"]
    assert second.codes == ("OVERCOMMITTED",)
    assert market.ledger.requests["second"].state is RequestState.UNMET


def test_scenario_6_a_clearing_by_hand_beyond_the_headroom_is_refused_overcommitted() -> None:
    market = Market()
    market.site("acme", baseline_w=24 * MW)
    market.ask(power_w=10 * MW)
    market.ask(request_id="second", power_w=10 * MW)
    market.offer("acme", 10 * MW)
    market.offer("acme", 10 * MW, offer_id="acme-second", request_id="second")
    first, second = market.by_hand(), market.by_hand(request_id="second")
    assert market.add(first).accepted
    assert market.add(second).code == "OVERCOMMITTED"
    market.replayed()


def test_scenario_8_the_same_offer_again_gets_the_first_receipt_and_another_body_is_a_conflict() -> None:
    market = Market("acme")
    first = market.offer("acme")
    market.run_for(minutes=10)
    again = market.offer("acme")
    assert (again.accepted, again.duplicate) == (False, True)
    assert again.receipt == first.receipt
    assert market.offer("acme", price="91").code == "CONFLICT"
    assert market.offer("acme", price="91", revision=2).accepted
    assert market.offer("acme").receipt == first.receipt  # the first revision keeps its own for ever
    assert market.offered("acme").offer.revision == 2


def test_scenario_8_responses_withdrawals_and_cancellations_repeat_alike() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 6 * MW)
    market.offer("volt", 5 * MW)
    market.close()
    first = market.answer("acme", response_id="r1")
    assert market.answer("acme", response_id="r1").receipt == first.receipt
    assert market.answer("acme", "REFUSED", response_id="r1").code == "CONFLICT"
    withdrawn = market.withdraw("volt")
    assert market.withdraw("volt").receipt == withdrawn.receipt
    cancelled = market.cancel()
    market.run_for(minutes=1)
    assert market.cancel().receipt == cancelled.receipt


def test_scenario_11_a_derating_goes_to_the_standby_offers_in_merit_order() -> None:
    market = Market("acme", "volt", "hyper", "dear", ends_at=utc("20:00"))
    long = {"ends_at": utc("20:00"), "max_duration_s": 7200, "expires_at": utc("20:00")}
    for who, price in (("acme", "70"), ("dear", "110"), ("hyper", "100"), ("volt", "80")):
        market.offer(who, 12 * MW if who == "acme" else 3 * MW, price, **long)
    market.close()
    market.answer("acme")
    market.run_until(utc("18:10"))
    assert market.state is RequestState.ACTIVE
    assert [market.offer_state(who) for who in ("volt", "hyper", "dear")] == [OfferState.STANDBY] * 3
    market.answer("acme", "UNAVAILABLE", available_w=7 * MW)
    heard = told_orders(market.act())
    assert heard == [
        ("acme", OrderState.ACTIVE, 7 * MW),
        ("volt", OrderState.ISSUED, 3 * MW),
        ("hyper", OrderState.ISSUED, 2 * MW),
    ]
    assert market.order("volt").order.starts_at == utc("18:25")  # 18:10 + 5 min + 10 min
    assert market.ordered() == {"acme": 7 * MW, "volt": 3 * MW, "hyper": 2 * MW}
    assert market.offer_state("dear") is OfferState.STANDBY


@pytest.mark.parametrize("run_mode", [RunMode.LIVE, RunMode.TEST_ACTIVATION, RunMode.DRY_RUN])
def test_scenario_13_the_run_mode_reaches_every_order(run_mode: RunMode) -> None:
    market = Market("acme", "volt", run_mode=run_mode)
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "80")
    orders = [record for record in market.close() if isinstance(record, DispatchOrder)]
    orders += [record for record in market.run_for(minutes=6) if isinstance(record, DispatchOrder)]
    assert [order.participant for order in orders] == ["acme", "acme", "volt"]
    assert {order.run_mode for order in orders} == {run_mode}


def test_scenario_13_a_dry_run_takes_no_headroom_from_what_is_real() -> None:
    market = Market()
    market.site("acme", baseline_w=24 * MW)
    market.ask(run_mode="DRY_RUN", power_w=10 * MW)
    market.ask(request_id="real", power_w=10 * MW)
    market.offer("acme", 10 * MW)
    market.offer("acme", 10 * MW, offer_id="acme-real", request_id="real")
    assert market.add(market.by_hand()).accepted
    assert market.add(market.by_hand(request_id="real")).accepted
