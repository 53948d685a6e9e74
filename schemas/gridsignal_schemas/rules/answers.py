"""What a site may answer to an order, in which state and at which time; and what the clock does without an answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import DispatchOrder, OrderResponse, OrderState, ResponseKind, Timer
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import (
    ORDER,
    ORDER_OVER,
    ORDER_UNANSWERED,
    Event,
    IllegalTransition,
    allows,
)
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.values import rfc3339

_SKEW = timedelta(seconds=1)
"""A site that starts on time by its own clock may be a little early by the log's."""
_OF_THE_PERIOD = frozenset({ResponseKind.STARTED, ResponseKind.SUSTAINING, ResponseKind.COMPLETED})
_EVENTS = {
    ResponseKind.RECEIVED: Event.RECEIVE,
    ResponseKind.ACCEPTED: Event.ACCEPT,
    ResponseKind.REFUSED: Event.REFUSE,
    ResponseKind.STARTED: Event.START,
    ResponseKind.SUSTAINING: Event.SUSTAIN,
    ResponseKind.COMPLETED: Event.COMPLETE,
}
_HELD = frozenset({OrderState.ACTIVE, OrderState.SUSTAINING, OrderState.RECOVERING})
_SO_ALREADY = {
    ResponseKind.RECEIVED: frozenset(OrderState) - {OrderState.ISSUED},
    ResponseKind.ACCEPTED: _HELD | {OrderState.ACCEPTED},
    ResponseKind.REFUSED: frozenset({OrderState.REFUSED}),
    ResponseKind.STARTED: _HELD | {OrderState.COMPLETED},
    ResponseKind.COMPLETED: frozenset({OrderState.COMPLETED}),
}
"""The states in which an answer says nothing new."""
_DECISIVE = frozenset({ResponseKind.ACCEPTED, ResponseKind.REFUSED, ResponseKind.COMPLETED})
"""An order takes these however much was said about it before: each of them is accepted once."""
_ADDRESS = ("zone", "request_id", "participant", "site")
UNKNOWN_ORDER = fault("ORDER_UNKNOWN", "/order_id", "expected an order to this site")


class Ordered(Protocol):
    """An order and where it stands."""

    @property
    def order(self) -> DispatchOrder:
        """Its newest revision."""

    @property
    def state(self) -> OrderState: ...

    @property
    def power_w(self) -> int:
        """What is ordered now, in watts: what was accepted once it was accepted."""

    @property
    def responses(self) -> int:
        """How many answers it has had."""


class Due(NamedTuple):
    """What an order waits for."""

    timer: Timer
    at: datetime


def is_to(order: DispatchOrder, response: OrderResponse) -> bool:
    """Whether the answer names the order's own request and site."""
    return all(getattr(order, name) == getattr(response, name) for name in _ADDRESS)


def is_so_already(ordered: Ordered, response: OrderResponse) -> bool:
    """Whether the answer says what its site or the clock has done before: it acknowledges that, and moves nothing."""
    if ordered.state not in _SO_ALREADY.get(response.response, ()):
        return False
    if response.response is not ResponseKind.ACCEPTED:
        return True
    return response.revision == ordered.order.revision and response.accepted_w in (None, ordered.power_w)


def event_of(response: OrderResponse) -> Event:
    """What an answer without a fault does to its order."""
    if response.response is ResponseKind.UNAVAILABLE:
        return Event.DERATE if response.available_w else Event.ABORT
    return _EVENTS[response.response]


def answer_fault(ordered: Ordered, response: OrderResponse, now: datetime, *, obliged: bool) -> Detail | None:
    """Why an answer is refused; None where it is taken. `obliged`: silence does not void the order."""
    so_already = is_so_already(ordered, response)
    if ordered.responses >= LIMITS.responses_of_order and (so_already or response.response not in _DECISIVE):
        return fault("RESPONSES", "/order_id", f"expected at most {LIMITS.responses_of_order} answers to one order")
    if so_already:
        return None
    if problem := _response_fault(ordered, response, now, obliged=obliged):
        return problem
    event = event_of(response)
    if not allows(ORDER, ordered.state, event):
        return fault("ILLEGAL_STATE", "", str(IllegalTransition(ordered.state, event)))
    return None


def _response_fault(ordered: Ordered, response: OrderResponse, now: datetime, *, obliged: bool) -> Detail | None:
    order, state, kind = ordered.order, ordered.state, response.response
    unanswered = state in ORDER_UNANSWERED
    late = unanswered and now > order.respond_by and not obliged
    if kind is ResponseKind.ACCEPTED and (state is OrderState.VOIDED or late):
        return fault("TOO_LATE", "/order_id", f"expected an answer by {rfc3339(order.respond_by)}")
    if kind is ResponseKind.UNKNOWN:
        return fault("UNKNOWN_SYMBOL", "/response", "expected a response this version knows, got UNKNOWN")
    if response.revision != order.revision and kind is not ResponseKind.RECEIVED:
        return fault("REVISION", "/revision", f"expected {order.revision} ({state}), got {response.revision}")
    accepted_w = order.power_w if response.accepted_w is None else response.accepted_w
    if kind is ResponseKind.ACCEPTED and not 0 < accepted_w <= order.power_w:
        return fault("ACCEPTED_W", "/accepted_w", f"expected 1 to {order.power_w}, got {accepted_w}")
    if kind is ResponseKind.ACCEPTED and order.shift_id is not None and accepted_w < order.power_w:
        expected = f"expected {order.power_w}, for work moves as a whole or not at all, got {accepted_w}"
        return fault("ACCEPTED_W", "/accepted_w", expected)
    if kind is ResponseKind.STARTED and unanswered and not obliged:
        return fault("ILLEGAL_STATE", "/response", f"expected an accepted order, got {state}")
    holds = state not in ORDER_OVER and (obliged or not unanswered)
    if kind in _OF_THE_PERIOD and holds and now < order.starts_at - _SKEW:
        return fault("TOO_EARLY", "/response", f"expected {kind} from {rfc3339(order.starts_at)} on")
    if kind is ResponseKind.UNAVAILABLE and (response.available_w or 0) >= ordered.power_w:
        return fault("AVAILABLE_W", "/available_w", f"expected below {ordered.power_w}, got {response.available_w}")
    return None


def due_of(ordered: Ordered, *, obliged: bool) -> Due | None:
    """The one moment that an order in its state waits for; None once it is over, and while its end is open."""
    order, state = ordered.order, ordered.state
    if state in ORDER_OVER:
        return None
    if state in ORDER_UNANSWERED and not obliged:
        return Due(Timer.RESPOND_BY, order.respond_by)
    if state in ORDER_UNANSWERED or state is OrderState.ACCEPTED:
        return Due(Timer.START, order.starts_at)
    return None if order.ends_at is None else Due(Timer.END, order.ends_at)
