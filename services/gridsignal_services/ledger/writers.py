"""Who may write what: the reduce takes each record from those alone whose word it is."""

from __future__ import annotations

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    BaselineDeclaration,
    Clearing,
    ClearingTrigger,
    DispatchOrder,
    DispatchRequest,
    FlexOffer,
    OfferDecision,
    OfferWithdrawal,
    OrderResponse,
    Record,
    RequestCancellation,
)
from gridsignal_schemas.rules.faults import fault
from gridsignal_services.ledger.book import Book

_SERVICE = "service:"
_INGEST = "service:ingest"
"""It reads what anybody on the internet writes, so it speaks for the operators of its feeds and for nobody else."""
_AS_IF_ABSENT: dict[type[Record], str] = {
    OrderResponse: "ORDER_UNKNOWN",
    OfferWithdrawal: "OFFER_UNKNOWN",
    OfferDecision: "NOT_OWED",
    DispatchOrder: "NOT_OWED",
}
"""What is another's is answered like what does not exist."""


def writer_fault(book: Book, record: Record, principal: str) -> Detail | None:
    """Why this principal can't have caused the record; None where it can."""
    owner = _owner_of(book, record)
    if principal == _INGEST:
        may = isinstance(record, DispatchRequest | RequestCancellation)
    else:
        may = principal == owner or (principal.startswith(_SERVICE) and principal != _SERVICE)
    if may:
        return None
    code = _AS_IF_ABSENT.get(type(record), "FORBIDDEN")
    return fault(code, "", f"expected a record of {owner or 'the ledger'}, got one of {principal or 'nobody'}")


def _owner_of(book: Book, record: Record) -> str | None:
    """Whose word a record is; None for what the services say among themselves."""
    match record:
        case FlexOffer() | OfferWithdrawal() | OrderResponse() | BaselineDeclaration():
            return f"participant:{record.participant}"
        case DispatchRequest():
            return _operator_of(book, record.request_id) or f"operator:{record.operator}"
        case RequestCancellation() | DispatchOrder():
            return _operator_of(book, record.request_id)
        case Clearing() if record.trigger is ClearingTrigger.BY_HAND:
            return _operator_of(book, record.request_id)
        case _:
            return None


def _operator_of(book: Book, request_id: str) -> str | None:
    tracked = book.requests.get(request_id)
    operator = book.past.operator_of(request_id) if tracked is None else tracked.request.operator
    return None if operator is None else f"operator:{operator}"
