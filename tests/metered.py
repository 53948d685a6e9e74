"""What meters said, and what an order delivered by it, put together as the dispatch door does it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import count

from gridsignal_schemas.messages import MeterReading
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.delivered import DeliveryInterval, measured, terms_of
from gridsignal_services.ledger.tracked import TrackedOrder
from gridsignal_services.metering.meters import Meters

_OFFSETS = count()


def add_reading(meters: Meters, reading: MeterReading) -> None:
    """As what lies next on the log."""
    meters.add(reading, next(_OFFSETS), hashlib.sha256(reading.model_dump_json().encode()).digest())


def delivery(book: Book, tracked: TrackedOrder, readings: Iterable[MeterReading]) -> list[DeliveryInterval]:
    """Nothing for limits and for orders that never held."""
    terms = terms_of(book, tracked)
    return [] if terms is None else measured(terms, readings)
