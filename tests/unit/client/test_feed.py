"""One stream: where it stands, what is a repeat, what a gap leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from gridsignal.feed import Feed, Gap, Handed, OrderOver
from gridsignal_schemas.frames import Filter, Signal, Subscribed
from gridsignal_schemas.messages import DispatchOrder, Record
from tests.builders import a_dispatch_order, a_dispatch_request, a_spot_price


def signal(record: Record, cursor: str | None, **changes: Any) -> Signal:
    body = record.model_dump(mode="json") | changes
    return Signal(sub="s", cursor=cursor, type=record.record_name, body=body)


def subscribed(recovery: Any, reason: str | None = None) -> Subscribed:
    return Subscribed(id=1, sub="s", recovery=recovery, reason=reason)


def a_feed(stream: str = "dispatch", cursor: str | None = None) -> Feed:
    return Feed(stream, Filter(), cursor=cursor)


def messages(handed: list[Handed]) -> list[object]:
    return [one.message for one in handed if one.message is not None]


def test_the_first_time_it_asks_for_the_state_and_later_for_what_came_since() -> None:
    feed = a_feed("prices")
    first = feed.ask(1)
    assert (first.snapshot, first.cursor) == (True, None)
    feed.subscribed(subscribed("snapshot"))
    feed.positioned("c1")
    feed.signal(signal(a_spot_price(), "c2"))
    feed.lost(resume=True)
    again = feed.ask(2)
    assert (again.snapshot, again.cursor) == (False, "c2")


def test_a_signal_that_comes_twice_is_handed_on_once() -> None:
    feed = a_feed("prices", "c0")
    feed.subscribed(subscribed("full"))
    assert messages(feed.signal(signal(a_spot_price(), "c1"))) == [a_spot_price()]
    assert feed.signal(signal(a_spot_price(), "c1")) == []


def test_a_cursor_the_gateway_can_not_use_is_told_as_a_gap() -> None:
    feed = a_feed("prices", "old")
    assert messages(feed.subscribed(subscribed("snapshot", "cursor_expired"))) == [Gap("prices", "cursor_expired")]


def test_a_break_inside_a_snapshot_begins_it_afresh_and_says_so() -> None:
    feed = a_feed("prices")
    feed.subscribed(subscribed("snapshot"))
    feed.signal(signal(a_spot_price(), None))
    feed.lost(resume=True)
    assert feed.ask(2).snapshot
    assert messages(feed.subscribed(subscribed("snapshot"))) == [Gap("prices", "snapshot_restarted")]


def test_a_break_before_the_first_position_is_told() -> None:
    feed = Feed("prices", Filter(), snapshot=False)
    feed.subscribed(subscribed("none"))
    feed.lost(resume=True)
    assert messages(feed.subscribed(subscribed("none"))) == [Gap("prices", "no_position")]


def test_changed_entitlements_mean_a_fresh_start_that_is_told() -> None:
    feed = a_feed("prices", "c0")
    feed.subscribed(subscribed("full"))
    feed.lost(resume=False)
    asked = feed.ask(2)
    assert (asked.snapshot, asked.cursor) == (True, None)
    assert messages(feed.subscribed(subscribed("snapshot"))) == [Gap("prices", "entitlements_changed")]


def test_an_order_that_a_snapshot_after_a_gap_does_not_name_is_over() -> None:
    feed = a_feed(cursor="c0")
    feed.subscribed(subscribed("full"))
    gone, kept = a_dispatch_order(order_id="gone"), a_dispatch_order(order_id="kept")
    feed.signal(signal(gone, "c1"))
    feed.signal(signal(kept, "c2"))
    feed.lost(resume=True)
    feed.subscribed(subscribed("snapshot", "retention"))
    feed.signal(signal(kept, None))
    assert messages(feed.positioned("c9")) == [OrderOver(gone)]
    assert list(feed.held) == ["kept"]


def test_an_order_that_ended_is_not_held() -> None:
    feed = a_feed(cursor="c0")
    feed.subscribed(subscribed("full"))
    feed.signal(signal(a_dispatch_order(), "c1"))
    feed.signal(signal(a_dispatch_order(revision=2, state="CANCELLED"), "c2"))
    assert feed.held == {}


@pytest.mark.parametrize(
    "unreadable",
    [
        signal(a_dispatch_order(), "c1", direction="SIDEWAYS"),
        signal(a_dispatch_order(), "c1", quantity_kind="FURLONGS"),
        signal(a_dispatch_request(), "c1", direction="SIDEWAYS"),
        signal(a_dispatch_order(), "c1", power_w="much"),
    ],
)
def test_what_can_not_be_understood_is_never_acted_on_and_told(unreadable: Signal) -> None:
    feed = a_feed(cursor="c0")
    feed.subscribed(subscribed("full"))
    assert messages(feed.signal(unreadable)) == [Gap("dispatch", "unreadable")]
    assert feed.position == "c1"


def test_fields_and_symbols_of_a_newer_contract_are_survived() -> None:
    feed = a_feed(cursor="c0")
    feed.subscribed(subscribed("full"))
    (order,) = messages(feed.signal(signal(a_dispatch_order(), "c1", colour="green", on_comms_loss="DANCE")))
    assert isinstance(order, DispatchOrder)
    assert order.on_comms_loss == "UNKNOWN"


def test_a_record_of_a_newer_contract_moves_the_position_and_nothing_else() -> None:
    feed = a_feed("prices", "c0")
    feed.subscribed(subscribed("full"))
    handed = feed.signal(Signal(sub="s", cursor="c1", type="Weather", body={}))
    assert messages(handed) == []
    assert feed.position == "c1"
