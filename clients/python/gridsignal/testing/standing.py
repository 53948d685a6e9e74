"""What the fake grid's ledger keeps of requests, offers and orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    DispatchOrder,
    DispatchRequest,
    FlexOffer,
    OfferOption,
    OrderState,
    ResponseKind,
    Timer,
)
from gridsignal_schemas.rules.answers import due_of
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import (
    OFFER,
    OFFER_CALLABLE,
    ORDER_OVER,
    REQUEST_OVER,
    Event,
    IllegalTransition,
    OfferState,
    RequestState,
    allows,
)
from gridsignal_schemas.rules.offers import Crowd


class DueTimer(NamedTuple):
    """Something that the clock brings about; sorted as a ledger's timers are."""

    at: datetime
    timer: Timer
    name: str
    """Of the request, offer or order."""


@dataclass(slots=True)
class Asked:
    """A request and where it stands. It is decided by the orders that a test publishes."""

    request: DispatchRequest
    place: int
    """Baselines declared later do not count."""
    state: RequestState = RequestState.OPEN
    revisions: dict[int, DispatchRequest] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.state in REQUEST_OVER

    @property
    def due(self) -> DueTimer | None:
        """The moment it waits for."""
        request = self.request
        if self.state is RequestState.OPEN:
            return DueTimer(request.gate_closure_at, Timer.GATE_CLOSURE, request.request_id)
        if self.state is RequestState.CLEARING:
            return DueTimer(request.decision_deadline, Timer.DECISION_DEADLINE, request.request_id)
        return None


@dataclass(slots=True)
class Standing:
    """An offer's newest revision and where it stands."""

    offer: FlexOffer
    state: OfferState
    codes: tuple[str, ...]
    """The rules it broke."""
    was_good: bool
    """It broke none when it came: it counts against what one may offer."""
    listed: bool
    """A request's book lists it; of others only the receipt is kept."""
    option: str | None = None
    """What was chosen of it."""
    awarded_w: int | None = None

    def as_far_as_kept(self, again: FlexOffer) -> FlexOffer:
        """The offer; of one that no book lists no more is kept than that it was there."""
        return self.offer if self.listed else again.model_copy(update={"revision": self.offer.revision})

    def option_named(self, name: str | None) -> OfferOption | None:
        """The option of that name."""
        return next((option for option in self.offer.options if option.option == name), None)

    def refusal_of(self, event: Event) -> Detail | None:
        """Why this can't happen to it now; None where it can."""
        if allows(OFFER, self.state, event):
            return None
        return fault("ILLEGAL_STATE", "", str(IllegalTransition(self.state, event)))

    @property
    def callable(self) -> bool:
        """Whether it can be awarded."""
        return self.state in OFFER_CALLABLE

    @property
    def due(self) -> DueTimer | None:
        """The moment it waits for."""
        return DueTimer(self.offer.expires_at, Timer.EXPIRY, self.offer.offer_id) if self.callable else None


def crowd_of(offer: FlexOffer, offers: Iterable[Standing], asked: Mapping[str, Asked]) -> Crowd:
    """How many good offers there are beside a new one."""
    good = [standing.offer for standing in offers if standing.was_good]
    here = [each for each in good if each.request_id == offer.request_id]
    standing = sum(each.request_id is not None and not asked[each.request_id].over for each in good)
    return Crowd(sum(each.site == offer.site for each in here), len(here), len(here), standing)


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
    responses: int = 0

    @property
    def power_w(self) -> int:
        return self.order.power_w if self.accepted_w is None else min(self.accepted_w, self.order.power_w)

    @property
    def over(self) -> bool:
        return self.state in ORDER_OVER

    @property
    def present(self) -> DispatchOrder:
        """As a snapshot holds it."""
        return self.order.model_copy(update={"state": self.state, "power_w": self.power_w})

    @property
    def due(self) -> DueTimer | None:
        """The moment it waits for."""
        due = due_of(self, obliged=self.obliged)
        return None if due is None else DueTimer(due.at, due.timer, self.order.order_id)
