"""Offers that stand for a product, and a request that calls them at once: who is called, who is not, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gridsignal_schemas.messages import (
    Clearing,
    DailyHours,
    Decision,
    DispatchOrder,
    FlexOffer,
    OfferDecision,
    PinnedRule,
    Record,
    StandingTerms,
)
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.products import SHIPPED
from gridsignal_services.settlement.pinned import pinned
from gridsignal_services.settlement.rules import SettlementRule
from tests.builders import (
    OPERATOR,
    a_dispatch_request,
    a_flex_offer,
    a_site_registration,
    an_offer_withdrawal,
    an_option,
    utc,
)
from tests.unit.ledger.market import Market

EMERGENCY = SHIPPED["EMERGENCY_SHED"].terms
assert EMERGENCY is not None
FAST: dict[str, Any] = {
    "ramp_down_w_per_min": 20 * MW,
    "ramp_up_w_per_min": 20 * MW,
    "notice_s": 0,
    "full_activation_s": 120,
    "min_duration_s": 0,
    "max_duration_s": 3600,
}


def stands(market: Market, who: str, power_w: int = 6 * MW, price: str = "90", **changes: Any) -> Outcome:
    """An offer of a participant that stands for emergencies, all day long."""
    of_terms = {name: changes.pop(name) for name in list(changes) if name in StandingTerms.model_fields}
    of_offer = {name: changes.pop(name) for name in list(changes) if name in FlexOffer.model_fields}
    whole_day = {"starts_at": utc("00:00"), "ends_at": utc("23:59"), "min_power_w": 0}
    option = an_option(power_w=power_w, price_per_mwh=price, **whole_day | FAST | changes)
    fields: dict[str, Any] = {
        "offer_id": f"{who}-stands",
        "participant": who,
        "site": f"{who}-1",
        "request_id": None,
        "request_revision": None,
        "flexibility": {"kind": "SHED", "workload": "OTHER"},
        "expires_at": utc("23:59"),
        "options": [option],
        "standing": StandingTerms(**{"product": "EMERGENCY_SHED", "currency": "EUR"} | of_terms),
    }
    return market.add(a_flex_offer(**fields | of_offer), f"participant:{who}")


def emergency(market: Market, request_id: str = "e1", **changes: Any) -> list[Record]:
    """Load off, as soon as it can be: what its owner writes at that moment."""
    now = market.now
    fields: dict[str, Any] = {
        "request_id": request_id,
        "product": "EMERGENCY_SHED",
        "product_terms": EMERGENCY.pinned,
        **EMERGENCY.usual(),
        "gate_closure_at": now + timedelta(seconds=5),
        "decision_deadline": now + timedelta(seconds=15),
        "starts_at": now + timedelta(seconds=150),
        "ends_at": now + timedelta(minutes=30),
        "min_quantity_w": 0,
        "price_cap_per_mwh": None,
    }
    request = a_dispatch_request(**fields | changes)
    outcome = market.add(request, f"operator:{request.operator}")
    assert outcome.accepted, outcome.faults
    return market.act()


def a_rule(**terms: Any) -> PinnedRule:
    """A settlement rule that a request brings."""
    return pinned(SettlementRule(name="ours", version=1, **terms))


def ordered(records: list[Record]) -> dict[str, int]:
    return {each.participant: each.power_w for each in records if isinstance(each, DispatchOrder)}


def why(records: list[Record], who: str) -> list[str]:
    found = [each for each in records if isinstance(each, OfferDecision) and each.participant == who]
    return found[-1].codes if found else []


def turned_down(market: Market, request_id: str) -> dict[str | None, list[str]]:
    """Why a request has not called which standing offer."""
    called = map(market.ledger.offers.__getitem__, market.ledger.requests[request_id].offers)
    return {each.offer.called_from: list(each.codes) for each in called if each.state is OfferState.REJECTED}


@pytest.fixture
def market() -> Market:
    made = Market()
    for who in ("acme", "volt", "zen"):
        made.site(who)
    return made


def test_an_emergency_is_cleared_at_its_own_moment_from_what_stands_the_cheapest_first(market: Market) -> None:
    for who, price in (("acme", "120"), ("volt", "80"), ("zen", "100")):
        assert not stands(market, who, price=price).faults
    market.act()

    records = emergency(market, power_w=10 * MW)

    assert market.now == utc("16:00")  # no gate was waited for
    assert ordered(records) == {"volt": 6 * MW, "zen": 4 * MW}
    assert why(records, "acme") == ["OUTBID"]
    assert market.ledger.requests["e1"].state is RequestState.AWARDED
    assert [each.reason for each in records if isinstance(each, Clearing)] == ["called at once from offers that stand"]


def test_it_goes_on_as_every_order_and_silence_calls_the_next(market: Market) -> None:
    stands(market, "volt", price="80")
    stands(market, "zen", price="100")
    (order,) = [each for each in emergency(market, power_w=6 * MW) if isinstance(each, DispatchOrder)]
    assert order.respond_by == market.now + timedelta(seconds=10)

    then = market.run_until(order.respond_by)

    assert {each.participant: each.state for each in then if isinstance(each, DispatchOrder)} == {
        "volt": "VOIDED",
        "zen": "ISSUED",
    }


def test_a_standing_offer_stands_on_and_is_called_again_once_its_site_has_rested(market: Market) -> None:
    stands(market, "acme", rest_s=3600)
    assert ordered(emergency(market, power_w=4 * MW)) == {"acme": 4 * MW}
    market.reply(market.ledger.orders[market.ledger.requests["e1"].orders[0]].order, "ACCEPTED")
    market.run_until(utc("16:31"))

    assert why(emergency(market, "e2", power_w=4 * MW), "acme") == ["TOO_SOON"]
    market.run_until(utc("17:31"))
    assert ordered(emergency(market, "e3", power_w=4 * MW)) == {"acme": 4 * MW}
    stood = market.ledger.offers["acme", "acme-stands"]
    assert (stood.state, stood.order_id) == (OfferState.LIVE, None)


def test_it_is_called_no_more_often_in_a_day_than_it_says(market: Market) -> None:
    stands(market, "acme", max_activations_per_day=1)
    assert ordered(emergency(market, power_w=4 * MW)) == {"acme": 4 * MW}
    market.reply(market.ledger.orders[market.ledger.requests["e1"].orders[0]].order, "ACCEPTED")
    market.run_until(utc("18:00"))
    assert why(emergency(market, "e2", power_w=4 * MW), "acme") == ["FREQUENCY_EXHAUSTED"]


@pytest.mark.parametrize(
    "changes",
    [
        {"hours": [DailyHours(from_s=17 * 3600, to_s=22 * 3600)]},
        {"hours": [DailyHours(from_s=0, to_s=16 * 3600 + 60)]},
        {"currency": "GBP"},
        {"full_activation_s": 300},
        {"notice_s": 60},
        {"min_duration_s": 3600},
    ],
)
def test_a_request_outside_its_profile_passes_it_over(market: Market, changes: dict[str, Any]) -> None:
    stands(market, "acme", **changes)
    records = emergency(market, power_w=4 * MW)
    assert (ordered(records), why(records, "acme")) == ({}, ["OUTSIDE_PROFILE"])


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        ({"pricing": "UNPAID"}, ["OUTSIDE_PROFILE"]),
        ({"pricing": "REGULATED", "price_cap_per_mwh": "499.99"}, ["PRICE_CAP", "OUTSIDE_PROFILE"]),
        ({"settlement": a_rule(pricing="UNPAID")}, ["OUTSIDE_PROFILE"]),
        (
            {
                "settlement": a_rule(regulated_price_per_mwh="499.99"),
                "pricing": "REGULATED",
                "price_cap_per_mwh": "600",
            },
            ["OUTSIDE_PROFILE"],
        ),
        ({"deficiency_price_per_mwh": "500.01"}, ["OUTSIDE_PROFILE"]),
        ({"pricing": "UNPAID", "firmness": "MANDATORY", "deficiency_price_per_mwh": "100000"}, ["OUTSIDE_PROFILE"]),
    ],
)
def test_nobody_is_called_for_less_than_its_price_or_charged_more_than_that(
    market: Market, asked: dict[str, Any], codes: list[str]
) -> None:
    stands(market, "acme", price="500")
    records = emergency(market, power_w=4 * MW, **asked)
    assert (ordered(records), why(records, "acme")) == ({}, codes)


@pytest.mark.parametrize(
    "asked",
    [
        {"pricing": "PAY_AS_CLEARED", "deficiency_price_per_mwh": "500"},
        {"pricing": "REGULATED", "price_cap_per_mwh": "500"},
        {"settlement": a_rule(deficiency_price_per_mwh="2000")},
    ],
)
def test_who_is_surely_paid_its_price_is_called(market: Market, asked: dict[str, Any]) -> None:
    stands(market, "acme", price="500")
    assert ordered(emergency(market, power_w=4 * MW, **asked)) == {"acme": 4 * MW}


def test_a_site_that_belongs_to_another_by_now_is_not_called(market: Market) -> None:
    stands(market, "acme")
    assert market.add(a_site_registration(site="acme-1", participant="volt", revision=2)).accepted
    records = emergency(market, power_w=4 * MW)
    assert (ordered(records), market.ledger.requests["e1"].offers) == ({}, [])


@pytest.mark.parametrize("hours", [(16 * 3600, 17 * 3600), (15 * 3600, 2 * 3600)])
def test_in_its_hours_which_may_go_over_midnight_it_is_called(market: Market, hours: tuple[int, int]) -> None:
    stands(market, "acme", hours=[DailyHours(from_s=hours[0], to_s=hours[1])])
    assert ordered(emergency(market, power_w=4 * MW)) == {"acme": 4 * MW}


def test_what_the_site_has_not_left_is_passed_over_and_a_smaller_one_is_called(market: Market) -> None:
    for name, power_w, price in (("large", 20 * MW, "80"), ("second", 20 * MW, "90"), ("small", 10 * MW, "100")):
        stands(market, "acme", power_w, price, offer_id=name)
    assert ordered(emergency(market, power_w=18 * MW)) == {"acme": 18 * MW}
    assert ordered(emergency(market, "e2", power_w=10 * MW)) == {"acme": 10 * MW}  # of 28 MW above its minimum load
    assert turned_down(market, "e2")["second"] == ["OVERCOMMITTED"]


def test_two_emergencies_at_a_time_do_not_get_the_same_power(market: Market) -> None:
    stands(market, "acme", 10 * MW)
    (order,) = [each for each in emergency(market, power_w=10 * MW) if isinstance(each, DispatchOrder)]
    second = emergency(market, "e2", power_w=10 * MW)
    assert (ordered(second), why(second, "acme")) == ({}, ["OVERCOMMITTED"])
    assert ordered(emergency(market, "dry", power_w=10 * MW, run_mode="DRY_RUN")) == {}

    market.reply(order, "REFUSED")
    market.act()
    assert ordered(emergency(market, "e3", power_w=10 * MW)) == {"acme": 10 * MW}


def test_whose_power_was_ordered_meanwhile_is_passed_over_at_the_clearing(market: Market) -> None:
    stands(market, "acme", 10 * MW)
    by_hand = {"power_w": 10 * MW, "clearing_mode": "BY_HAND"}
    emergency(market, **by_hand)
    emergency(market, "e2", **by_hand)

    for request_id, got in (("e1", {"acme": 10 * MW}), ("e2", {})):
        clearing = market.by_hand(request_id=request_id)
        assert market.add(clearing, f"operator:{OPERATOR}").accepted
        assert ordered(market.act()) == got
    assert [(each.participant, each.code) for each in clearing.rejected] == [("acme", "OVERCOMMITTED")]


def test_one_after_the_other_they_do(market: Market) -> None:
    stands(market, "acme", 10 * MW)
    first = emergency(market, power_w=10 * MW)
    then = {"starts_at": market.now + timedelta(minutes=30), "ends_at": market.now + timedelta(minutes=60)}
    assert ordered(first) == ordered(emergency(market, "e2", power_w=10 * MW, **then)) == {"acme": 10 * MW}


@pytest.mark.parametrize("run_mode", ["LIVE", "DRY_RUN"])
def test_nobody_reads_from_what_is_called_how_much_others_have_ordered(market: Market, run_mode: str) -> None:
    stands(market, "acme", 20 * MW, offer_id="for-others")
    emergency(market, power_w=17 * MW, visibility="LISTED", audience=["acme"])
    stands(market, "acme", 20 * MW, offer_id="another")

    emergency(market, "e2", operator="tso-two", power_w=MW, run_mode=run_mode)

    called = map(market.ledger.offers.__getitem__, market.ledger.requests["e2"].offers)
    assert {option.power_w for each in called for option in each.offer.options} == {20 * MW}


def test_who_may_not_see_the_request_is_not_called_and_one_of_another_product_is_an_auction(market: Market) -> None:
    stands(market, "acme")
    assert ordered(emergency(market, power_w=MW, visibility="LISTED", audience=["volt"])) == {}
    assert market.ledger.requests["e1"].offers == []
    assert market.ask().accepted
    assert market.ledger.requests["e1"].offers == []


def test_what_is_taken_back_or_expired_is_called_no_more_and_takes_its_standby_along(market: Market) -> None:
    stands(market, "volt", price="80")
    stands(market, "acme", price="100")
    emergency(market, power_w=6 * MW)
    back = market.add(
        an_offer_withdrawal(offer_id="acme-stands", participant="acme", site="acme-1", request_id=None),
        "participant:acme",
    )
    assert back.accepted
    called = map(market.ledger.offers.__getitem__, market.ledger.requests["e1"].offers)
    states = {offer.offer.participant: offer.state for offer in called}
    assert states == {"volt": OfferState.TENTATIVE, "acme": OfferState.WITHDRAWN}
    market.run_until(utc("23:59"))
    assert market.ledger.book.standing_offers == {}
    market.run_until(utc("23:59") + timedelta(days=2))
    market.ask(request_id="later")
    assert not [key for key in market.ledger.offers if key[1].endswith("-stands")]


def test_an_amendment_takes_its_place_and_one_that_breaks_rules_leaves_nothing_standing(market: Market) -> None:
    stands(market, "acme")
    assert not stands(market, "acme", power_w=3 * MW, revision=2).faults
    assert ordered(emergency(market, power_w=10 * MW)) == {"acme": 3 * MW}
    assert stands(market, "acme", revision=3, called_from="x").code == "STANDING"
    assert market.ledger.book.standing_offers == {}


@pytest.mark.parametrize("changes", [{"power_w": 3 * MW}, {"expires_at": utc("15:59")}], ids=["smaller", "rejected"])
def test_an_amendment_takes_back_what_was_called_before_and_not_ordered(
    market: Market, changes: dict[str, Any]
) -> None:
    stands(market, "volt", price="80")
    stands(market, "acme", price="100")
    (order,) = [each for each in emergency(market, power_w=6 * MW) if isinstance(each, DispatchOrder)]

    stands(market, "acme", price="100", revision=2, **changes)
    stands(market, "volt", price="80", revision=2, **changes)

    called = map(market.ledger.offers.__getitem__, market.ledger.requests["e1"].offers)
    states = {offer.offer.participant: offer.state for offer in called}
    assert states == {"volt": OfferState.TENTATIVE, "acme": OfferState.WITHDRAWN}
    told = [each for each in market.act() if isinstance(each, OfferDecision) and each.request_id == "e1"]
    assert [(each.participant, each.decision) for each in told] == [("acme", Decision.WITHDRAWN)]
    assert ordered(market.run_until(order.respond_by)) == {"volt": 6 * MW}  # voided, and nobody is next


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"called_from": "x"}, "STANDING"),
        ({"standing": None}, "REQUEST_UNKNOWN"),
        ({"site": "volt-1"}, "SITE_UNKNOWN"),
        ({"expires_at": utc("15:59")}, "EXPIRED"),
    ],
)
def test_what_can_not_stand_is_rejected(market: Market, changes: dict[str, Any], code: str) -> None:
    outcome = stands(market, "acme", **changes)
    assert [each.code for each in outcome.faults] == [code]
    assert market.ledger.book.standing_offers == {}
    assert [each.decision for each in market.act() if isinstance(each, OfferDecision)] == [Decision.REJECTED]


def test_so_many_of_a_participant_stand_and_no_more(market: Market) -> None:
    for number in range(LIMITS.offers_for_products):
        assert not stands(market, "acme", offer_id=f"o{number}").faults
    assert stands(market, "acme", offer_id="more").code == "OFFERS_STANDING"
    assert not stands(market, "volt").faults


def test_what_is_called_takes_no_room_of_what_its_participant_sends(market: Market) -> None:
    stands(market, "acme")
    emergency(market, power_w=MW)
    assert (market.ledger.book.standing["acme"], market.ledger.book.called["acme", OPERATOR]) == (0, 1)
    market.cancel("e1")
    assert market.ledger.book.called["acme", OPERATOR] == 0


def test_an_operator_calls_so_many_of_a_participant_and_leaves_others_theirs(market: Market) -> None:
    stands(market, "acme")
    stands(market, "volt")
    market.ledger.book.called["acme", OPERATOR] = LIMITS.offers_called
    assert ordered(emergency(market, power_w=4 * MW)) == {"volt": 4 * MW}
    assert ordered(emergency(market, "e2", operator="tso-two", power_w=4 * MW)) == {"acme": 4 * MW}


def test_who_has_taken_one_back_may_have_another_stand(market: Market) -> None:
    for number in range(LIMITS.offers_for_products):
        stands(market, "acme", offer_id=f"o{number}", product=f"product-{number % 3}")
    back = an_offer_withdrawal(offer_id="o1", participant="acme", site="acme-1", request_id=None)
    assert market.add(back, "participant:acme").accepted
    assert not stands(market, "acme", offer_id="o1-again").faults
    assert stands(market, "acme", offer_id="more").code == "OFFERS_STANDING"
    assert "o1" not in {key[1] for keys in market.ledger.book.standing_offers.values() for key in keys}
