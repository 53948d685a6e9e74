"""One stream: where it stands, what is a repeat, what a gap leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from gridsignal_protocol.client.messages import Gap, OrderOver
from gridsignal_protocol.client.subscription import Handed, Standing, Subscription
from gridsignal_schemas.frames import Filter, Signal, Subscribed
from gridsignal_schemas.messages import DispatchOrder, Record
from tests.builders import a_dispatch_order, a_dispatch_request, a_spot_price


def signal(record: Record, cursor: str | None, **changes: Any) -> Signal:
    body = record.model_dump(mode="json") | changes
    return Signal(sub="s", cursor=cursor, type=record.record_name, body=body)


def subscribed(recovery: Any, reason: str | None = None) -> Subscribed:
    return Subscribed(id=1, sub="s", recovery=recovery, reason=reason)


def a_subscription(stream: str = "dispatch", cursor: str | None = None) -> Subscription:
    return Subscription(stream, Filter(), cursor=cursor)


def messages(handed: list[Handed]) -> list[object]:
    return [one.message for one in handed if one.message is not None]


def test_the_first_time_it_asks_for_the_state_and_later_for_what_came_since() -> None:
    subscription = a_subscription("prices")
    first = subscription.ask(1)
    assert (first.snapshot, first.cursor) == (True, None)
    subscription.subscribed(subscribed("snapshot"))
    subscription.positioned("c1")
    subscription.signal(signal(a_spot_price(), "c2"))
    subscription.lost(resume=True)
    again = subscription.ask(2)
    assert (again.snapshot, again.cursor) == (False, "c2")


def test_a_signal_that_comes_twice_is_handed_on_once() -> None:
    subscription = a_subscription("prices", "c0")
    subscription.subscribed(subscribed("full"))
    assert messages(subscription.signal(signal(a_spot_price(), "c1"))) == [a_spot_price()]
    assert subscription.signal(signal(a_spot_price(), "c1")) == []


def test_a_cursor_the_gateway_can_not_use_is_told_as_a_gap() -> None:
    subscription = a_subscription("prices", "old")
    assert messages(subscription.subscribed(subscribed("snapshot", "cursor_expired"))) == [
        Gap("prices", "cursor_expired")
    ]


def test_a_break_inside_a_snapshot_begins_it_afresh_and_says_so() -> None:
    subscription = a_subscription("prices")
    subscription.subscribed(subscribed("snapshot"))
    subscription.signal(signal(a_spot_price(), None))
    subscription.lost(resume=True)
    assert subscription.ask(2).snapshot
    assert messages(subscription.subscribed(subscribed("snapshot"))) == [Gap("prices", "snapshot_restarted")]


def test_a_state_that_broke_off_is_asked_for_again_by_who_wanted_none_at_first() -> None:
    subscription = Subscription("prices", Filter(), snapshot=False, cursor="old")
    subscription.subscribed(subscribed("snapshot", "retention"))
    subscription.lost(resume=True)
    assert subscription.ask(2).snapshot


def test_it_is_live_once_it_was_told_where_it_stands() -> None:
    subscription = a_subscription("prices", "c0")
    stood = [subscription.standing]
    subscription.ask(1)
    stood.append(subscription.standing)
    subscription.subscribed(subscribed("full"))
    subscription.signal(signal(a_spot_price(), "c1"))
    stood.append(subscription.standing)
    subscription.positioned("c2")
    stood.append(subscription.standing)
    subscription.leave(2)
    stood.append(subscription.standing)
    subscription.end()
    stood.append(subscription.standing)
    assert stood == [
        Standing.GONE, Standing.ASKED, Standing.REPLAYING, Standing.LIVE, Standing.LEAVING, Standing.GONE,
    ]  # fmt: skip


def test_what_the_state_after_a_gap_on_the_way_does_not_name_is_over() -> None:
    subscription = a_subscription(cursor="c0")
    subscription.subscribed(subscribed("full"))
    gone = a_dispatch_order(order_id="gone")
    subscription.signal(signal(gone, "c1"))
    subscription.positioned("c2")
    assert messages(subscription.gap("retention")) == [Gap("dispatch", "retention")]
    assert not subscription.can_park
    assert messages(subscription.positioned("c9")) == [OrderOver(gone)]


def test_a_break_before_the_first_position_is_told() -> None:
    subscription = Subscription("prices", Filter(), snapshot=False)
    subscription.subscribed(subscribed("none"))
    subscription.lost(resume=True)
    assert messages(subscription.subscribed(subscribed("none"))) == [Gap("prices", "no_position")]


def test_changed_entitlements_mean_a_fresh_start_that_is_told() -> None:
    subscription = a_subscription("prices", "c0")
    subscription.subscribed(subscribed("full"))
    subscription.lost(resume=False)
    asked = subscription.ask(2)
    assert (asked.snapshot, asked.cursor) == (True, None)
    assert messages(subscription.subscribed(subscribed("snapshot"))) == [Gap("prices", "entitlements_changed")]


def test_an_order_that_a_snapshot_after_a_gap_does_not_name_is_over() -> None:
    subscription = a_subscription(cursor="c0")
    subscription.subscribed(subscribed("full"))
    gone, kept = a_dispatch_order(order_id="gone"), a_dispatch_order(order_id="kept")
    subscription.signal(signal(gone, "c1"))
    subscription.signal(signal(kept, "c2"))
    subscription.lost(resume=True)
    subscription.subscribed(subscribed("snapshot", "retention"))
    subscription.signal(signal(kept, None))
    assert messages(subscription.positioned("c9")) == [OrderOver(gone)]
    assert list(subscription.held) == ["kept"]


def test_an_order_that_ended_is_not_held() -> None:
    subscription = a_subscription(cursor="c0")
    subscription.subscribed(subscribed("full"))
    subscription.signal(signal(a_dispatch_order(), "c1"))
    subscription.signal(signal(a_dispatch_order(revision=2, state="CANCELLED"), "c2"))
    assert subscription.held == {}


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
    subscription = a_subscription(cursor="c0")
    subscription.subscribed(subscribed("full"))
    assert messages(subscription.signal(unreadable)) == [Gap("dispatch", "unreadable")]
    assert subscription.position == "c1"


def test_fields_and_symbols_of_a_newer_contract_are_survived() -> None:
    subscription = a_subscription(cursor="c0")
    subscription.subscribed(subscribed("full"))
    (order,) = messages(subscription.signal(signal(a_dispatch_order(), "c1", colour="green", on_comms_loss="DANCE")))
    assert isinstance(order, DispatchOrder)
    assert order.on_comms_loss == "UNKNOWN"


def test_a_record_of_a_newer_contract_moves_the_position_and_nothing_else() -> None:
    subscription = a_subscription("prices", "c0")
    subscription.subscribed(subscribed("full"))
    handed = subscription.signal(Signal(sub="s", cursor="c1", type="Weather", body={}))
    assert messages(handed) == []
    assert subscription.position == "c1"
