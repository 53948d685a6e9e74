"""Whose request a participant's word is about."""

from __future__ import annotations

from gridsignal_schemas.messages import FlexOffer, OfferWithdrawal, OrderResponse, Record, SettlementDispute
from gridsignal_services.ledger.book import Book


def operator_of(book: Book, record: Record) -> str | None:
    """The operator whose request it is, by what the book has of the offer or the order; None where there is none.

    The request that a withdrawal or an answer names is not asked: it may name none, or another.
    """
    asked = book.requests.get(_request_of(book, record) or "")
    return None if asked is None else asked.request.operator


def _request_of(book: Book, record: Record) -> str | None:
    match record:
        case FlexOffer():
            return record.request_id
        case OfferWithdrawal():
            offered = book.offers.get((record.participant, record.offer_id))
            return record.request_id if offered is None else offered.offer.request_id
        case OrderResponse() | SettlementDispute():
            ordered = book.orders.get(record.order_id)
            return record.request_id if ordered is None else ordered.order.request_id
    return None
