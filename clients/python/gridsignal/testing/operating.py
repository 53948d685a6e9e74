"""What the fake grid's operator does with orders and requests that stand. Decisions: the time in, revisions owed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gridsignal.testing.ledger import Ledger
from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import Decision, DispatchOrder, DispatchRequest
from gridsignal_schemas.rules.changes import change_faults, event_of_change
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import ORDER, REQUEST, Event, IllegalTransition, after, allows
from gridsignal_schemas.rules.requests import request_faults, revision_faults


def ask(ledger: Ledger, request: DispatchRequest, now: datetime) -> None:
    """A new request, or the next revision of one. Raises ValueError for what no operator can ask."""
    known = ledger.asked.get(request.request_id)
    same = None if known is None else known.revisions.get(request.revision)
    if same == request:
        return
    if same is not None:
        _must_be_none([fault("CONFLICT", "/request_id", "this id and revision already has another content")])
    _must_be_none(revision_faults(None if known is None else known.request, request))
    _must_be_none(request_faults(request, now))
    if known is not None and not allows(REQUEST, known.state, Event.AMEND):
        raise ValueError(str(IllegalTransition(known.state, Event.AMEND)))


def _must_be_none(faults: list[Detail]) -> None:
    if faults:
        raise ValueError("; ".join(": ".join(filter(None, (broken.pointer, broken.message))) for broken in faults))


def change(ledger: Ledger, order_id: str, now: datetime, **changes: Any) -> DispatchOrder:
    """An order's next revision, with another end or CANCELLED. Raises ValueError for what no operator can change."""
    held = ledger.orders[order_id]
    same = {"revision": held.order.revision + 1, "state": held.state, "power_w": held.power_w}
    revised = held.order.model_copy(update=same | {"actor": "operator:tso-fake"} | changes)
    standing = ledger.offers.get(held.order.offer_id or "")
    option = None if standing is None else standing.option_named(held.order.option)
    room_w = ledger.room_of(held.order.site, held.order.request_id)
    if faults := change_faults(held, revised, option, now, room_w=room_w):
        raise ValueError("; ".join(broken.message for broken in faults))
    event = event_of_change(revised)
    try:
        held.state = after(ORDER, held.state, event)
    except IllegalTransition as illegal:
        raise ValueError(str(illegal)) from None
    held.order = revised
    ledger.owed.append(revised)
    if event is Event.CANCEL:
        ledger.move_offer_of(held, Event.RELEASE, Decision.RELEASED, (), revised.reason)
    return revised


def cancel(ledger: Ledger, request: DispatchRequest, now: datetime) -> None:
    """A request is taken back: offers are released and orders cancelled; one that runs ends now."""
    for held in ledger.orders.values():
        if held.over or held.order.request_id != request.request_id:
            continue
        if allows(ORDER, held.state, Event.CANCEL):
            held.state = after(ORDER, held.state, Event.CANCEL)
            ledger.revise(held, reason_code="REQUEST_CANCELLED")
            ledger.move_offer_of(held, Event.RELEASE, Decision.RELEASED)
        else:
            moment = max(now, held.order.starts_at)
            ledger.revise(held, ends_at=min(moment, held.order.ends_at or moment), reason_code="REQUEST_CANCELLED")
    ledger.release_offers(request.request_id)
