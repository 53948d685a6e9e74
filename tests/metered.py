"""What an order delivered, put together as the dispatch door does it: its terms, then its readings."""

from __future__ import annotations

from collections.abc import Iterable

from gridsignal_schemas.messages import MeterReading
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.delivered import DeliveryInterval, measured, terms_of
from gridsignal_services.ledger.tracked import TrackedOrder


def delivery(book: Book, tracked: TrackedOrder, readings: Iterable[MeterReading]) -> list[DeliveryInterval]:
    """Nothing for limits and for orders that never held."""
    terms = terms_of(book, tracked)
    return [] if terms is None else measured(terms, readings)
