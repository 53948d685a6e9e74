"""Orders: what a site may answer, what an operator may change, and what follows from it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridsignal_schemas.messages import Decision, OrderState
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.entry import Outcome
from tests.builders import an_offer_decision, utc
from tests.owning import next_records
from tests.unit.ledger import stages
from tests.unit.ledger.market import OPERATORS_NAME, Market, told_decisions, told_orders
from tests.unit.ledger.stages import closed, running

# --- answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "changes", "code"),
    [
        ("ACCEPTED", {"accepted_w": 0}, "ACCEPTED_W"),
        ("ACCEPTED", {"accepted_w": 12 * MW + 1}, "ACCEPTED_W"),
        ("ACCEPTED", {"revision": 2}, "REVISION"),
        ("ACCEPTED", {"order_id": "nowhere"}, "ORDER_UNKNOWN"),
        ("ACCEPTED", {"participant": "volt"}, "ORDER_UNKNOWN"),
        ("ACCEPTED", {"request_id": "another"}, "ORDER_UNKNOWN"),
        ("ACCEPTED", {"zone": "FR"}, "ORDER_UNKNOWN"),
        ("UNKNOWN", {}, "UNKNOWN_SYMBOL"),
        ("STARTED", {}, "ILLEGAL_STATE"),
        ("SUSTAINING", {}, "ILLEGAL_STATE"),
        ("COMPLETED", {}, "ILLEGAL_STATE"),
        ("UNAVAILABLE", {"available_w": 12 * MW}, "AVAILABLE_W"),
        ("UNAVAILABLE", {"available_w": 1 * MW}, "ILLEGAL_STATE"),
    ],
)
def test_an_answer_that_makes_no_sense_leaves_no_trace(response: str, changes: dict[str, Any], code: str) -> None:
    market = closed()
    assert market.answer("acme", response, response_id="r1", **changes).code == code
    assert market.order("acme").state is OrderState.ISSUED
    assert market.answer("acme", response_id="r1").accepted


def test_a_partial_acceptance_awards_the_rest_to_others() -> None:
    market = closed()
    market.answer("acme", accepted_w=5 * MW)
    heard = market.act()
    assert market.ordered() == {"acme": 5 * MW, "volt": 7 * MW}
    assert ("acme", Decision.AWARDED) in told_decisions(heard)
    assert market.order("acme").order.power_w == 12 * MW  # the order stands as it was written
    assert market.order("acme").power_w == 5 * MW


def test_a_refusal_awards_all_of_it_to_others() -> None:
    market = closed()
    market.answer("acme", "REFUSED")
    heard = market.act()
    assert market.ordered() == {"volt": 12 * MW}
    assert ("acme", Decision.FAILED_AWARD) in told_decisions(heard)


def test_a_site_that_breaks_off_defaults_and_is_replaced() -> None:
    market = running(ends_at=utc("19:30"))
    market.answer("acme", "UNAVAILABLE", available_w=0)
    market.act()
    assert market.order("acme").state is OrderState.ABORTED
    assert market.offer_state("acme") is OfferState.DEFAULTED


def test_a_site_that_completes_early_leaves_the_rest_to_others() -> None:
    market = Market("acme", "volt", ends_at=utc("20:00"))
    for who in ("acme", "volt"):
        market.offer(who, 12 * MW, "70", ends_at=utc("20:00"), max_duration_s=7200, expires_at=utc("20:00"))
    market.close()
    market.answer("acme")
    market.run_until(utc("18:20"))
    market.answer("acme", "COMPLETED")
    market.act()
    assert market.state is RequestState.ACTIVE
    assert market.ordered() == {"volt": 12 * MW}


def test_an_acknowledgement_of_a_cancellation_is_received() -> None:
    market = closed()
    market.cancel()
    market.act()
    assert market.answer("acme", "RECEIVED").accepted
    assert market.order("acme").state is OrderState.CANCELLED


# --- extension and release --------------------------------------------------------------------------------------


def extendable(**option: Any) -> Market:
    market = Market("acme")
    market.offer("acme", 12 * MW, ends_at=utc("19:30"), max_duration_s=5400, **option)
    market.close()
    market.answer("acme")
    market.run_until(utc("18:20"))
    return market


def test_an_extension_within_the_offer_moves_the_end() -> None:
    market = extendable()
    outcome = market.change("acme", ends_at=utc("19:30"))
    assert outcome.accepted
    assert outcome.audience.sites == {"acme-1"}
    again = market.change("acme", revision=2, ends_at=utc("19:30"))
    assert (again.duplicate, again.receipt) == (True, outcome.receipt)
    market.run_until(utc("19:29"))
    assert market.order("acme").state is OrderState.ACTIVE
    market.run_until(utc("19:30"))
    assert market.state is RequestState.COMPLETED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ends_at": utc("19:31")}, "NOT_AS_OFFERED"),
        ({"ends_at": utc("18:18")}, "END"),
        ({"ends_at": None}, "END"),
        ({"power_w": 13 * MW}, "NOT_CHANGEABLE"),
        ({"price_per_mwh": Decimal(1)}, "NOT_CHANGEABLE"),
        ({"revision": 4}, "REVISION"),
        ({"state": "COMPLETED"}, "ILLEGAL_STATE"),
    ],
)
def test_an_order_is_changed_only_in_its_end_and_only_within_the_offer(changes: dict[str, Any], code: str) -> None:
    market = extendable()
    before = market.order("acme").order
    assert market.change("acme", **changes).code == code
    assert market.order("acme").order is before


def test_an_extension_does_not_promise_what_the_site_has_promised_elsewhere() -> None:
    market = Market("acme")
    market.ask(request_id="later", starts_at=utc("18:45"), ends_at=utc("19:30"), power_w=20 * MW)
    long = {"ends_at": utc("19:30"), "max_duration_s": 5400}
    market.offer("acme", 12 * MW, **long)
    market.offer("acme", 20 * MW, offer_id="acme-later", request_id="later", **long)
    market.close()
    for tracked in list(market.ledger.orders.values()):
        market.reply(tracked.order, "ACCEPTED")
    market.run_until(utc("18:20"))
    first = next(iter(market.ledger.orders.values()))
    assert first.order.request_id != "later"
    assert market.change(first.order, ends_at=utc("19:00")).code == "OVERCOMMITTED"


def test_a_partly_accepted_order_can_be_extended_with_what_was_accepted() -> None:
    market = Market("acme")
    market.offer("acme", 12 * MW, ends_at=utc("19:30"), max_duration_s=5400)
    market.close()
    market.answer("acme", accepted_w=5 * MW)
    market.run_until(utc("18:20"))
    assert market.change("acme", ends_at=utc("19:00"), power_w=12 * MW).code == "NOT_CHANGEABLE"
    assert market.change("acme", ends_at=utc("19:00")).accepted
    assert market.order("acme").power_w == 5 * MW


def test_a_release_now_is_logged_a_moment_later_and_ends_the_order() -> None:
    market = extendable()
    market.now = utc("18:20:02")
    assert market.change("acme", ends_at=utc("18:20")).accepted
    market.act()
    assert market.state is RequestState.COMPLETED
    assert market.offer_state("acme") is OfferState.DELIVERED


def cancelled(market: Market, **changes: Any) -> Outcome:
    return market.change("acme", state=OrderState.CANCELLED, reason="the line is back", **changes)


@pytest.mark.parametrize("answered", [True, False])
def test_an_order_is_cancelled_alone_before_it_begins(answered: bool) -> None:
    market = Market("acme", "volt")
    market.offer("acme", 6 * MW, "70")
    market.offer("volt", 6 * MW, "80")
    market.close()
    if answered:
        market.answer("acme")
    market.answer("volt")
    outcome = cancelled(market)
    assert (outcome.accepted, outcome.audience.sites) == (True, {"acme-1"})
    assert cancelled(market, revision=2).duplicate
    heard = market.act()
    assert (market.order("acme").state, market.offer_state("acme")) == (OrderState.CANCELLED, OfferState.RELEASED)
    assert ("acme", Decision.RELEASED) in told_decisions(heard)
    assert market.ordered() == {"volt": 6 * MW}  # nobody is asked for what was let go
    assert market.state is not RequestState.CANCELLED


def test_a_request_whose_only_order_is_cancelled_waits_for_a_person_who_can_call_others() -> None:
    market = closed()
    assert cancelled(market).accepted
    heard = market.run_until(utc("17:20"))
    assert (market.state, market.ordered(), told_orders(heard)) == (RequestState.AWARDED, {}, [])
    assert market.offer_state("volt") is OfferState.STANDBY
    assert market.add(market.by_hand(), OPERATORS_NAME).accepted
    market.act()
    assert market.ordered() == {"volt": 12 * MW}


@pytest.mark.parametrize("meanwhile", ["the period", "an expiry", "a withdrawal", "nobody"])
def test_a_request_whose_only_order_is_cancelled_is_unmet_once_nobody_can_be_called(meanwhile: str) -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "70")
    if meanwhile != "nobody":
        market.offer("volt", 12 * MW, "80", expires_at=utc("17:30" if meanwhile == "an expiry" else "20:00"))
    market.close()
    assert cancelled(market).accepted
    if meanwhile == "a withdrawal":
        assert market.withdraw("volt").accepted
    market.run_until(utc("18:44"))
    assert (market.state is RequestState.UNMET) == (meanwhile != "the period")
    market.run_until(utc("18:45"))
    assert market.state is RequestState.UNMET


@pytest.mark.parametrize(
    ("until", "changes", "code"),
    [
        ("18:20", {}, "ILLEGAL_STATE"),
        ("20:00", {}, "ILLEGAL_STATE"),
        ("17:59", {"ends_at": utc("18:10")}, "NOT_CHANGEABLE"),
        ("17:59", {"power_w": MW}, "NOT_CHANGEABLE"),
        ("17:59", {"revision": 4}, "REVISION"),
    ],
)
def test_what_has_begun_is_not_cancelled_and_nothing_else_changes(
    until: str, changes: dict[str, Any], code: str
) -> None:
    market = closed()
    market.answer("acme")
    market.run_until(utc(until))
    before = market.order("acme").order
    refused = cancelled(market, **changes)
    assert (refused.code, market.order("acme").order) == (code, before)
    assert "got ACTIVE; release it instead" in refused.faults[0].message or until != "18:20"


def test_an_order_that_is_over_cannot_be_changed() -> None:
    market = extendable()
    market.run_until(utc("19:00"))
    before = market.order("acme").order
    assert market.change("acme", ends_at=utc("19:30")).code == "ILLEGAL_STATE"
    assert market.order("acme").order is before


def test_nobody_else_changes_an_order_or_decides_an_offer() -> None:
    market = extendable()
    forged = market.order("acme").order.model_copy(update={"revision": 2, "ends_at": utc("19:30")})
    for principal in ("operator:supplier-one", "participant:acme", "service:dispatch"):
        assert market.add(forged, principal).code == "NOT_OWED"
    assert market.add(an_offer_decision(offer_id="acme-offer", participant="acme")).code == "NOT_OWED"


def test_an_order_answered_before_it_was_announced_is_still_announced_as_it_stands() -> None:
    market = stages.opened()
    market.now = market.request.gate_closure_at
    for _ in range(2):  # the timer, the clearing; nothing is announced yet
        for record in next_records(market.ledger, market.now):
            market.add(record)
    assert market.answer("acme").accepted  # order ids can be worked out by who knows the rule
    assert market.answer("acme", "UNAVAILABLE", available_w=5 * MW).accepted
    assert ("acme", OrderState.ACCEPTED, 5 * MW) in told_orders(market.act())
