"""What a client is told about its writes and questions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from gridsignal_schemas.frames import Detail, Frame, Query, Receipt, Received, Refused, State, States
from gridsignal_services.gateway.effects import Publish
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.reduce import Ledger

T = TypeVar("T")


def answer(asked: Publish, outcome: Outcome) -> Frame:
    """`received` where the log holds it and the reduce settled its identity, else `refused` with every reason."""
    if outcome.receipt is None or not (outcome.accepted or outcome.duplicate):
        return refused(asked, outcome.code.lower() or "refused", details=list(outcome.faults))
    return received(asked, outcome.receipt, duplicate=outcome.duplicate)


def received(asked: Publish, receipt: Receipt, *, duplicate: bool = False) -> Received:
    """The log holds it."""
    return Received(
        id=asked.id, offer_id=asked.offer_id, response_id=asked.response_id, receipt=receipt, duplicate=duplicate
    )


def refused(asked: Publish, code: str, *, retry_after_ms: int = 0, details: list[Detail] | None = None) -> Refused:
    """A refusal of one write; a time to wait makes it retriable."""
    return Refused(
        id=asked.id,
        offer_id=asked.offer_id,
        response_id=asked.response_id,
        code=code,
        retriable=retry_after_ms > 0,
        retry_after_ms=retry_after_ms,
        details=details or [],
    )


def states(query: Query, participant: str, ledgers: Iterable[Ledger]) -> States:
    """What the log holds of these ids; null for what it doesn't hold or what is another's."""
    all_ledgers = list(ledgers)
    return States(
        id=query.id,
        offers={name: _first(_offer(ledger, participant, name) for ledger in all_ledgers) for name in query.offer_ids},
        orders={name: _first(_order(ledger, participant, name) for ledger in all_ledgers) for name in query.order_ids},
        responses={
            name: _first(_response(ledger, participant, name) for ledger in all_ledgers) for name in query.response_ids
        },
    )


def _first(found: Iterable[T | None]) -> T | None:
    return next((state for state in found if state is not None), None)


def _offer(ledger: Ledger, participant: str, offer_id: str) -> State | None:
    tracked = ledger.offers.get((participant, offer_id))
    if tracked is None:
        return None
    return State(state=str(tracked.state), revision=tracked.offer.revision, receipt=tracked.receipt)


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
