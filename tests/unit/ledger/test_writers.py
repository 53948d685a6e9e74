"""Each record counts from those alone whose word it is, and whatever a record says the reduce goes on."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import RECORDS, ClearingTrigger, GridClock, Record
from gridsignal_schemas.rules.lifecycle import OFFER_CALLABLE
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.entry import Entry
from gridsignal_services.ledger.reduce import Ledger
from tests.builders import (
    BUILDERS,
    a_baseline_declaration,
    a_request_cancellation,
    a_site_registration,
    a_timer_fired,
    an_offer_withdrawal,
    an_order_response,
    utc,
)
from tests.contract.strategies import any_of
from tests.effort import examples
from tests.owning import next_records
from tests.shown_book import shown_book
from tests.unit.ledger.market import OPERATORS_NAME, Market
from tests.unit.ledger.stages import accepted, closed, opened
from tests.unit.ledger.zone import Zone

OTHERS = (
    "participant:volt",
    "operator:another",
    "participant:tso-north",
    "operator:acme",
    "service:ingest",
    "",
    "acme",
)
NOT_YOURS = {"FORBIDDEN", "ORDER_UNKNOWN", "OFFER_UNKNOWN"}


def owned_by_acme(market: Market) -> list[Record]:
    order = market.order("acme").order
    answer = an_order_response(
        order_id=order.order_id, request_id=order.request_id, participant="acme", site="acme-1", response="ACCEPTED"
    )
    return [
        answer,
        an_offer_withdrawal(offer_id="acme-offer", participant="acme", site="acme-1"),
        a_baseline_declaration(site="acme-1", participant="acme"),
        market.offered("acme").offer.model_copy(update={"offer_id": "another"}),
    ]


@pytest.mark.parametrize("who", OTHERS)
def test_nobody_speaks_for_another_participant(who: str) -> None:
    market = closed()
    for record in owned_by_acme(market):
        assert market.add(record, who).code in NOT_YOURS
    for record in owned_by_acme(market):
        assert market.add(record, "participant:acme").code not in NOT_YOURS


@pytest.mark.parametrize("who", ["participant:acme", "operator:another", "", "tso-north"])
def test_nobody_speaks_for_another_operator(who: str) -> None:
    market = opened()
    for record in (market.by_hand(), a_request_cancellation(), market.request):
        assert market.add(record, who).code == "FORBIDDEN"
    assert market.add(market.by_hand(), OPERATORS_NAME).accepted


@pytest.mark.parametrize("who", [*OTHERS, OPERATORS_NAME, "participant:acme"])
def test_the_services_speak_for_themselves(who: str) -> None:
    market = opened()
    site = a_site_registration(site="new", participant="acme")
    decided = market.decided(ClearingTrigger.GATE_CLOSURE)
    for record in (site, decided, a_timer_fired()):
        assert market.add(record, who).code == "FORBIDDEN"
    clock = GridClock(origin=utc("16:00"), epoch=utc("16:00"), rate=1e6)
    assert not Ledger(0).apply(Entry(0, 0, 0, clock, "0" * 64, who, b"leaf")).accepted


def test_a_feed_asks_for_its_operator() -> None:
    market = Market("acme")
    assert market.add(market.request.model_copy(update={"request_id": "fed"}), "service:ingest").accepted
    assert market.add(a_request_cancellation(request_id="fed"), "service:ingest").accepted


def test_an_orders_history_says_who_acted_by_the_token() -> None:
    market = accepted()
    steps = market.order("acme").history
    assert [step.principal for step in steps] == ["service:test", "participant:acme"]


@pytest.mark.parametrize("kind", ["STARTED", "SUSTAINING", "COMPLETED"])
def test_nothing_starts_or_ends_before_its_period(kind: str) -> None:
    market = accepted()
    assert market.answer("acme", kind).code == "TOO_EARLY"
    market.now = utc("18:00") - timedelta(seconds=2)
    assert market.answer("acme", kind).code == "TOO_EARLY"
    market.now = utc("18:00") - timedelta(milliseconds=100)  # two clocks are never the same
    assert market.answer("acme", kind).code != "TOO_EARLY"


@given(st.sampled_from(sorted(RECORDS)).flatmap(lambda name: any_of(RECORDS[name])), st.integers(-(2**62), 2**62))
@settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
def test_no_record_and_no_append_time_is_a_defect(record: Record, appended_us: int) -> None:
    market = closed()
    for principal in ("service:dispatch", OPERATORS_NAME, "participant:acme"):
        entry = Entry(0, market.ledger.position, appended_us, record, "0" * 64, principal, b"leaf")
        assert market.ledger.apply(entry).code != "DEFECT"
    next_records(market.ledger, market.now)


awkward = st.sampled_from(
    [
        "0",
        "-0.0001",
        "1E+6",
        "-1000000",
        "1000000.0001",
        "99999999999999.9999",
        "-99999999999999.9999",
        "120.5000",
        "0.1",
    ]
).map(Decimal)


prices = st.sampled_from(["0", "-0.0001", "1E+6", "-1000000", "999999.9999", "120.0", "120.5000", "0.1"]).map(Decimal)
fees = st.sampled_from(["0", "0.0001", "1E+9", "1000000000.0000", "12.50"]).map(Decimal)


@given(
    st.lists(st.tuples(prices, st.none() | fees, st.sampled_from([1, 2, MW, 12 * MW])), min_size=1, max_size=6),
    st.none() | awkward,
    st.sampled_from(["PAY_AS_BID", "PAY_AS_CLEARED", "REGULATED"]),
)
@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
def test_any_price_that_is_taken_can_be_cleared_shown_and_read_again(
    offered: list[Any], cap: Decimal | None, pricing: str
) -> None:
    market = Market("acme", "volt")
    asked = market.ask(request_id="second", price_cap_per_mwh=cap, pricing=pricing, min_quantity_w=0)
    request_id = "second" if asked.accepted else market.request.request_id
    for number, (price, fee, power_w) in enumerate(offered):
        who = ("acme", "volt")[number % 2]
        terms = {"offer_id": f"{number}", "request_id": request_id, "activation_fee": fee}
        market.offer(who, power_w, str(price), **terms)
    market.act()
    assert all(o.state in OFFER_CALLABLE or o.codes for o in market.ledger.offers.values())
    market.close()
    market.run_until(utc("19:00"))
    for known in market.ledger.requests:
        shown_book(market.ledger.book, known)
    market.replayed()


@pytest.mark.parametrize("name", TOPICS["dispatch"].records)
def test_every_record_of_its_stream_has_a_rule(name: str) -> None:
    assert Zone(utc("12:00")).add(BUILDERS[name]()).code != "STRAY"
