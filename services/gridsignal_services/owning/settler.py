"""Settles orders for their zone's owner: reads what meters said up to the end of the log, computes beside the loop.

What is owed follows from the ledger's state, so a crash between any two records repeats nothing and loses nothing.
A reading that comes after a final version has its orders looked at again; after a start all readings come once more,
and each settlement names those that it has counted.

Bounded: AT_ONCE orders at a time on each partition; a stretch of time for each site of the registry that has said
something since it was looked at. When full: what is owed waits its turn. Conflates: readings of a site, to the stretch
that holds them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import BaselineFixed, MeterReading, Record, Settlement
from gridsignal_schemas.rules.baselines import FOR_EVER
from gridsignal_services.bus import LogUnavailable
from gridsignal_services.kept_file import Unreadable
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.metering.older_readings import Held
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.owning.due import PassedOver, Subject, Undecidable, baseline_subject, subject_of
from gridsignal_services.owning.fixing import Unfixed, unfixed
from gridsignal_services.owning.settling import Unsettled, correctable, next_unsettled
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
_Stretch = tuple[datetime, datetime]


class Settler:
    """One task for each partition on which something is to be settled."""

    def __init__(
        self,
        replica: Replica,
        meters: ReadingsReader,
        append: Append,
        pass_over: Callable[[Ledger, Subject, str], None],
    ) -> None:
        self._replica, self._meters, self._append, self._pass_over = replica, meters, append, pass_over
        self._mine: frozenset[int] = frozenset()
        """The partitions that are ours."""
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._heard: dict[int, dict[str, _Stretch]] = {}
        """By partition of ours and site, of when something was said since it was looked at."""
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
        return not self._tasks and not any(self._heard.values())

    async def moved(self) -> None:
        """Returns when meters have said something since the last call."""
        await self._moved.wait()
        self._moved.clear()

    def take_over(self, mine: frozenset[int]) -> None:
        """Whoever owned a partition before may have left a later reading to us; what is no longer ours is theirs."""
        fresh, self._mine = mine - self._mine, mine
        for partition in self._heard.keys() - mine:
            del self._heard[partition]
        for partition in self._tasks.keys() - mine:
            self._tasks.pop(partition).cancel()
        for partition in fresh:
            book = self._replica.ledgers[partition].book
            for order_id, settlement in book.settlements.items():
                if settlement.newest is not None:
                    self._wait_for_more(settlement.newest.site, settlement.ended_at)
                    self._add(partition, settlement.newest.site, book.orders[order_id].order.starts_at, FOR_EVER)

    def go_on(self, ledger: Ledger, passed_over: PassedOver) -> None:
        """Begins to settle what is owed and to look at what was said since, unless that is under way."""
        task = self._tasks.get(ledger.partition)
        if task is not None and not task.done():
            return
        if task is not None:
            self._tasks.pop(ledger.partition).result()
        owes = any(baseline_subject(*key) not in passed_over for key in ledger.book.baselines_owed)
        if owes or self._heard.get(ledger.partition) or next(next_unsettled(ledger, passed_over), None) is not None:
            self._tasks[ledger.partition] = asyncio.create_task(self._settle(ledger, passed_over))

    def _hear(self, reading: MeterReading) -> None:
        if (until := self._until.get(reading.site)) is not None and reading.starts_at < until:
            partition = partition_of(reading.zone, TOPICS["dispatch"].partitions)
            if partition not in self._mine:
                return
            self._add(partition, reading.site, reading.starts_at, reading.ends_at)

    def _wait_for_more(self, site: str, ended_at: datetime) -> None:
        self._until[site] = max(self._until.get(site, ended_at), ended_at)

    def _add(self, partition: int, site: str, starts_at: datetime, ends_at: datetime) -> None:
        heard = self._heard.setdefault(partition, {})
        since, until = heard.get(site, (starts_at, ends_at))
        heard[site] = min(since, starts_at), max(until, ends_at)
        self._moved.set()

    async def _settle(self, ledger: Ledger, passed_over: PassedOver) -> None:
        await self._replica.whole()
        try:
            await self._fix(ledger, passed_over)
        except (LogUnavailable, Unreadable) as away:
            self._outage.say(away)
            await asyncio.sleep(_RETRY_S)
            return
        heard = self._heard.pop(ledger.partition, {})
        unsettled = list(islice(next_unsettled(ledger, passed_over), _AT_ONCE))
        unsettled += correctable(ledger, self._concerned(ledger, heard), passed_over)
        try:
            for start in range(0, len(unsettled), _AT_ONCE):
                await self._settle_some(ledger, unsettled[start : start + _AT_ONCE])
        except (LogUnavailable, Unreadable) as away:
            self._heard[ledger.partition] = heard | self._heard.get(ledger.partition, {})
            self._outage.say(away)
            await asyncio.sleep(_RETRY_S)
            return
        self._outage.over()

    async def _settle_some(self, ledger: Ledger, unsettled: Sequence[Unsettled]) -> None:
        made = [found for each in unsettled if (found := await self._made(ledger, each)) is not None]
        await self._append(ledger, [settlement for settlement, _ in made])
        for settlement, position in made:
            self._settled(ledger, settlement, position)

    async def _fix(self, ledger: Ledger, passed_over: PassedOver) -> None:
        """Writes the baselines that are owed, so many at a time. Raises LogUnavailable, Unreadable."""
        owed = (key for key in ledger.book.baselines_owed if baseline_subject(*key) not in passed_over)
        made = list[BaselineFixed]()
        for request_id, site in list(islice(owed, _AT_ONCE)):
            each = unfixed(ledger, request_id, site, self._meters.registry)
            if each is None:
                self._pass_over(ledger, baseline_subject(request_id, site), "the registry has no such zone")
                continue
            held = await self._history(each)
            try:
                made.append(await NOBODYS.away(each.fixed, held))
            except Undecidable as error:
                self._pass_over(ledger, error.subject, error.reason)
        await self._append(ledger, made)
        for fixed in made:
            if (fixed.request_id, fixed.site) in ledger.book.baselines_owed:
                self._pass_over(ledger, baseline_subject(fixed.request_id, fixed.site), "it was not accepted")

    async def _history(self, unfixed: Unfixed) -> list[Held]:
        """What meters said of the days that the method may go by."""
        for _ in range(_TRIES):
            held, position = list[Held](), 0
            for starts_at, ends_at in unfixed.periods():
                said = await self._meters.said(unfixed.zone, unfixed.site, unfixed.participant, starts_at, ends_at)
                held += said.held
                position = position or said.position
            if all(each.offset < position for each in held):
                break  # nothing of these days was said meanwhile: all is of one moment
        return held

    def _concerned(self, ledger: Ledger, heard: Mapping[str, _Stretch]) -> Iterator[str]:
        """The orders of whose periods something was said, or of the hours by which their baselines are adjusted."""
        book = ledger.book
        for site, (since, until) in heard.items():
            for order_id in list(book.orders_of_site.get(site, ())):
                settlement, order = book.settlements.get(order_id), book.orders[order_id].order
                fixed = book.fixed.get((order.request_id, site))
                window = None if fixed is None else fixed.record.window_starts_at
                starts_at = order.starts_at if window is None else min(window, order.starts_at)
                if settlement is not None and starts_at < until and since < settlement.ended_at:
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
            starts_at = ledger.book.orders[settlement.order_id].order.starts_at
            self._add(ledger.partition, settlement.site, starts_at, tracked.ended_at)
