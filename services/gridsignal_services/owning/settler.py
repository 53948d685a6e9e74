"""Settles orders for their zone's owner: reads what meters said up to the end of the log, computes beside the loop.

What is owed follows from the ledger's state, so a crash between any two records repeats nothing and loses nothing.
A reading that comes after a final version has its orders looked at again, whether they are in memory or on disk; after
a start all readings come once more, and each settlement names those that it has counted.

Bounded: AT_ONCE versions at a time on each partition; of each site of the registry, and each four weeks of its
readings, when the newest was logged. When full: what is owed waits its turn. Conflates: readings of a site and four
weeks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple, Protocol

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import BaselineFixed, MeterReading, Record, Settlement, SettlementStatus
from gridsignal_services.bus import LogUnavailable
from gridsignal_services.clock import EPOCH
from gridsignal_services.kept_file import Unreadable
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.metering.older_readings import Held
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.owning.due import PassedOver, Subject, Undecidable, baseline_subject, subject_of
from gridsignal_services.owning.fixing import Unfixed, unfixed
from gridsignal_services.owning.settling import Unsettled, owed_versions, settlement_subject, unsettled
from gridsignal_services.replica import Replica
from gridsignal_services.telemetry import Outage, logger
from gridsignal_services.work import NOBODYS

_log = logger("owner")
_AT_ONCE = 32
"""Orders settled before their records are written together."""
_RETRY_S = 0.5
_TRIES = 8
"""To read a site's history as of one moment, while its meters speak of those days."""
Append = Callable[[Ledger, Sequence[Record]], Awaitable[bool]]
_WEEKS = timedelta(days=28)
_WRITTEN_WITHIN = timedelta(hours=1)
"""What was logged longer before a version was counted by it: else it may have come while that was written."""


class _Heard(NamedTuple):
    """Four weeks of a site."""

    site: str
    number: int
    """Of four weeks since 1970."""

    @property
    def starts_at(self) -> datetime:
        return EPOCH + self.number * _WEEKS

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + _WEEKS


class OrdersThatLeft(Protocol):
    """What was kept of orders that have left the ledger's memory."""

    async def settled_order(self, order_id: str) -> Book | None:
        """The order with its request, its site and its settlement. None: it was not kept. Raises Unreadable."""

    async def settled_at(
        self, site: str, starts_at: datetime, ends_at: datetime, logged_by: datetime, now: datetime
    ) -> list[str]:
        """The orders of a site that touch a stretch of time, may still be corrected, and of which a version was
        logged by then. Raises Unreadable."""

    async def settled_until(self) -> Mapping[str, datetime]:
        """The latest end of the settled orders of each site. Raises Unreadable."""


class Settler:
    """One task for each partition on which something is to be settled."""

    def __init__(
        self,
        replica: Replica,
        meters: ReadingsReader,
        append: Append,
        pass_over: Callable[[Ledger, Subject, str], None],
        left: OrdersThatLeft | None = None,
    ) -> None:
        """Without `left` nothing is corrected that has left the ledger's memory."""
        self._replica, self._meters, self._append, self._pass_over = replica, meters, append, pass_over
        self._left = left
        self._mine: frozenset[int] = frozenset()
        """The partitions that are ours."""
        self._fresh: frozenset[int] = frozenset()
        """Those of them of which we don't know yet until when sites had orders."""
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._heard: dict[int, dict[_Heard, datetime]] = {}
        """By partition, of when something was said since it was looked at, and when the newest of it was logged; of
        those that are not ours since the start, for they may be some day."""
        self._until: dict[str, datetime] = {}
        """The latest end of the orders that each site has settled: what is said of later times corrects nothing."""
        self._moved = asyncio.Event()
        self._outage = Outage(_log, "readings", doing="settlements")
        meters.listen(self._hear)

    @property
    def under_way(self) -> list[asyncio.Task[None]]:
        """What is being settled, and what is done and not yet looked at."""
        return list(self._tasks.values())

    @property
    def at_rest(self) -> bool:
        """Whether all that meters said has been looked at."""
        return not self._tasks and not self._fresh and not any(map(self._heard.get, self._mine))

    async def moved(self) -> None:
        """Returns when meters have said something since the last call."""
        await self._moved.wait()
        self._moved.clear()

    def take_over(self, mine: frozenset[int]) -> None:
        """Whoever owned a partition before may have left a later reading to us; what is no longer ours is theirs."""
        self._fresh = (self._fresh & mine) | (mine - self._mine)
        self._mine = mine
        for partition in self._tasks.keys() - mine:
            self._tasks.pop(partition).cancel()

    def go_on(self, ledger: Ledger, passed_over: PassedOver) -> None:
        """Begins to settle what is owed and to look at what was said since, unless that is under way."""
        task = self._tasks.get(ledger.partition)
        if task is not None and not task.done():
            return
        if task is not None:
            self._tasks.pop(ledger.partition).result()
        owes = any(baseline_subject(*key) not in passed_over for key in ledger.book.baselines_owed)
        owes = owes or any(True for _ in owed_versions(ledger, passed_over))
        if owes or ledger.partition in self._fresh or self._heard.get(ledger.partition):
            self._tasks[ledger.partition] = asyncio.create_task(self._settle(ledger, passed_over))

    def _hear(self, reading: MeterReading, logged_at: datetime) -> None:
        partition = partition_of(reading.zone, TOPICS["dispatch"].partitions)
        is_known = partition in self._mine and partition not in self._fresh
        if not is_known or reading.starts_at < self._until.get(reading.site, EPOCH):
            self._add(partition, reading.site, reading.starts_at, reading.ends_at, logged_at)

    def _wait_for_more(self, site: str, ended_at: datetime) -> None:
        self._until[site] = max(self._until.get(site, ended_at), ended_at)

    def _add(self, partition: int, site: str, starts_at: datetime, ends_at: datetime, logged_at: datetime) -> None:
        for number in range((starts_at - EPOCH) // _WEEKS, (ends_at - EPOCH) // _WEEKS + 1):
            self._add_stretch(partition, _Heard(site, number), logged_at)
        self._moved.set()

    def _add_stretch(self, partition: int, stretch: _Heard, logged_at: datetime) -> None:
        heard = self._heard.setdefault(partition, {})
        heard[stretch] = max(heard.get(stretch, logged_at), logged_at)

    async def _settle(self, ledger: Ledger, passed_over: PassedOver) -> None:
        await self._replica.whole()
        try:
            await self._fix(ledger, passed_over)
        except (LogUnavailable, Unreadable) as away:
            self._outage.say(away)
            await asyncio.sleep(_RETRY_S)
            return
        try:
            if ledger.partition in self._fresh:
                await self._learn_ends(ledger)
            await self._settle_some(ledger, list(islice(owed_versions(ledger, passed_over), _AT_ONCE)), passed_over)
            await self._look_at_heard(ledger, passed_over)
        except (LogUnavailable, Unreadable) as away:
            self._outage.say(away)
            await asyncio.sleep(_RETRY_S)
            return
        self._outage.over()

    async def _learn_ends(self, ledger: Ledger) -> None:
        ends = {} if self._left is None else await self._left.settled_until()
        for site, ended_at in ends.items():
            self._wait_for_more(site, ended_at)
        for settlement in ledger.book.settlements.values():
            self._wait_for_more(settlement.of.site, settlement.ended_at)
        heard = self._heard.get(ledger.partition, {})
        for stretch in [each for each in heard if each.starts_at >= self._until.get(each.site, EPOCH)]:
            del heard[stretch]
        self._fresh -= {ledger.partition}

    async def _look_at_heard(self, ledger: Ledger, passed_over: PassedOver) -> None:
        """Some of what was said: no more than one stretch that has orders, for what is owed comes in between.

        What comes meanwhile of the same stretch has its turn after all others.
        """
        heard = self._heard.get(ledger.partition, {})
        for stretch in list(islice(heard, _AT_ONCE)):
            logged_at = heard.pop(stretch)
            try:
                has_orders = await self._correct(ledger, stretch, logged_at, passed_over)
            except BaseException:  # it ends, or the log is away: it is still to be looked at
                self._add_stretch(ledger.partition, stretch, logged_at)
                raise
            if has_orders:
                return

    async def _correct(self, ledger: Ledger, stretch: _Heard, logged_at: datetime, passed_over: PassedOver) -> bool:
        """Settles the orders of a stretch of which something was said; False where it has none."""
        found = await self._concerned(ledger, stretch, logged_at + _WRITTEN_WITHIN)
        for start in range(0, len(found), _AT_ONCE):
            some = [(order_id, SettlementStatus.CORRECTED) for order_id in found[start : start + _AT_ONCE]]
            await self._settle_some(ledger, some, passed_over)
        return bool(found)

    async def _settle_some(
        self, ledger: Ledger, due: Sequence[tuple[str, SettlementStatus]], passed_over: PassedOver
    ) -> None:
        made = list[tuple[Settlement, int]]()
        for order_id, status in due:
            each = await self._unsettled(ledger, order_id, status, passed_over)
            if each is not None and (found := await self._made(ledger, each)) is not None:
                made.append(found)
        await self._append(ledger, [settlement for settlement, _ in made])
        for settlement, position in made:
            self._settled(ledger, settlement, position)

    async def _unsettled(
        self, ledger: Ledger, order_id: str, status: SettlementStatus, passed_over: PassedOver
    ) -> Unsettled | None:
        """As the book has it at one moment, or as it was kept. Raises Unreadable."""
        await self._replica.whole()
        left: Book | None = None
        if order_id not in ledger.book.orders and self._left is not None:
            left = await self._left.settled_order(order_id)
            await self._replica.whole()
        found = unsettled(ledger, order_id, status, passed_over, left)
        if found is None and status is not SettlementStatus.CORRECTED and order_id not in ledger.book.orders:
            settlement = ledger.book.settlements.get(order_id)
            if settlement is not None and settlement.owed is status:
                subject = settlement_subject(order_id, settlement.version + 1)
                self._pass_over(ledger, subject, "nothing was kept of its order")
        return found

    async def _fix(self, ledger: Ledger, passed_over: PassedOver) -> None:
        """Writes the baselines that are owed, so many at a time. Raises LogUnavailable, Unreadable."""
        owed = (key for key in ledger.book.baselines_owed if baseline_subject(*key) not in passed_over)
        made = list[BaselineFixed]()
        for request_id, site in list(islice(owed, _AT_ONCE)):
            each = unfixed(ledger, request_id, site, self._meters.registry)
            if each is None:
                self._pass_over(ledger, baseline_subject(request_id, site), "the registry has no such zone")
                continue
            try:
                made.append(await NOBODYS.away(each.fixed, await self._history(each)))
            except Undecidable as error:
                self._pass_over(ledger, error.subject, error.reason)
        await self._append(ledger, made)
        for fixed in made:
            if (fixed.request_id, fixed.site) in ledger.book.baselines_owed:
                self._pass_over(ledger, baseline_subject(fixed.request_id, fixed.site), "it was not accepted")

    async def _history(self, unfixed: Unfixed) -> list[Held]:
        """What meters said of the days that the method may go by, as of one moment.

        Raises Undecidable where they go on speaking of them: what was declared holds then.
        """
        for _ in range(_TRIES):
            held, position = list[Held](), 0
            for starts_at, ends_at in unfixed.periods():
                said = await self._meters.said(unfixed.zone, unfixed.site, unfixed.participant, starts_at, ends_at)
                held += said.held
                position = position or said.position
            if all(each.offset < position for each in held):
                return held
        raise Undecidable(unfixed.subject, "its meters went on speaking of the days before while these were read")

    async def _concerned(self, ledger: Ledger, heard: _Heard, logged_by: datetime) -> list[str]:
        """The orders of whose periods something was said, or of the hours by which their baselines are adjusted."""
        found = dict.fromkeys(self._in_memory(ledger.book, heard, logged_by))
        if self._left is not None:
            stretch = (heard.site, heard.starts_at, heard.ends_at)
            found |= dict.fromkeys(await self._left.settled_at(*stretch, logged_by, ledger.book.now))
        return list(found)

    def _in_memory(self, book: Book, heard: _Heard, logged_by: datetime) -> Iterator[str]:
        for tracked in book.beside(heard.site, heard.starts_at, heard.ends_at + _WEEKS):  # of a window before it, too
            order, order_id = tracked.order, tracked.order.order_id
            settlement = book.settlements.get(order_id)
            if settlement is None or settlement.logged_at is None:
                continue
            fixed = book.fixed.get((order.request_id, heard.site))
            window = None if fixed is None else fixed.record.window_starts_at
            starts_at = order.starts_at if window is None else min(window, order.starts_at)
            touches = starts_at < heard.ends_at and heard.starts_at < settlement.ended_at
            if touches and settlement.logged_at <= logged_by:
                yield order_id

    async def _made(self, ledger: Ledger, unsettled: Unsettled) -> tuple[Settlement, int] | None:
        """The version, where there is one to write, and up to where readings were read for it."""
        order, terms = unsettled.order, unsettled.terms
        said = await self._meters.said(order.zone, order.site, order.participant, unsettled.since, terms.ends_at)
        if not unsettled.has_news(said):
            return None
        try:
            settlement = await NOBODYS.away(unsettled.settled, said)
        except Undecidable as error:
            self._pass_over(ledger, error.subject, error.reason)
            return None
        return None if settlement is None else (settlement, said.position)

    def _settled(self, ledger: Ledger, settlement: Settlement, position: int) -> None:
        """What was said while it was written is looked at once more.

        One that was owed when it was written, and still is, has a defect, and is not tried again.
        """
        tracked = ledger.book.settlements.get(settlement.order_id)
        if tracked is None:
            return
        if tracked.version < settlement.version:
            if tracked.owed is settlement.status:
                self._pass_over(ledger, subject_of(ledger, settlement), "it was not accepted")
            return
        self._wait_for_more(settlement.site, tracked.ended_at)
        if self._meters.newest(settlement.site) >= position:
            starts_at = settlement.intervals[0].starts_at if settlement.intervals else tracked.ended_at
            self._add(ledger.partition, settlement.site, starts_at, tracked.ended_at, ledger.book.now)
