"""The ledger of every zone, kept up to date from the log: every dispatch and gateway process has one.

Reading is not owning: any replica answers any read; what it appends counts only as its own reduce then says.

Bounded: the ledgers by what is live or was over lately; outcomes kept for appenders by _RECENT; one entry for each
    waiting caller. When full: the oldest outcome is forgotten, and its appender told that it is unknown. Conflates:
    nothing.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import FlexOffer, GridClock, Record
from gridsignal_services.bus import Log, LogRecord, LogUnavailable
from gridsignal_services.bus.codec import Codec, sha256_of
from gridsignal_services.bus.publish import append
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.checkpoints.saving import Keeper, Restored, Saving, ends_of_whole
from gridsignal_services.clock import steady_s
from gridsignal_services.following import Following
from gridsignal_services.headway import Headway
from gridsignal_services.ledger.contradicted import Contradicted
from gridsignal_services.ledger.entry import Entry, Outcome, entry_of
from gridsignal_services.ledger.offering import settled
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tree import leaf_of
from gridsignal_services.telemetry import logger
from gridsignal_services.timeouts import Timeouts

_log = logger("replica")
_DISPATCH = TOPICS["dispatch"]
_RECENT = 16_384
"""Outcomes kept for appenders that have not asked yet."""
_RETRY_S = 0.5
_BREATH_S = 0.002
"""How long reducing may keep the event loop before others get a turn."""

Listener = Callable[[LogRecord, Record, Outcome], None]
_Waiting = tuple[int, int, "asyncio.Future[Outcome | None]"]
"""For which offset, as the how-manieth, who."""


class Replica:
    """Reduces every partition of the dispatch stream."""

    def __init__(
        self,
        log: Log,
        codec: Codec,
        *,
        source: str,
        read_back_s: float = 5.0,
        breath_s: float = _BREATH_S,
        checkpoints: Checkpoints | None = None,
        now_s: Callable[[], float] = steady_s,
    ) -> None:
        self.checkpoints = checkpoints
        """Where it begins, and what it writes as it goes on; None: it begins with the log."""
        self.ledgers = {partition: Ledger(partition) for partition in range(_DISPATCH.partitions)}
        self._log, self._codec = log, codec
        self.source = source
        """What the records that are written here name as theirs."""
        self._following = Following(
            log,
            codec,
            "dispatch",
            self._reduce_all,
            _log,
            by="ledger",
            begin=self._begin,
            filled=self._reach_end_of_start,
            retry_s=_RETRY_S,
            now_s=now_s,
        )
        self._read_back, self._breath_s, self._now_s = Timeouts(read_back_s), breath_s, now_s
        self._listeners: list[Listener] = []
        self._saving = Saving(checkpoints, self.ledgers)
        self._waiting: defaultdict[int, list[_Waiting]] = defaultdict(list)
        """Of each partition a heap, the next to be reduced first."""
        self._asked = itertools.count()
        self._recent: OrderedDict[tuple[int, int], Outcome | None] = OrderedDict()
        self._contradicted: Contradicted | None = Contradicted()
        """Until the end of the log is reached."""
        self._moved = asyncio.Event()
        self._whole = asyncio.Event()
        """Cleared while a record is half reduced."""
        self._whole.set()
        self._breath = 0.0
        """When others get their next turn."""

    @property
    def positions(self) -> dict[int, int]:
        """The next offset of each partition: everything before it is reduced."""
        return {partition: ledger.position for partition, ledger in self.ledgers.items()}

    @property
    def headway(self) -> Headway:
        """How far it is."""
        return self._following.headway

    @property
    def grid(self) -> GridClock | None:
        """The simulation's clock; None where grid time is wall time."""
        return next((ledger.grid for ledger in self.ledgers.values() if ledger.grid), None)

    def ledger_of(self, zone: str) -> Ledger:
        """The ledger that holds a zone."""
        return self.ledgers[partition_of(zone, _DISPATCH.partitions)]

    def listen(self, listener: Listener) -> None:
        """Calls back for every record reduced from now on, in the order of each partition."""
        self._listeners.append(listener)

    def keep(self, keeper: Keeper) -> None:
        """Gives it each request that a partition's ledger lets go of, and asks it where a start may begin."""
        self._saving.keepers.append(keeper)

    def on_restored(self, restored: Restored) -> None:
        """Calls back when the ledgers are those of checkpoints: what came before their positions is never reduced."""
        self._saving.restored.append(restored)

    async def caught_up(self) -> None:
        """Returns once the end of the log seen at start is reduced."""
        await self._following.caught_up()

    async def moved(self) -> None:
        """Returns when something has been reduced since the last call."""
        await self._moved.wait()
        self._moved.clear()

    async def whole(self) -> None:
        """Returns when no record is half reduced: what is read before the next await is the state at one moment.

        It waits for one record at most: whoever waits has a turn before the next begins.
        """
        await self._whole.wait()

    async def run(self) -> None:
        """Reduces for ever; the log being away is waited for. Raises PositionGone where what was reduced is gone."""
        await self._following.run()

    async def _begin(self) -> Mapping[int, int]:
        await self._saving.restore(await ends_of_whole(self._log))
        return self.positions

    async def save(self) -> None:
        """Writes checkpoints for ever, where they are kept."""
        await self._saving.run()

    async def finish(self) -> None:
        """Saves what is reduced by now, if that takes little time: before an orderly end, while `save` goes on."""
        await self._saving.finish()

    async def reach_end(self, partitions: Iterable[int] | None = None) -> None:
        """Returns once everything is reduced that was on these partitions (all) when it was called.

        Raises LogUnavailable where the log can't be asked for its end.
        """
        ends = await self._log.end_positions("dispatch")
        for partition in ends if partitions is None else partitions:
            await self.passed(partition, ends[partition] - 1)

    def _reach_end_of_start(self) -> None:
        self._saving.reach_end()
        contradicted, self._contradicted = self._contradicted, None
        if contradicted is not None and (counts := contradicted.counts()):
            _log.warning(
                "the rules of this version make something else of the log than was announced: see docs/upgrading.md",
                **counts,
            )

    async def _reduce_all(self, records: list[LogRecord]) -> None:
        async with self._saving.reducing:
            self._breath = self._now_s() + self._breath_s
            for record in records:
                await self._reduce(record)
                await self._breathe()
        self._moved.set()

    async def _breathe(self) -> None:
        """A long catch-up, and a long record, leave room for pings."""
        if self._now_s() > self._breath:
            await asyncio.sleep(0)
            self._breath = self._now_s() + self._breath_s

    async def _reduce(self, logged: LogRecord) -> None:
        ledger = self.ledgers[logged.partition]
        outcome: Outcome | None = None
        record = await self._following.read(logged)
        if record is None:
            ledger.skip(logged.offset, leaf_of(logged))
        else:
            outcome = await self._outcome_of(ledger, entry_of(logged, record))
            if outcome.code == "DEFECT":
                _log.error("defect", partition=logged.partition, offset=logged.offset, record=record.record_name)
            if self._contradicted is not None:
                self._contradicted.look(ledger, record, outcome)
            for listener in self._listeners:
                listener(logged, record, outcome)
        self._saving.advance(logged)
        self._wake(logged.partition, logged.offset, outcome)
        if not self._whole.is_set():
            self._whole.set()
            await asyncio.sleep(0)  # for those who wait to read

    async def _outcome_of(self, ledger: Ledger, entry: Entry) -> Outcome:
        steps = ledger.steps(entry)
        while True:
            try:
                next(steps)
            except StopIteration as over:
                self._hand_over(ledger, entry.offset)
                outcome: Outcome = over.value
                return outcome
            self._whole.clear()
            self._hand_over(ledger, entry.offset)
            await self._breathe()

    def _hand_over(self, ledger: Ledger, offset: int) -> None:
        gone, ledger.forgotten[:] = list(ledger.forgotten), []
        for keeper in self._saving.keepers:
            for alone in gone:
                keeper.add(ledger.partition, offset, alone)

    def _wake(self, partition: int, offset: int, outcome: Outcome | None) -> None:
        self._recent[partition, offset] = outcome
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        waiting = self._waiting[partition]
        while waiting and waiting[0][0] <= offset:
            at, _, waiter = heappop(waiting)
            if not waiter.done():
                waiter.set_result(outcome if at == offset else None)

    async def passed(self, partition: int, offset: int) -> None:
        """Returns once everything up to and including `offset` is reduced."""
        if self.ledgers[partition].position <= offset:
            await self._outcome(partition, offset)

    async def submit(
        self,
        record: Record,
        principal: str,
        *,
        is_valid: bool = False,
        partition: int | None = None,
        signature: str | None = None,
        traceparent: str | None = None,
    ) -> Outcome:
        """Appends a record and answers what the reduce made of it.

        An offer that is on the log already is answered without being logged again. `is_valid`: see Codec.written;
        `partition`: that of a record without a zone; `signature`: that of whose word it is, checked already;
        `traceparent`: the caller's.

        Raises LogUnavailable when the log is away or the read-back takes too long: whether it counts is then unknown,
        and the same record again, or a query by its id, settles it.
        """
        value, _ = self._codec.written(record, is_valid=is_valid)
        if isinstance(record, FlexOffer):
            known = settled(self.ledger_of(record.zone).book, record, lambda: sha256_of(value))
            if known is not None:
                return known
        appended = await append(
            self._log,
            record,
            value,
            principal=principal,
            source=self.source,
            partition=partition,
            traceparent=traceparent,
            signature=signature,
        )
        try:
            with self._read_back.limit():
                outcome = await self._outcome(appended.partition, appended.offset)
        except TimeoutError:
            raise LogUnavailable("logged, but not read back in time: ask again or query by its id") from None
        if outcome is None:
            raise LogUnavailable("logged, but what became of it is unknown: ask again or query by its id")
        return outcome

    def _outcome(self, partition: int, offset: int) -> asyncio.Future[Outcome | None]:
        waiter: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        if self.ledgers[partition].position > offset:
            # the reduce may be faster than the appender's own wake-up
            waiter.set_result(self._recent.get((partition, offset)))
            return waiter
        heappush(self._waiting[partition], (offset, next(self._asked), waiter))
        return waiter
