"""How an operator may change an order: another end, within what its site offered, or none of it before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import DispatchOrder, OfferOption, OrderState
from gridsignal_schemas.rules.answers import Ordered
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import ORDER, ORDER_OVER, Event, allows
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.values import rfc3339

_ON_ITS_WAY = timedelta(minutes=1)
"""An order that ends "now" is logged a little later than it was written."""
_FREE = frozenset({"revision", "ends_at", "restore_not_before", "actor", "reason_code", "reason", "state"})


def event_of_change(change: DispatchOrder) -> Event:
    """What an operator's revision of an order does to it."""
    return Event.CANCEL if change.state is OrderState.CANCELLED else Event.CHANGE


def latest_end(order: DispatchOrder, option: OfferOption) -> datetime:
    """How long the site has offered to hold: to the end of the option's window, and for its longest duration."""
    return min(option.ends_at, order.starts_at + timedelta(seconds=option.max_duration_s))


def change_faults(
    tracked: Ordered,
    change: DispatchOrder,
    option: OfferOption | None,
    now: datetime,
    *,
    room_w: Callable[[datetime, datetime], int | None],
) -> list[Detail]:
    """What is wrong with an operator's revision of an order that serves this option of an offer.

    `room_w` is what its site can still promise the order's request over a period, in watts; None without a baseline.
    """
    faults = list(_faults_of_itself(tracked, change, option, now))
    since, until = tracked.order.ends_at, change.ends_at
    if (
        not faults
        and option is not None
        and since is not None
        and until is not None
        and is_later(tracked.order, change)
    ):
        room = room_w(since, until)  # an extension takes nothing that the site has promised elsewhere since
        if room is None or tracked.power_w > room:
            expected = f"expected headroom at the site for {tracked.power_w} W until then"
            faults.append(fault("OVERCOMMITTED", "/ends_at", expected))
    return faults


def _faults_of_itself(
    tracked: Ordered, change: DispatchOrder, option: OfferOption | None, now: datetime
) -> Iterator[Detail]:
    current = tracked.order
    if change.revision != current.revision + 1:
        yield fault("REVISION", "/revision", f"expected {current.revision + 1}, got {change.revision}")
    if change.revision > LIMITS.revisions_of_order:
        yield fault("REVISIONS", "/revision", f"expected at most {LIMITS.revisions_of_order}, got {change.revision}")
    kept = dict(current) | {"power_w": tracked.power_w}
    changed = sorted(name for name, value in kept.items() if name not in _FREE and getattr(change, name) != value)
    if changed:
        yield fault("NOT_CHANGEABLE", f"/{changed[0]}", "only the end of an order can be changed")
    if event_of_change(change) is Event.CANCEL:
        yield from _cancellation_faults(tracked, change)
        return
    if change.state is not tracked.state:
        yield fault("ILLEGAL_STATE", "/state", f"expected {tracked.state}, got {change.state}")
    yield from _end_faults(tracked, change, option, now)


def _cancellation_faults(tracked: Ordered, change: DispatchOrder) -> Iterator[Detail]:
    if not allows(ORDER, tracked.state, Event.CANCEL):
        instead = "" if tracked.state in ORDER_OVER else "; release it instead"
        yield fault("ILLEGAL_STATE", "/state", f"expected an order that has not begun, got {tracked.state}{instead}")
    if change.ends_at != tracked.order.ends_at:
        yield fault("NOT_CHANGEABLE", "/ends_at", "expected the end as it is, for the order is cancelled")


def _end_faults(tracked: Ordered, change: DispatchOrder, option: OfferOption | None, now: datetime) -> Iterator[Detail]:
    current, ends_at = tracked.order, change.ends_at
    earliest = max(current.starts_at, now - _ON_ITS_WAY)
    if ends_at is None or ends_at < earliest:
        got = "none" if ends_at is None else rfc3339(ends_at)
        yield fault("END", "/ends_at", f"expected {rfc3339(earliest)} or later, got {got}")
    elif current.shift_id is not None and is_later(current, change):
        expected = "expected no later end: nothing more is held in the other zone of a shift"
        yield fault("NOT_CHANGEABLE", "/ends_at", expected)
    elif option is not None and is_later(current, change) and ends_at > (latest := latest_end(current, option)):
        expected = f"expected an end by {rfc3339(latest)}, as the site offered, got {rfc3339(ends_at)}"
        yield fault("NOT_AS_OFFERED", "/ends_at", expected)


def is_later(current: DispatchOrder, change: DispatchOrder) -> bool:
    """Whether the change lets the order end later."""
    return change.ends_at is not None and current.ends_at is not None and change.ends_at > current.ends_at
