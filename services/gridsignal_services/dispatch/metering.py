"""Measures orders for the door: away from the event loop where there is much to add up, a few at a time."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from datetime import datetime

from gridsignal_schemas.messages import MeterReading
from gridsignal_services.dispatch.past import readable
from gridsignal_services.dispatch.views import Metered
from gridsignal_services.kept_file import TooMany
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.delivered import DeliveryInterval, Terms, measured, terms_of, totals, unmeasured
from gridsignal_services.ledger.tracked import TrackedOrder
from gridsignal_services.metering.meters import Meters
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.work import Work

PAGE = 1000
"""Intervals of one order in an answer; more come with `metered_from`."""
_AT_ONCE = 2
_FEW = 100
"""Readings and baseline steps that are added up on the spot: in a millisecond or two."""


class Measuring:
    """What orders delivered.

    Bounded: two long sums at once, each over as many readings of one site as Meters reads; PAGE intervals an answer.
    When full: the third waits; of more readings there is a gap that says so. Conflates: nothing.
    """

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def of(self, book: Book, tracked: TrackedOrder, work: Work, since: datetime | None = None) -> Metered:
        """The order's delivery as far as it is metered; its intervals from `since` on. Raises Problem 503."""
        order = tracked.order
        period = order.site, order.participant, order.starts_at, order.ends_at
        with work.here():
            if (terms := terms_of(book, tracked)) is None:
                return Metered()
            readings = self._meters.at_hand(*period)
            if readings is not None and _are_few(terms, readings):
                return _page(terms, readings, since)
        async with self._turns:
            try:
                with readable():
                    readings = await self._meters.in_order_of_log(*period, work) if readings is None else readings
            except TooMany:
                return Metered(page=unmeasured(terms, Gap.TOO_MANY_READINGS))
            return await work.away(_page, terms, readings, since)


def _are_few(terms: Terms, readings: list[MeterReading]) -> bool:
    return len(readings) + sum(len(each.baseline.power_w) for each in terms.baselines) <= _FEW


def _page(terms: Terms, readings: list[MeterReading], since: datetime | None) -> Metered:
    intervals = measured(terms, readings)
    first = 0 if since is None else bisect_left(intervals, since, key=_start)
    following = intervals[first + PAGE].starts_at if len(intervals) > first + PAGE else None
    return Metered(totals(terms, intervals), intervals[first : first + PAGE], following)


def _start(interval: DeliveryInterval) -> datetime:
    return interval.starts_at
