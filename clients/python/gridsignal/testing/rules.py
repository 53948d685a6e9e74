"""What the fake grid takes and refuses: the real ledger's rules on offers and answers, as far as one site breaks them.

Decisions: records and the time in, codes or states out. The joint contract suite holds both to the same answers. Left
out is what needs other sites or the site's registration: merit order, baselines and what is promised elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gridsignal.feed import OVER
from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    Direction,
    DispatchOrder,
    DispatchRequest,
    Flexibility,
    FlexibilityKind,
    FlexOffer,
    OfferOption,
    OrderResponse,
    OrderState,
    ResponseKind,
)
from gridsignal_schemas.values import rfc3339

UNANSWERED = frozenset({OrderState.ISSUED, OrderState.RECEIVED})
_RUNS = frozenset({OrderState.ACTIVE, OrderState.SUSTAINING})
_REPORTS = frozenset({ResponseKind.STARTED, ResponseKind.SUSTAINING, ResponseKind.COMPLETED})
_SKEW = timedelta(seconds=1)  # a site that starts on time by its own clock may be a little early by the grid's
_SO_ALREADY = {
    ResponseKind.RECEIVED: frozenset(OrderState) - {OrderState.ISSUED},
    ResponseKind.ACCEPTED: _RUNS | {OrderState.ACCEPTED},
    ResponseKind.REFUSED: frozenset({OrderState.REFUSED}),
    ResponseKind.STARTED: _RUNS | {OrderState.COMPLETED},
    ResponseKind.COMPLETED: frozenset({OrderState.COMPLETED}),
}
_LEADS_TO = {
    ResponseKind.RECEIVED: (frozenset({OrderState.ISSUED}), OrderState.RECEIVED),
    ResponseKind.ACCEPTED: (UNANSWERED, OrderState.ACCEPTED),
    ResponseKind.REFUSED: (UNANSWERED, OrderState.REFUSED),
    ResponseKind.STARTED: (frozenset({OrderState.ACCEPTED}), OrderState.ACTIVE),
    ResponseKind.SUSTAINING: (_RUNS, OrderState.SUSTAINING),
    ResponseKind.COMPLETED: (_RUNS, OrderState.COMPLETED),
}


@dataclass(slots=True)
class Held:
    """An order and where it stands."""

    order: DispatchOrder
    """Its newest revision, as it was published."""
    state: OrderState
    obliged: bool = False
    """The request is no voluntary one: silence does not void the order."""
    accepted_w: int | None = None
    answered: dict[ResponseKind, None] = field(default_factory=dict)

    @property
    def power_w(self) -> int:
        return self.order.power_w if self.accepted_w is None else min(self.accepted_w, self.order.power_w)

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def present(self) -> DispatchOrder:
        """As a snapshot holds it."""
        return self.order.model_copy(update={"state": self.state, "power_w": self.power_w})


def says_what_is_so(held: Held, response: OrderResponse) -> bool:
    """Whether the answer only acknowledges what its site or the clock has done before."""
    if held.state not in _SO_ALREADY.get(response.response, ()):
        return False
    if response.response is not ResponseKind.ACCEPTED:
        return True
    return response.revision == held.order.revision and response.accepted_w in (None, held.power_w)


def answer_fault(held: Held, response: OrderResponse, now: datetime) -> Detail | None:
    """Why an answer is refused; None where it is taken."""
    order, kind = held.order, response.response
    late = held.state in UNANSWERED and now > order.respond_by and not held.obliged
    if kind is ResponseKind.ACCEPTED and (held.state is OrderState.VOIDED or late):
        return _fault("TOO_LATE", "/order_id", f"expected an answer by {rfc3339(order.respond_by)}")
    if kind is ResponseKind.UNKNOWN:
        return _fault("UNKNOWN_SYMBOL", "/response", "expected a response this version knows, got UNKNOWN")
    if response.revision != order.revision and kind is not ResponseKind.RECEIVED:
        return _fault("REVISION", "/revision", f"expected {order.revision}, got {response.revision}")
    accepted_w = order.power_w if response.accepted_w is None else response.accepted_w
    if kind is ResponseKind.ACCEPTED and not 0 < accepted_w <= order.power_w:
        return _fault("ACCEPTED_W", "/accepted_w", f"expected 1 to {order.power_w}, got {accepted_w}")
    holds = not held.over and (held.obliged or held.state not in UNANSWERED)
    if kind in _REPORTS and holds and now < order.starts_at - _SKEW:
        return _fault("TOO_EARLY", "/response", f"expected not before {rfc3339(order.starts_at)}")
    if kind is ResponseKind.UNAVAILABLE and (response.available_w or 0) >= held.power_w:
        return _fault("AVAILABLE_W", "/available_w", f"expected below {held.power_w}, got {response.available_w}")
    if after(held.state, response) is None:
        return _fault("ILLEGAL_STATE", "", f"expected a state that allows {kind}, got {held.state}")
    return None


def after(state: OrderState, response: OrderResponse) -> OrderState | None:
    """The state that an answer leads to; None where it is not possible."""
    if response.response is ResponseKind.UNAVAILABLE:
        if state not in _RUNS | {OrderState.ACCEPTED}:
            return None
        return state if response.available_w else OrderState.ABORTED
    allowed, then = _LEADS_TO.get(response.response, (frozenset(), None))
    return then if state in allowed else None


def by_the_clock(held: Held, now: datetime) -> OrderState | None:
    """The state that the grid's clock has brought an order to since it was last looked at; None: the same."""
    starts = UNANSWERED | {OrderState.ACCEPTED} if held.obliged else {OrderState.ACCEPTED}
    if held.state in UNANSWERED and now > held.order.respond_by and not held.obliged:
        return OrderState.VOIDED
    if held.state in starts and now >= held.order.starts_at:
        return OrderState.ACTIVE
    if held.state in _RUNS and held.order.ends_at is not None and now >= held.order.ends_at:
        return OrderState.COMPLETED
    return None


def offer_faults(offer: FlexOffer, request: DispatchRequest | None, is_open: bool, now: datetime) -> Iterator[Detail]:
    """Every rule that an offer breaks."""
    if offer.expires_at <= now:
        yield _fault("EXPIRED", "/expires_at", f"expected a time after {rfc3339(now)}")
    if len({option.option for option in offer.options}) < len(offer.options):
        yield _fault("OPTION_NAMES", "/options", "expected options with different names")
    for index, option in enumerate(offer.options):
        yield from _option_faults(option, f"/options/{index}")
    yield from _flexibility_faults(offer.flexibility)
    if request is None:
        yield _fault("REQUEST_UNKNOWN", "/request_id", "expected an open request you can see")
        return
    if not is_open:
        yield _fault("REQUEST_NOT_OPEN", "/request_id", "expected an OPEN request")
    elif now >= request.gate_closure_at:
        yield _fault("GATE_CLOSED", "/request_id", f"expected before {rfc3339(request.gate_closure_at)}")
    if offer.request_revision != request.revision:
        yield _fault("REQUEST_REVISION", "/request_revision", f"expected revision {request.revision}")
    for index, option in enumerate(offer.options):
        yield from _option_fit(request, option, f"/options/{index}")
    rebound = offer.flexibility.rebound
    if request.rebound_cap_w is not None and rebound is not None and rebound.peak_w > request.rebound_cap_w:
        yield _fault("REBOUND_CAP", "/flexibility/rebound/peak_w", f"expected at most {request.rebound_cap_w}")


def _flexibility_faults(flexibility: Flexibility) -> Iterator[Detail]:
    kind, rebound = flexibility.kind, flexibility.rebound
    if kind is FlexibilityKind.SHIFT_TIME and flexibility.complete_by is None:
        yield _fault("COMPLETE_BY", "/flexibility/complete_by", "expected a time with SHIFT_TIME, got none")
    if kind is FlexibilityKind.SHIFT_TIME and rebound is None:
        yield _fault("REBOUND", "/flexibility/rebound", "expected the rebound with SHIFT_TIME, got none")
    if kind is FlexibilityKind.SHIFT_SITE and not (flexibility.shift_to_zone and flexibility.counterpart_power_w):
        expected = "expected shift_to_zone and counterpart_power_w with SHIFT_SITE, got none"
        yield _fault("COUNTERPART", "/flexibility/counterpart_power_w", expected)
    if rebound is not None and rebound.latest <= rebound.earliest:
        yield _fault("REBOUND", "/flexibility/rebound/latest", "expected a time after earliest")


def _option_faults(option: OfferOption, at: str) -> Iterator[Detail]:
    if option.ends_at <= option.starts_at:
        yield _fault("WINDOW", f"{at}/ends_at", f"expected a time after {rfc3339(option.starts_at)}")
    if option.max_duration_s < max(option.min_duration_s, 1):
        yield _fault("DURATION", f"{at}/max_duration_s", f"expected at least {max(option.min_duration_s, 1)}")
    if option.min_power_w > option.power_w:
        yield _fault("MIN_POWER", f"{at}/min_power_w", f"expected at most {option.power_w}")
    levels = option.levels_w
    if levels is not None and (not levels or not option.min_power_w <= min(levels) <= max(levels) <= option.power_w):
        yield _fault("LEVELS", f"{at}/levels_w", f"expected levels from {option.min_power_w} to {option.power_w}")
    elif levels and not option.divisible and option.power_w not in levels:
        yield _fault("LEVELS", f"{at}/levels_w", f"expected {option.power_w} among them")


def _option_fit(request: DispatchRequest, option: OfferOption, at: str) -> Iterator[Detail]:
    if option.ends_at <= request.starts_at or option.starts_at >= request.ends_at:
        yield _fault("WINDOW", f"{at}/starts_at", "expected an overlap with the request's period, got none")
    if option.notice_s > request.max_notice_s:
        yield _fault("NOTICE", f"{at}/notice_s", f"expected at most {request.max_notice_s}")
    if option.full_activation_s > request.full_activation_s:
        yield _fault("FULL_ACTIVATION", f"{at}/full_activation_s", f"expected at most {request.full_activation_s}")
    down = request.direction is Direction.LOAD_DECREASE
    ramp = option.ramp_down_w_per_min if down else option.ramp_up_w_per_min
    if option.notice_s - (-option.power_w * 60 // ramp) > option.full_activation_s:
        yield _fault("RAMP", f"{at}/full_activation_s", "expected notice and ramp to reach the power within it")
    if request.price_cap_per_mwh is not None and option.price_per_mwh > request.price_cap_per_mwh:
        yield _fault("PRICE_CAP", f"{at}/price_per_mwh", f"expected at most {request.price_cap_per_mwh}")
    if option.power_w < request.min_quantity_w:
        yield _fault("MIN_QUANTITY", f"{at}/power_w", f"expected at least {request.min_quantity_w}")


def _fault(code: str, pointer: str, message: str) -> Detail:
    return Detail(code=code, pointer=pointer, message=message)
