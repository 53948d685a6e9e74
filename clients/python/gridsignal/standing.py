"""Where a site's orders and offers stand, as the gateway answers: the states of a query as typed objects.

A decision: a frame in, values out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeGuard, TypeVar

from gridsignal_schemas.frames import Receipt, State, States
from gridsignal_schemas.messages import TOLERANT, DispatchOrder, FlexOffer, OrderState, ResponseKind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """An order that is not over."""

    order: DispatchOrder
    """As it stands: its present revision and state, and the power that was accepted."""
    accepted_w: int | None
    """What the site has accepted; None before it has."""
    answered: tuple[ResponseKind, ...]
    """What the site has said of it, each kind once, the first first."""

    @property
    def state(self) -> OrderState:
        return self.order.state

    @property
    def revision(self) -> int:
        return self.order.revision

    @property
    def binds(self) -> bool:
        """Whether the site must follow it: it was accepted, or has begun."""
        return self.accepted_w is not None


@dataclass(frozen=True, slots=True)
class OfferStatus:
    """An offer that is not over, on a request that is not."""

    offer: FlexOffer
    state: str
    """LIVE, STANDBY, TENTATIVE (ordered, and not accepted yet) or AWARDED."""
    awarded_w: int | None
    """What was awarded, or accepted of it."""
    receipt: Receipt | None

    @property
    def revision(self) -> int:
        return self.offer.revision


class Listing(list[T]):
    """What stands now."""

    def __init__(self, found: Iterable[T], *, more: bool) -> None:
        super().__init__(found)
        self.more = more
        """There is more than one answer holds; these are the oldest."""


def orders_in(states: States) -> Listing[OrderStatus]:
    """The orders of an answer to a query for what is live."""
    return Listing(map(_order, filter(_has_body, states.orders.values())), more=bool(states.more))


def offers_in(states: States) -> Listing[OfferStatus]:
    """The offers of an answer to a query for what is live."""
    return Listing(map(_offer, filter(_has_body, states.offers.values())), more=bool(states.more))


def _has_body(state: State | None) -> TypeGuard[State]:
    return state is not None and state.body is not None


def _order(state: State) -> OrderStatus:
    order = DispatchOrder.model_validate(state.body, extra="ignore", context=TOLERANT)
    answered = tuple(map(ResponseKind, filter(set(ResponseKind).__contains__, state.answered or ())))
    return OrderStatus(order, state.power_w, answered)


def _offer(state: State) -> OfferStatus:
    offer = FlexOffer.model_validate(state.body, extra="ignore", context=TOLERANT)
    return OfferStatus(offer, state.state, state.power_w, state.receipt)
