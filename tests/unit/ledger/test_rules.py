"""Every rule of requests and offers: broken alone it gives its own code, broken together all are told at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridsignal_schemas.messages import Decision, OfferDecision, Timer, TimerFired
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.values import MW
from tests.builders import REQUEST_ID, a_flexibility, a_rebound, an_option, utc
from tests.unit.ledger.market import Market

BROKEN_REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("UNKNOWN_SYMBOL", {"direction": "UNKNOWN"}),
    ("UNKNOWN_SYMBOL", {"run_mode": "UNKNOWN"}),
    ("UNKNOWN_SYMBOL", {"firmness": "UNKNOWN"}),
    ("UNKNOWN_SYMBOL", {"pricing": "UNKNOWN"}),
    ("UNKNOWN_SYMBOL", {"visibility": "UNKNOWN"}),
    ("MIN_QUANTITY", {"min_quantity_w": 13 * MW}),
    ("STEP", {"step_w": 5 * MW}),
    ("PRICE_CAP", {"pricing": "REGULATED", "price_cap_per_mwh": None}),
    ("GATE_CLOSURE", {"gate_closure_at": utc("16:00")}),
    ("DECISION_DEADLINE", {"decision_deadline": utc("17:00")}),
    ("START", {"starts_at": utc("17:20")}),
    ("START", {"starts_at": utc("2025-08-12T18:00"), "ends_at": utc("2025-08-12T19:00")}),
    ("END", {"ends_at": utc("18:00")}),
    ("END", {"ends_at": utc("2024-07-12T18:00")}),
]


@pytest.mark.parametrize(("code", "changes"), BROKEN_REQUESTS)
def test_a_request_that_breaks_one_rule_gets_its_code(code: str, changes: dict[str, Any]) -> None:
    market = Market()
    outcome = market.ask(**changes)
    assert [fault.code for fault in outcome.faults] == [code]
    assert not market.ledger.requests
    assert market.ledger.book.timers.next() is None


def test_a_request_that_breaks_many_rules_is_told_all_of_them() -> None:
    outcome = Market().ask(
        direction="UNKNOWN",
        min_quantity_w=13 * MW,
        step_w=5 * MW,
        pricing="REGULATED",
        price_cap_per_mwh=None,
        gate_closure_at=utc("15:00"),
        decision_deadline=utc("14:00"),
        starts_at=utc("14:10"),
        ends_at=utc("14:00"),
    )
    told = {fault.code for fault in outcome.faults}
    expected = {"UNKNOWN_SYMBOL", "MIN_QUANTITY", "STEP", "PRICE_CAP", "GATE_CLOSURE", "DECISION_DEADLINE"}
    assert told == expected | {"START", "END"}


def option(**changes: Any) -> dict[str, Any]:
    return {"options": [an_option(**changes)]}


BROKEN_OFFERS: list[tuple[str, dict[str, Any]]] = [
    ("EXPIRED", {"expires_at": utc("16:00")}),
    ("OPTION_NAMES", {"options": [an_option(), an_option()]}),
    ("WINDOW", option(starts_at=utc("19:00"), ends_at=utc("20:00"))),
    ("WINDOW", option(starts_at=utc("17:00"), ends_at=utc("18:00"))),
    ("DURATION", option(min_duration_s=1800, max_duration_s=900)),
    ("DURATION", option(min_duration_s=0, max_duration_s=0)),
    ("MIN_POWER", option(min_power_w=13 * MW)),
    ("LEVELS", option(levels_w=[])),
    ("LEVELS", option(levels_w=[13 * MW])),
    ("LEVELS", option(levels_w=[5 * MW])),
    ("LEVELS", option(levels_w=[9 * MW], divisible=False)),
    ("UNKNOWN_SYMBOL", {"flexibility": a_flexibility(kind="UNKNOWN")}),
    ("UNKNOWN_SYMBOL", {"flexibility": a_flexibility(workload="UNKNOWN")}),
    ("COMPLETE_BY", {"flexibility": a_flexibility(complete_by=None)}),
    ("REBOUND", {"flexibility": a_flexibility(rebound=None)}),
    ("REBOUND", {"flexibility": a_flexibility(rebound=a_rebound(latest=utc("19:00")))}),
    ("COUNTERPART", {"flexibility": a_flexibility(kind="SHIFT_SITE")}),
    ("COUNTERPART", {"flexibility": a_flexibility(kind="SHIFT_SITE", shift_to_zone="FR")}),
    ("SITE_UNKNOWN", {"site": "volt-1"}),
    ("REQUEST_UNKNOWN", {"request_id": "nowhere"}),
    ("REQUEST_UNKNOWN", {"request_id": None, "request_revision": None}),
    ("REQUEST_REVISION", {"request_revision": 2}),
    ("REQUEST_REVISION", {"request_revision": None}),
    ("NOTICE", option(notice_s=601, full_activation_s=900, ramp_down_w_per_min=12 * MW)),
    ("FULL_ACTIVATION", option(full_activation_s=901)),
    ("RAMP", option(ramp_down_w_per_min=1 * MW)),
    ("PRICE_CAP", option(price_per_mwh=Decimal("120.0001"))),
    ("MIN_QUANTITY", option(power_w=999_999, min_power_w=0)),
    ("OVERCOMMITTED", option(power_w=28 * MW + 1, ramp_down_w_per_min=20 * MW)),
]
SITES = ("acme", "volt")


def whole(**changes: Any) -> dict[str, Any]:
    return {"options": [an_option()], **changes}


@pytest.mark.parametrize(("code", "changes"), BROKEN_OFFERS)
def test_an_offer_that_breaks_one_rule_is_logged_and_rejected_with_its_code(code: str, changes: dict[str, Any]) -> None:
    market = Market(*SITES)
    outcome = market.offer("acme", **whole(**changes))
    assert outcome.receipt is not None
    assert [fault.code for fault in outcome.faults] == [code]
    assert market.offer_state("acme") is OfferState.REJECTED
    (told,) = market.act()
    assert isinstance(told, OfferDecision)
    assert (told.decision, told.codes) == (Decision.REJECTED, [code])


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("REBOUND_CAP", {"rebound_cap_w": 5 * MW}),
        ("NOTICE", {"max_notice_s": 59}),
        ("FULL_ACTIVATION", {"full_activation_s": 599}),
        ("MIN_QUANTITY", {"power_w": 24 * MW, "min_quantity_w": 13 * MW}),
    ],
)
def test_an_offer_keeps_to_what_the_request_asks(code: str, changes: dict[str, Any]) -> None:
    market = Market("acme", **changes)
    assert [fault.code for fault in market.offer("acme", **whole()).faults] == [code]


def test_an_offer_on_a_request_whose_gate_has_closed_is_late_with_or_without_the_timer() -> None:
    market = Market("acme", "volt")
    market.run_until(utc("16:30"))
    market.now = utc("17:00")
    assert market.offer("acme").code == "GATE_CLOSED"
    market.act()
    assert market.offer("volt").code == "GATE_CLOSED"


def test_an_offer_without_a_baseline_declared_before_the_request_has_no_headroom() -> None:
    market = Market("acme", request_id="earlier")
    market.site("volt")
    market.ask()
    assert market.offer("volt", request_id="earlier").code == "OVERCOMMITTED"
    assert market.offer("volt", offer_id="volt-2").faults == ()


def test_more_load_is_bounded_by_the_connection() -> None:
    market = Market("acme", direction="LOAD_INCREASE", power_w=30 * MW)
    assert market.offer("acme", 20 * MW + 1).code == "OVERCOMMITTED"
    assert market.offer("acme", 20 * MW, offer_id="fits").faults == ()


def test_an_offer_that_breaks_many_rules_is_told_all_of_them() -> None:
    market = Market("acme", rebound_cap_w=1 * MW)
    broken = an_option(
        power_w=30 * MW,
        min_power_w=31 * MW,
        starts_at=utc("18:00"),
        ends_at=utc("18:45"),
        min_duration_s=1800,
        max_duration_s=900,
        levels_w=[],
        notice_s=700,
        full_activation_s=1000,
        ramp_down_w_per_min=1,
        price_per_mwh=Decimal(500),
    )
    flexibility = a_flexibility(complete_by=None, workload="UNKNOWN")
    outcome = market.offer(
        "acme", options=[broken, broken], flexibility=flexibility, request_revision=9, expires_at=utc("15:00")
    )
    assert {fault.code for fault in outcome.faults} == {
        *("EXPIRED", "OPTION_NAMES", "DURATION", "MIN_POWER", "LEVELS", "UNKNOWN_SYMBOL", "COMPLETE_BY"),
        *("REQUEST_REVISION", "NOTICE", "FULL_ACTIVATION", "RAMP", "PRICE_CAP", "OVERCOMMITTED", "REBOUND_CAP"),
    }
    (told,) = market.act()
    assert isinstance(told, OfferDecision)
    assert len(told.codes) == len(set(told.codes)) == 14


def test_a_listed_request_is_to_the_letter_unknown_to_those_it_does_not_list() -> None:
    market = Market("acme", "volt", visibility="LISTED", audience=["volt"], price_cap_per_mwh=Decimal(10))
    assert market.offer("volt", price="9").faults == ()
    hidden = market.offer("acme", 30 * MW, "100").faults
    nowhere = market.offer("acme", 30 * MW, "100", offer_id="other", request_id="nowhere").faults
    assert hidden == nowhere
    assert [fault.code for fault in hidden] == ["REQUEST_UNKNOWN"]


def test_a_listed_request_without_an_audience_takes_no_offers() -> None:
    assert Market("acme", visibility="LISTED", audience=[]).offer("acme").code == "REQUEST_UNKNOWN"


def test_a_request_of_another_zone_is_unknown_even_in_the_same_partition() -> None:
    market = Market("acme", zone="FR")
    assert market.offer("acme").code == "REQUEST_UNKNOWN"


def test_an_amendment_takes_a_new_place_and_its_terms_are_checked_anew() -> None:
    market = Market("acme", "volt")
    market.offer("acme", price="90")
    market.offer("volt", price="90")
    market.offer("acme", price="90", power_w=11 * MW, revision=2)
    market.close()
    assert market.ordered() == {"volt": 12 * MW}


@pytest.mark.parametrize("revision", [1, 3])
def test_an_amendment_is_the_next_revision_and_no_other(revision: int) -> None:
    market = Market("acme")
    market.offer("acme")
    assert market.offer("acme", price="80", revision=revision).code in {"CONFLICT", "REVISION"}
    assert market.offered("acme").offer.revision == 1


def test_an_amendment_that_breaks_rules_leaves_nothing_standing() -> None:
    market = Market("acme")
    market.offer("acme")
    market.act()
    assert market.offer("acme", price="500", revision=2).code == "PRICE_CAP"
    assert market.ledger.book.expiring == {}
    market.run_until(utc("19:00"))
    assert market.offer_state("acme") is OfferState.REJECTED
    assert market.state is RequestState.UNMET
    expired = [e.record for e, _ in market.log if isinstance(e.record, TimerFired) and e.record.timer is Timer.EXPIRY]
    assert not expired


def test_an_amended_request_checks_its_offers_again() -> None:
    market = Market("acme", "volt")
    market.offer("acme", price="90")
    market.offer("volt", price="80")
    assert market.ask(revision=2, price_cap_per_mwh=Decimal(85)).accepted
    assert market.offer_state("acme") is OfferState.REJECTED
    assert market.offered("acme").codes == ("PRICE_CAP",)
    assert market.offered("volt").request_revision == 2
    assert market.offer("volt", price="81", revision=2).code == "REQUEST_REVISION"


def test_who_is_no_longer_listed_hears_only_that() -> None:
    market = Market("acme", visibility="LISTED", audience=["acme"])
    market.offer("acme")
    market.ask(revision=2, visibility="LISTED", audience=["volt"], price_cap_per_mwh=Decimal(1))
    (told,) = market.act()
    assert isinstance(told, OfferDecision)
    assert told.codes == ["REQUEST_UNKNOWN"]
    assert market.ledger.requests[REQUEST_ID].audience.participants == {"acme", "volt"}  # both hear of a cancellation


@pytest.mark.parametrize(
    "changes",
    [
        {"zone": "FR"},
        {"operator": "supplier-one"},
        {"direction": "LOAD_INCREASE"},
        {"currency": "GBP"},
        {"pricing": "UNPAID"},
        {"firmness": "MANDATORY"},
        {"run_mode": "DRY_RUN"},
        {"deficiency_price_per_mwh": Decimal(4400)},
    ],
)
def test_the_terms_offers_were_made_for_cannot_be_amended(changes: dict[str, Any]) -> None:
    market = Market("acme")
    market.offer("acme")
    before = market.request
    assert market.ask(revision=2, **changes).code == "NOT_CHANGEABLE"
    assert market.request is before
    assert market.offer_state("acme") is OfferState.LIVE


def test_a_request_is_amended_only_while_it_is_open() -> None:
    market = Market("acme")
    market.offer("acme")
    market.add(market.by_hand())
    assert market.ask(revision=2, power_w=11 * MW).code == "ILLEGAL_STATE"
    assert market.request.revision == 1
