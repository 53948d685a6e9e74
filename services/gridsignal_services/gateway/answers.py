"""What a client is told about its writes and questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from pydantic_core import to_json

from gridsignal_protocol.server.events import Publish
from gridsignal_protocol.server.replies import received, refused
from gridsignal_schemas.frames import Query, Received, Refused, State, States
from gridsignal_schemas.messages import DispatchOrder
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.standing import count_of, offers_of, orders_of
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedOrder

_STATES_A_SLICE = 8
"""Told with their bodies in about a millisecond."""
T = TypeVar("T")


def answer(asked: Publish, outcome: Outcome) -> Received | Refused:
    """`received` where the log holds it and the reduce settled its identity, else `refused` with every reason."""
    if outcome.receipt is None or not (outcome.accepted or outcome.duplicate):
        return refused(asked, outcome.code.lower() or "refused", details=list(outcome.faults))
    return received(asked, outcome.receipt, duplicate=outcome.duplicate)


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose offers and orders a query is about."""

    participant: str
    site: str | None
    """None: all the participant's sites."""


def states(query: Query, asker: Asker, ledgers: Iterable[Ledger], settings: GatewaySettings) -> States:
    """What the log holds of these ids; null for what it doesn't hold or what is another's."""
    all_ledgers, who = list(ledgers), asker.participant
    named = States(
        id=query.id,
        offers={name: _first(_offer(ledger, who, name) for ledger in all_ledgers) for name in query.offer_ids},
        orders={name: _first(_order(ledger, who, name) for ledger in all_ledgers) for name in query.order_ids},
        responses={name: _first(_response(ledger, who, name) for ledger in all_ledgers) for name in query.response_ids},
    )
    return _with_live(named, asker, all_ledgers, settings) if query.live else named


def slices(query: Query, asker: Asker, ledgers: Iterable[Ledger], settings: GatewaySettings) -> int:
    """How often whoever asks has to wait for a turn before it is answered."""
    if not query.live:
        return 1
    found = sum(count_of(ledger.book, asker.participant, asker.site) for ledger in ledgers)
    return 1 + min(found, 2 * settings.live_states) // _STATES_A_SLICE


def _with_live(named: States, asker: Asker, ledgers: list[Ledger], settings: GatewaySettings) -> States:
    who = (asker.participant, asker.site)
    orders = ((o.order_id, _live_order(o, t)) for ledger in ledgers for o, t in orders_of(ledger.book, *who))
    offers = ((o.offer.offer_id, _live_offer(o)) for ledger in ledgers for o in offers_of(ledger.book, *who))
    room = _Room(settings.live_bytes)
    live_orders = list(room.fill(orders, settings.live_states))
    live_offers = list(room.fill(offers, settings.live_states))
    return named.model_copy(
        update={
            "orders": named.orders | dict(live_orders),
            "offers": named.offers | dict(live_offers),
            "more": room.overflowed,
        }
    )


class _Room:
    """How much more goes into an answer."""

    def __init__(self, left_bytes: int) -> None:
        self._left = left_bytes
        self.overflowed = False

    def fill(self, found: Iterable[tuple[str, State]], most: int) -> Iterator[tuple[str, State]]:
        """The first of what was found that there is room for."""
        for count, (name, state) in enumerate(found):
            self._left -= len(to_json(state.body))
            if count == most or self._left < 0:
                self.overflowed = True
                return
            yield name, state


def _live_order(order: DispatchOrder, tracked: TrackedOrder) -> State:
    return State(
        state=str(tracked.state),
        revision=order.revision,
        power_w=None if tracked.accepted_w is None else tracked.power_w,
        answered=[str(kind) for kind in tracked.answered],
        body=order.model_dump(mode="json", exclude_none=True),
    )


def _live_offer(tracked: TrackedOffer) -> State:
    return State(
        state=str(tracked.state),
        revision=tracked.offer.revision,
        receipt=tracked.receipt,
        power_w=tracked.power_w,
        body=tracked.offer.model_dump(mode="json", exclude_none=True),
    )


def _first(found: Iterable[T | None]) -> T | None:
    return next((state for state in found if state is not None), None)


def _offer(ledger: Ledger, participant: str, offer_id: str) -> State | None:
    found = ledger.offer_state(participant, offer_id)
    if found is None:
        return None
    decision = ledger.book.announcements.last_announced("offer", participant, offer_id)
    reason = decision.reason if decision is not None and decision.revision == found.revision else ""
    return State(
        state=str(found.state),
        revision=found.revision,
        receipt=found.receipt,
        codes=list(found.codes) or None,
        reason=reason or None,
    )


def _order(ledger: Ledger, participant: str, order_id: str) -> State | None:
    tracked = ledger.orders.get(order_id)
    if tracked is None or tracked.order.participant != participant:
        return None
    return State(state=str(tracked.state), revision=tracked.order.revision)


def _response(ledger: Ledger, participant: str, response_id: str) -> State | None:
    tracked = ledger.responses.get((participant, response_id))
    if tracked is None:
        return None
    said = tracked.response
    return State(state=str(said.response), revision=said.revision, receipt=tracked.receipt)
