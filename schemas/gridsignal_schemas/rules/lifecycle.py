"""The lifecycles of requests, offers and orders: the tables are the law, the diagrams in the docs are drawn from them.

A transition that is not in a table is refused with the current state; nothing is ignored in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from gridsignal_schemas.messages import OrderState


class RequestState(StrEnum):
    OPEN = "OPEN"
    CLEARING = "CLEARING"
    AWARDED = "AWARDED"
    PARTIALLY_AWARDED = "PARTIALLY_AWARDED"
    UNMET = "UNMET"
    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    SETTLED = "SETTLED"
    DISPUTED = "DISPUTED"
    CANCELLED = "CANCELLED"


class RequestShown(StrEnum):
    """What is read of a request: its state, or of one that is another's no more than `shown` knows."""

    OPEN = "OPEN"
    CLEARING = "CLEARING"
    AWARDED = "AWARDED"
    PARTIALLY_AWARDED = "PARTIALLY_AWARDED"
    UNMET = "UNMET"
    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    SETTLED = "SETTLED"
    DISPUTED = "DISPUTED"
    CANCELLED = "CANCELLED"
    OVER = "OVER"
    """Its period has passed. Whether it was met is between its operator and those who offered."""


class SettlementState(StrEnum):
    """Where the settlement of an order stands; an order that is not over, or is not settled at all, has none."""

    DUE = "DUE"
    """Its order is over, and no version was written so far."""
    PROVISIONAL = "PROVISIONAL"
    FINAL = "FINAL"
    """It can be disputed until its window ends."""
    DISPUTED = "DISPUTED"
    SETTLED = "SETTLED"
    """Nobody disputes it any more: silence has accepted it."""


class OfferState(StrEnum):
    LIVE = "LIVE"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"
    RELEASED = "RELEASED"
    TENTATIVE = "TENTATIVE"
    STANDBY = "STANDBY"
    NOT_SELECTED = "NOT_SELECTED"
    FAILED_AWARD = "FAILED_AWARD"
    AWARDED = "AWARDED"
    DELIVERED = "DELIVERED"
    DEFAULTED = "DEFAULTED"


class Event(StrEnum):
    """What happens to a request, an offer or an order."""

    AMEND = "amend"
    GATE_CLOSURE = "gate closure"
    CLEARED_IN_FULL = "cleared in full"
    CLEARED_IN_PART = "cleared in part"
    NOTHING_AWARDED = "nothing awarded"
    FIRST_START = "first start"
    ALL_OVER = "all orders over"
    SETTLE = "settle"
    DISPUTE = "dispute"
    CANCEL = "cancel"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"
    RELEASE = "release"
    SELECT = "select"
    PASS_OVER = "pass over"  # noqa: S105 - an event, no password
    END_STANDBY = "end standby"
    ORDER_ACCEPTED = "order accepted"
    ORDER_FAILED = "order failed"
    DELIVER = "deliver"
    DEFAULT = "default"
    FAIL_RULES = "fail rules"
    RECEIVE = "receive"
    ACCEPT = "accept"
    REFUSE = "refuse"
    SILENCE = "silence"
    START = "start"
    SUSTAIN = "sustain"
    DERATE = "derate"
    ABORT = "abort"
    CHANGE = "change"
    COMPLETE = "complete"
    RECOVER = "recover"
    PROVISION = "provision"
    FINALISE = "finalise"
    CORRECT = "correct"
    REJECT_DISPUTE = "reject dispute"
    REOPEN = "reopen"


_R, _O, _S, _T, _E = RequestState, OfferState, OrderState, SettlementState, Event

REQUEST: Mapping[tuple[RequestState, Event], RequestState] = {
    (_R.OPEN, _E.AMEND): _R.OPEN,
    (_R.OPEN, _E.GATE_CLOSURE): _R.CLEARING,
    (_R.OPEN, _E.CLEARED_IN_FULL): _R.AWARDED,  # an operator may clear by hand before the gate closes
    (_R.OPEN, _E.CLEARED_IN_PART): _R.PARTIALLY_AWARDED,
    (_R.CLEARING, _E.CLEARED_IN_FULL): _R.AWARDED,
    (_R.CLEARING, _E.CLEARED_IN_PART): _R.PARTIALLY_AWARDED,
    (_R.CLEARING, _E.NOTHING_AWARDED): _R.UNMET,
    (_R.AWARDED, _E.CLEARED_IN_FULL): _R.AWARDED,
    (_R.AWARDED, _E.CLEARED_IN_PART): _R.PARTIALLY_AWARDED,
    (_R.AWARDED, _E.NOTHING_AWARDED): _R.UNMET,
    (_R.PARTIALLY_AWARDED, _E.CLEARED_IN_FULL): _R.AWARDED,
    (_R.PARTIALLY_AWARDED, _E.CLEARED_IN_PART): _R.PARTIALLY_AWARDED,
    (_R.PARTIALLY_AWARDED, _E.NOTHING_AWARDED): _R.UNMET,
    (_R.AWARDED, _E.FIRST_START): _R.ACTIVE,
    (_R.PARTIALLY_AWARDED, _E.FIRST_START): _R.ACTIVE,
    (_R.ACTIVE, _E.FIRST_START): _R.ACTIVE,
    (_R.ACTIVE, _E.CLEARED_IN_FULL): _R.ACTIVE,
    (_R.ACTIVE, _E.CLEARED_IN_PART): _R.ACTIVE,
    (_R.ACTIVE, _E.ALL_OVER): _R.COMPLETED,
    (_R.COMPLETED, _E.SETTLE): _R.SETTLED,  # every order's settlement is final, and nobody disputes it any more
    (_R.COMPLETED, _E.DISPUTE): _R.DISPUTED,
    (_R.DISPUTED, _E.DISPUTE): _R.DISPUTED,
    (_R.DISPUTED, _E.REOPEN): _R.COMPLETED,  # the dispute has its answer
    (_R.SETTLED, _E.REOPEN): _R.COMPLETED,  # a later reading has changed an interval
    (_R.OPEN, _E.CANCEL): _R.CANCELLED,
    (_R.CLEARING, _E.CANCEL): _R.CANCELLED,
    (_R.AWARDED, _E.CANCEL): _R.CANCELLED,
    (_R.PARTIALLY_AWARDED, _E.CANCEL): _R.CANCELLED,
    (_R.ACTIVE, _E.CANCEL): _R.CANCELLED,
}

OFFER: Mapping[tuple[OfferState, Event], OfferState] = {
    (_O.LIVE, _E.AMEND): _O.LIVE,
    (_O.LIVE, _E.FAIL_RULES): _O.REJECTED,  # re-validated against an amended request
    (_O.LIVE, _E.WITHDRAW): _O.WITHDRAWN,
    (_O.LIVE, _E.EXPIRE): _O.EXPIRED,
    (_O.LIVE, _E.RELEASE): _O.RELEASED,
    (_O.LIVE, _E.SELECT): _O.TENTATIVE,
    (_O.LIVE, _E.PASS_OVER): _O.STANDBY,
    (_O.STANDBY, _E.PASS_OVER): _O.STANDBY,
    (_O.STANDBY, _E.SELECT): _O.TENTATIVE,
    (_O.STANDBY, _E.END_STANDBY): _O.NOT_SELECTED,
    (_O.STANDBY, _E.WITHDRAW): _O.WITHDRAWN,
    (_O.STANDBY, _E.EXPIRE): _O.EXPIRED,
    (_O.STANDBY, _E.RELEASE): _O.RELEASED,
    (_O.TENTATIVE, _E.WITHDRAW): _O.WITHDRAWN,
    (_O.TENTATIVE, _E.ORDER_ACCEPTED): _O.AWARDED,  # or started without an answer, where it is an obligation
    (_O.TENTATIVE, _E.ORDER_FAILED): _O.FAILED_AWARD,
    (_O.TENTATIVE, _E.RELEASE): _O.RELEASED,
    (_O.AWARDED, _E.RELEASE): _O.RELEASED,
    (_O.AWARDED, _E.DELIVER): _O.DELIVERED,
    (_O.AWARDED, _E.DEFAULT): _O.DEFAULTED,
}

ORDER: Mapping[tuple[OrderState, Event], OrderState] = {
    (_S.ISSUED, _E.RECEIVE): _S.RECEIVED,
    (_S.RECEIVED, _E.RECEIVE): _S.RECEIVED,
    (_S.ACCEPTED, _E.RECEIVE): _S.ACCEPTED,  # the SDK's own RECEIVED may come after the program's answer
    (_S.ACTIVE, _E.RECEIVE): _S.ACTIVE,
    (_S.SUSTAINING, _E.RECEIVE): _S.SUSTAINING,
    (_S.ISSUED, _E.ACCEPT): _S.ACCEPTED,
    (_S.RECEIVED, _E.ACCEPT): _S.ACCEPTED,
    (_S.ISSUED, _E.REFUSE): _S.REFUSED,
    (_S.RECEIVED, _E.REFUSE): _S.REFUSED,
    (_S.ISSUED, _E.SILENCE): _S.VOIDED,
    (_S.RECEIVED, _E.SILENCE): _S.VOIDED,
    (_S.ISSUED, _E.START): _S.ACTIVE,  # contracted or mandatory: silence leaves the obligation standing
    (_S.RECEIVED, _E.START): _S.ACTIVE,
    (_S.ACCEPTED, _E.START): _S.ACTIVE,
    (_S.ACTIVE, _E.START): _S.ACTIVE,
    (_S.ISSUED, _E.CANCEL): _S.CANCELLED,
    (_S.RECEIVED, _E.CANCEL): _S.CANCELLED,
    (_S.ACCEPTED, _E.CANCEL): _S.CANCELLED,
    (_S.ACCEPTED, _E.DERATE): _S.ACCEPTED,
    (_S.ACTIVE, _E.DERATE): _S.ACTIVE,
    (_S.SUSTAINING, _E.DERATE): _S.SUSTAINING,
    (_S.ACCEPTED, _E.ABORT): _S.ABORTED,
    (_S.ACTIVE, _E.ABORT): _S.ABORTED,
    (_S.SUSTAINING, _E.ABORT): _S.ABORTED,
    (_S.ACTIVE, _E.SUSTAIN): _S.SUSTAINING,
    (_S.SUSTAINING, _E.SUSTAIN): _S.SUSTAINING,
    (_S.ISSUED, _E.CHANGE): _S.ISSUED,
    (_S.RECEIVED, _E.CHANGE): _S.RECEIVED,
    (_S.ACCEPTED, _E.CHANGE): _S.ACCEPTED,
    (_S.ACTIVE, _E.CHANGE): _S.ACTIVE,
    (_S.SUSTAINING, _E.CHANGE): _S.SUSTAINING,
    (_S.ACTIVE, _E.COMPLETE): _S.COMPLETED,
    (_S.SUSTAINING, _E.COMPLETE): _S.COMPLETED,
    (_S.ACTIVE, _E.RECOVER): _S.RECOVERING,  # the rebound is for the meters to see: settlement will send these
    (_S.SUSTAINING, _E.RECOVER): _S.RECOVERING,
    (_S.RECOVERING, _E.COMPLETE): _S.COMPLETED,
    (_S.RECOVERING, _E.ABORT): _S.ABORTED,
    (_S.RECOVERING, _E.DEFAULT): _S.DEFAULTED,
}

SETTLEMENT: Mapping[tuple[SettlementState, Event], SettlementState] = {
    (_T.DUE, _E.PROVISION): _T.PROVISIONAL,
    (_T.DUE, _E.FINALISE): _T.FINAL,  # nobody could write the first in time
    (_T.PROVISIONAL, _E.DISPUTE): _T.PROVISIONAL,  # the final version is its answer
    (_T.PROVISIONAL, _E.REJECT_DISPUTE): _T.PROVISIONAL,
    (_T.PROVISIONAL, _E.FINALISE): _T.FINAL,
    (_T.FINAL, _E.DISPUTE): _T.DISPUTED,
    (_T.FINAL, _E.CORRECT): _T.FINAL,
    (_T.FINAL, _E.SETTLE): _T.SETTLED,  # its window has ended
    (_T.DISPUTED, _E.DISPUTE): _T.DISPUTED,
    (_T.DISPUTED, _E.REJECT_DISPUTE): _T.FINAL,  # the last that had no answer
    (_T.DISPUTED, _E.CORRECT): _T.FINAL,
    (_T.SETTLED, _E.CORRECT): _T.FINAL,
}

REQUEST_OVER = frozenset({_R.UNMET, _R.COMPLETED, _R.SETTLED, _R.DISPUTED, _R.CANCELLED})
ORDER_OVER = frozenset({_S.REFUSED, _S.VOIDED, _S.COMPLETED, _S.ABORTED, _S.DEFAULTED, _S.CANCELLED})
ORDER_NEVER_HELD = frozenset({_S.REFUSED, _S.VOIDED, _S.CANCELLED})
ORDER_UNANSWERED = frozenset({_S.ISSUED, _S.RECEIVED})
OFFER_CALLABLE = frozenset({_O.LIVE, _O.STANDBY})
OFFER_STANDS = OFFER_CALLABLE | {_O.TENTATIVE, _O.AWARDED}

_SHOWN_TO_ALL = frozenset({_R.OPEN, _R.CANCELLED})
_HAS_BEGUN = frozenset({_S.ACTIVE, _S.SUSTAINING, _S.RECOVERING})
State = TypeVar("State", bound=StrEnum)


def shown(
    state: RequestState, power_w: int, own_orders: Iterable[tuple[OrderState, int]], *, is_past: bool
) -> RequestShown:
    """What a participant reads of a request: nothing but what its times and the participant's own orders tell.

    `power_w` is what is asked, `own_orders` the states and powers of their orders, `is_past` whether its period is.
    """
    if state in _SHOWN_TO_ALL:
        return RequestShown(state)
    live = [(order, held_w) for order, held_w in own_orders if order not in ORDER_OVER]
    if any(order in _HAS_BEGUN for order, _ in live):
        return RequestShown.ACTIVE
    if live:
        is_all = sum(held_w for _, held_w in live) >= power_w
        return RequestShown.AWARDED if is_all else RequestShown.PARTIALLY_AWARDED
    return RequestShown.OVER if is_past else RequestShown.CLEARING


class IllegalTransition(Exception):
    """The table has no such transition; the message names the state and the event."""

    def __init__(self, state: StrEnum, event: Event) -> None:
        super().__init__(f"expected a state that allows '{event}', got {state}")
        self.state = state
        self.event = event


def after(table: Mapping[tuple[State, Event], State], state: State, event: Event) -> State:
    """The state that follows. Raises IllegalTransition."""
    try:
        return table[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None


def allows(table: Mapping[tuple[State, Event], State], state: State, event: Event) -> bool:
    """Whether the event is possible now."""
    return (state, event) in table
