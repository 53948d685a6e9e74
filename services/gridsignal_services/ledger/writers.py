"""Who may write what: the reduce takes each record from those alone whose word it is."""

from __future__ import annotations

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import Clearing, ClearingTrigger, DispatchRequest, Record
from gridsignal_schemas.records import field_of, row_of
from gridsignal_schemas.rules.faults import fault
from gridsignal_services.bus import SERVICE
from gridsignal_services.ledger.book import Book

INGEST = f"{SERVICE}ingest"
"""It reads what anybody on the internet writes, so it speaks for the operators of its feeds and for nobody else."""


def writer_fault(book: Book, record: Record, principal: str) -> Detail | None:
    """Why this principal can't have caused the record; None where it can."""
    row, owner = row_of(record), _owner_of(book, record)
    if principal == INGEST:
        may = row.by_feeds
    else:
        may = principal == owner or (principal.startswith(SERVICE) and principal != SERVICE)
    if may:
        return None
    expected = f"expected a record of {owner or 'the ledger'}, got one of {principal or 'nobody'}"
    return fault(row.unknown, "", expected)


def _owner_of(book: Book, record: Record) -> str | None:
    """Whose word a record is; None for what the services say among themselves."""
    if isinstance(record, Clearing) and record.trigger is ClearingTrigger.BY_HAND:
        return _operator_of(book, record.request_id)
    match row_of(record).word_of:
        case "participant":
            return f"participant:{field_of(record, 'participant')}"
        case "operator":
            asks = f"operator:{record.operator}" if isinstance(record, DispatchRequest) else None
            return _operator_of(book, field_of(record, "request_id")) or asks
        case _:
            return None


def _operator_of(book: Book, request_id: str) -> str | None:
    operator = book.operator_of(request_id)
    return None if operator is None else f"operator:{operator}"
