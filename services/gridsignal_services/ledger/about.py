"""Whose request a participant's word is about."""

from __future__ import annotations

from gridsignal_schemas.messages import FlexOffer, OfferWithdrawal, OrderResponse, Record, SettlementDispute
from gridsignal_services.ledger.book import Book


def operator_of(book: Book, record: Record) -> str | None:
    """The operator whose request it is, by what the book has of the offer, order or settlement; None without one.

    The request that a withdrawal, an answer or a dispute names is asked only where the book has none of these: it may
    name none, or another.
    """
    return book.operator_of(_request_of(book, record) or "")


def _request_of(book: Book, record: Record) -> str | None:
    match record:
        case FlexOffer():
            return record.request_id
        case OfferWithdrawal():
            offered = book.offers.get((record.participant, record.offer_id))
            return record.request_id if offered is None else offered.offer.request_id
        case OrderResponse():
            ordered = book.orders.get(record.order_id)
            return record.request_id if ordered is None else ordered.order.request_id
        case SettlementDispute():
            settled = book.settlements.get(record.order_id)  # it outlives its order
            return record.request_id if settled is None else settled.of.request_id
    return None
