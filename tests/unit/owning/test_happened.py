"""The event log: what each record says has one name, and no line has a price, a secret or anybody's text."""

from __future__ import annotations

import io
import json
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import RECORDS, Timer
from gridsignal_schemas.records import ROWS
from gridsignal_schemas.values import MW, Money, ShortText
from gridsignal_services.event_log import BURST, EVENTS, EventLog
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.owning.happened import Happened, happened
from gridsignal_services.telemetry import configure_logging
from tests.builders import REQUEST_ID, a_timer_fired, utc
from tests.unit.ledger.market import Market

THEIRS = {name for name in TOPICS["dispatch"].records if ROWS[name].word_of != "services"}
"""What operators and data centers say; of the services' own records those that keep the log going are not told."""
UNTOLD = {Timer.UNKNOWN, Timer.EXPIRY, Timer.SETTLE, Timer.SETTLE_FINALLY}
"""What comes of these is told by the record that the owner writes then."""
OF_THE_SUBJECT = {"order_id", "request_id", "participant", "site"}


def told(market: Market) -> list[Happened]:
    """What a log of these records tells."""
    ledger, events = Ledger(0, market.ledger.book.kept), list[Happened]()
    for entry, _ in market.log:
        said = happened(ledger, entry.record, ledger.apply(entry), entry.principal)
        events += [said] if said is not None else []
    return events


def test_every_record_of_somebody_and_every_timer_has_one_row() -> None:
    rows = [(row.of, row.timer) for row in EVENTS.values() if row.of is not None]
    assert len(rows) == len(set(rows))
    assert THEIRS | {"MeterReading"} <= {of for of, _ in rows} <= {*TOPICS["dispatch"].records, "MeterReading"}
    assert {timer for of, timer in rows if of == "TimerFired"} == {timer.value for timer in Timer} - {*UNTOLD}


@pytest.mark.parametrize("name", EVENTS)
def test_a_row_has_fields_that_there_are_and_none_of_them_is_money_or_text(name: str) -> None:
    row = EVENTS[name]
    if row.of is None:
        return
    known = RECORDS[row.of].model_fields
    assert set(row.fields) <= set(known) | (OF_THE_SUBJECT if row.timer is not None else set())
    for field in set(row.fields) & set(known):
        kinds = {known[field].annotation, *get_args(known[field].annotation)}
        metadata = [str(each) for each in known[field].metadata]
        assert not kinds & {Money, ShortText}, field
        assert not any("decimal" in each.lower() for each in [*map(str, kinds), *metadata]), field
    assert not {"actor", "reason", "text", "signature"} & set(row.fields)


def test_an_order_that_nobody_answered_is_told_with_its_reason() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "80")
    market.close()
    late = market.order("acme").order
    market.run_until(utc("17:05"))
    market.answer("volt")
    market.run_until(utc("19:00"))
    events = told(market)
    of_acme = [event for event in events if event.names(late.order_id)]
    assert [event.name for event in of_acme] == ["ordered", "voided", "ordered"]
    assert of_acme[1].fields["state"] == "VOIDED"
    assert of_acme[1].fields["participant"] == late.participant
    assert of_acme[1].why == "no answer by respond_by"
    of_request = [event.name for event in events if event.names(REQUEST_ID)]
    assert [name for name in of_request if name != "decided"] == [
        *("asked", "offered", "offered", "gate_closed", "cleared", "ordered", "voided"),
        *("ordered", "cleared", "ordered", "answered", "started", "ended", "ended"),
    ]


def test_what_changes_nothing_is_told_with_its_code_and_a_timer_that_came_again_is_not() -> None:
    market = Market("acme")
    market.offer("acme")
    market.close()
    market.answer("acme", revision=9)
    market.add(a_timer_fired(subject_id="nobody"))
    ignored = [event for event in told(market) if event.name == "ignored"]
    assert [(event.fields["record"], event.fields["code"]) for event in ignored] == [("OrderResponse", "REVISION")]


@pytest.mark.parametrize("beyond", [0, 1, 300])
def test_who_floods_is_left_out_and_counted_and_nobody_else_is(beyond: int) -> None:
    lines, counted = io.StringIO(), CollectorRegistry()
    configure_logging(json=True, level="INFO", stream=lines)
    now = [0.0]
    events = EventLog("dispatch", counted, lambda: now[0])
    for _ in range(int(BURST) + beyond):
        events.tell("offered", "participant:loud", offer_id="o")
    events.tell("offered", "participant:quiet", offer_id="q", site=None)
    now[0] = 60.0
    events.tell("offered", "participant:loud", offer_id="last")
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["offer_id"] for line in said] == [*["o"] * int(BURST), "q", "last"]
    assert said[-1].get("left_out_before", 0) == beyond
    assert "site" not in said[-2]
    happened_in_all = counted.get_sample_value("gridsignal_dispatch_events_total", {"event": "offered"})
    assert happened_in_all == BURST + beyond + 2
    assert counted.get_sample_value("gridsignal_dispatch_events_unlogged_total") == beyond


@pytest.mark.parametrize(("level", "are_written"), [("INFO", False), ("DEBUG", True)])
def test_what_the_level_does_not_show_leaves_out_nothing_that_it_shows(level: str, are_written: bool) -> None:
    lines, counted = io.StringIO(), CollectorRegistry()
    configure_logging(json=True, level=level, stream=lines)
    events = EventLog("dispatch", counted, lambda: 0.0)
    for _ in range(int(BURST)):
        events.tell("metered", "participant:metered")
    events.tell("offered", "participant:metered", offer_id="o")
    said = [json.loads(line)["event"] for line in lines.getvalue().splitlines()]
    assert said == (["metered"] * int(BURST) if are_written else ["offered"])
    assert counted.get_sample_value("gridsignal_dispatch_events_unlogged_total") == are_written
    assert counted.get_sample_value("gridsignal_dispatch_events_total", {"event": "metered"}) == BURST
