"""When a site in an area comes back from an order that ends at another time: beside all others, as when it was made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import DispatchOrder, OrderState, RunMode
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ledger.area_guard import AreaGuard, Cut
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.staggering import HOLDS, rounded_up
from gridsignal_services.ledger.swings import Course, Swing, ended, followed
from gridsignal_services.ledger.tracked import TrackedOrder


def comes_back_at(book: Book, tracked: TrackedOrder, ends_at: datetime | None) -> datetime | None:
    """From when on a site may come back from an order that ends then, as soon as its areas let it.

    `ends_at` None: the order is cancelled now. None where there is nothing to say: its site is in no area, or has not
    left its baseline.
    """
    asked = _Asked.of(book, tracked)
    if asked is None or (ends_at is None and asked.before.there.since >= book.now):
        return None
    return asked.soonest(max(book.now, ends_at or book.now), asked.cancelled if ends_at is None else asked.revised)


def faults_of_coming_back(book: Book, tracked: TrackedOrder, change: DispatchOrder) -> Iterator[Detail]:
    """What an order's areas have against another end of it."""
    held, since = tracked.order.restore_not_before, change.restore_not_before
    asked = _Asked.of(book, tracked)
    if asked is None:
        if since != held:
            yield fault("NOT_CHANGEABLE", "/restore_not_before", "expected it as it was: its site is in no area")
        return
    if change.state is OrderState.CANCELLED:
        if asked.before.there.since < book.now:
            yield from _faults(asked, asked.cancelled, book.now, since, "/state")
    elif change.ends_at is not None and (change.ends_at, since) != (tracked.order.ends_at, held):
        yield from _faults(asked, asked.revised, change.ends_at, since, "/ends_at")


def _faults(
    asked: _Asked, swing_at: Callable[[datetime], Swing], ends_at: datetime, since: datetime | None, at: str
) -> Iterator[Detail]:
    if since is not None and since > ends_at + HOLDS:
        yield fault("NOT_AS_OFFERED", "/restore_not_before", f"expected {rfc3339(ends_at + HOLDS)} at the latest")
    elif (cut := asked.cut(swing_at(max(ends_at, since or ends_at)))) is not None:
        yield cut.detail(at)


class _Asked:
    """One order of a site in an area, which is to end at another time."""

    def __init__(self, book: Book, tracked: TrackedOrder, before: Swing) -> None:
        order = tracked.order
        self.before, self._now, self._site = before, book.now, order.site
        self._course: Course = book.course_of(tracked)
        is_dry = order.run_mode is RunMode.DRY_RUN
        self._guard = AreaGuard(book, is_dry=is_dry, without=order.order_id)

    @classmethod
    def of(cls, book: Book, tracked: TrackedOrder) -> _Asked | None:
        site = tracked.order.site
        before = book.swings.get(site, {}).get(tracked.order.order_id)
        return cls(book, tracked, before) if before is not None and site in book.areas_of_site else None

    def revised(self, restores_at: datetime) -> Swing:
        """What its site does if it comes back then."""
        return followed(self.before, self._course._replace(restores_at=restores_at), self._now)

    def cancelled(self, restores_at: datetime) -> Swing:
        """What its site does if it is cancelled, and comes back then."""
        return ended(self.before, self._course, self._now, restores_at) or self.before

    def cut(self, swing: Swing) -> Cut | None:
        """What is in the way of what lies ahead of it: what lies behind has happened."""
        moves = tuple(move for move in swing.corrections if move.since >= self._now)
        there = swing.there._replace(change_w=0)
        return self._guard.cut(self._site, swing._replace(there=there, corrections=moves))

    def soonest(self, ends_at: datetime, swing_at: Callable[[datetime], Swing]) -> datetime:
        restores_at = ends_at
        while (cut := self.cut(swing_at(restores_at))) is not None:
            if cut.until is None or cut.until <= restores_at:
                break  # no time helps: whoever asks is told so by the reduce, and an end is an end
            restores_at = rounded_up(cut.until)
        return restores_at
