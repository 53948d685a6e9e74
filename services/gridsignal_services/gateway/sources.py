"""Where signals come from: dispatch from the replica's own reduce, the other streams read from the log."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from weakref import WeakValueDictionary

from gridsignal_protocol.setpoints import Setpoints
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import Record, RegulationSetpoint
from gridsignal_schemas.records import row_of
from gridsignal_services.access import Audience, Principal
from gridsignal_services.bus import Log, LogRecord, LogUnavailable
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.clock import MACHINE_TIME, Clock, Time, micros
from gridsignal_services.following import LONG_BYTES, Following
from gridsignal_services.gateway.groupkey import GroupKey
from gridsignal_services.gateway.history import StateEntry, Stream, StreamEntry
from gridsignal_services.gateway.lastvalues import DayStart, LastValues
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.snapshots import Snapshot
from gridsignal_services.ledger.entry import Outcome, audience_at_site
from gridsignal_services.replica import Replica
from gridsignal_services.telemetry import logger
from gridsignal_services.work import NOBODYS

READ = tuple(name for name, topic in TOPICS.items() if topic.subscribable and name != "dispatch")
_SNAPSHOTS = 256

Take = Callable[[str, StreamEntry], None]
"""Gets every record of a stream, in order, in the tick in which it is known."""


class Sources:
    """All streams as far as this gateway has read them, and their current state.

    Bounded: a ring and a table of last values a stream, see there; `_SNAPSHOTS`. When full: the one asked for longest
    ago is taken anew. Conflates: nothing.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        replica: Replica,
        clock: Clock,
        day_start: DayStart,
        settings: GatewaySettings,
        time: Time = MACHINE_TIME,
    ) -> None:
        self._log = log
        self._codec = codec
        self._replica = replica
        self._clock, self._time = clock, time
        self._settings = settings
        self.streams: dict[str, Stream] = {"dispatch": self._stream("dispatch", replica.positions)}
        self.tables = {name: LastValues(day_start) for name in READ}
        self.followed = {name: self._following(name) for name in READ}
        """The streams read from the log, as far as they are."""
        self._setpoints = Setpoints()
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._take: Take = lambda stream, entry: None
        self._snapshots: OrderedDict[tuple[str, str], Snapshot] = OrderedDict()
        """By stream and visibility, the one that was asked for longest ago first."""
        self._being_taken: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._states: WeakValueDictionary[int, StateEntry] = WeakValueDictionary()
        """Those of the states of dispatch that somebody holds, by the identity of their records: written once for all.
        """
        replica.listen(self._reduced)
        replica.on_restored(self._begin_dispatch)

    def _begin_dispatch(self) -> None:
        self.streams["dispatch"] = self._stream("dispatch", self._replica.positions)

    def _stream(self, name: str, start: dict[int, int]) -> Stream:
        positions = {partition: start.get(partition, 0) for partition in range(TOPICS[name].partitions)}
        return Stream(name, positions, records=self._settings.ring_records, weight=self._settings.ring_bytes)

    def deliver_to(self, take: Take) -> None:
        """From now on every record goes here."""
        self._take = take

    # --- from the log --------------------------------------------------------------------------------------------

    def _following(self, name: str) -> Following:
        # whoever resumed inside a hole would be given later records: where one comes to be, the process begins anew
        return Following(
            self._log,
            self._codec,
            name,
            partial(self._all_arrived, name),
            logger("gateway"),
            by="gateway",
            begin=partial(self._begin, name),
            batch=self._settings.catch_up_batch,
            retry_s=self._settings.read_retry_s,
            now_s=self._time.steady_s,
        )

    async def _begin(self, name: str) -> Mapping[int, int]:
        """Where the present state of a stream begins that is read from the log."""
        start = await self._log.start_positions(name)
        if TOPICS[name].conflates:
            recent = await self._log.position_at(name, self._some_days_ago_us())
            start = {partition: max(position, recent[partition]) for partition, position in start.items()}
        self.streams[name] = self._stream(name, start)
        return start

    def _some_days_ago_us(self) -> int:
        # append times are the wall's, or in a stepped simulation the grid's: the earlier of the two is safe in both
        now = min(self._clock.now(), self._time.wall())
        return micros(now - timedelta(days=self._settings.snapshot_days))

    async def _all_arrived(self, name: str, batch: Iterable[LogRecord]) -> None:
        for logged in batch:
            await self._arrived(name, logged)
        await asyncio.sleep(0)  # a burst leaves the loop to the writes in between

    async def _arrived(self, name: str, logged: LogRecord) -> None:
        # not as `entry` does: what is live waits for nobody's answers
        record = await self.followed[name].read(logged)
        if isinstance(record, RegulationSetpoint) and not self._setpoints.take(record, self._clock.now()):
            record = None
        entry = self._entry(logged, record)
        self.tables[name].add(entry)
        self._move(name, entry)

    def _move(self, name: str, entry: StreamEntry) -> None:
        self.streams[name].move(entry)
        self._take(name, entry)
        if self._waiting:
            self._wake()

    # --- from the reduce -----------------------------------------------------------------------------------------

    def _reduced(self, logged: LogRecord, record: Record, outcome: Outcome) -> None:
        delivered = outcome.accepted and row_of(record).is_delivered
        self._move("dispatch", StreamEntry(logged, record if delivered else None, outcome.audience))

    # --- for those who catch up ----------------------------------------------------------------------------------

    async def entry(self, logged: LogRecord) -> StreamEntry:
        """A record read again, as it was when it was live: a long one beside the loop."""
        is_long = len(logged.value) > LONG_BYTES
        return self._entry(logged, await NOBODYS.away(self._read, logged) if is_long else self._read(logged))

    def _read(self, logged: LogRecord) -> Record | None:
        try:
            record = self._codec.decode(logged.value)
        except Poison:
            return None  # it was counted when it was live
        is_late = isinstance(record, RegulationSetpoint) and not self._setpoints.is_current(record, self._clock.now())
        return None if is_late else record

    def is_over(self, entry: StreamEntry) -> bool:
        """Whether nobody is sent it any more, where it has waited for somebody."""
        return entry.is_over(self._clock.now())

    def _entry(self, logged: LogRecord, record: Record | None) -> StreamEntry:
        if record is None:
            return StreamEntry(logged, None)
        if logged.stream != "dispatch":
            is_public = TOPICS[logged.stream].is_public
            return StreamEntry(logged, record, Audience(zone=logged.key) if is_public else audience_at_site(record))
        ledger = self._replica.ledgers[logged.partition]
        if not row_of(record).is_delivered or logged.offset in ledger.refused_offsets:
            return StreamEntry(logged, None)
        return StreamEntry(logged, record, ledger.audience_of(record))

    async def snapshot(self, key: GroupKey) -> Snapshot:
        """The state of a stream for those who see what this key's viewer sees: of now, or of a moment ago."""
        seen_by = (key.stream, _visibility(key))
        async with self._being_taken.setdefault(seen_by, asyncio.Lock()):  # whoever comes meanwhile is shown the same
            return await self._snapshot(key, seen_by)

    async def _snapshot(self, key: GroupKey, seen_by: tuple[str, str]) -> Snapshot:
        if key.stream not in self.tables:
            await self._replica.whole()
        stream, now, now_s = self.streams[key.stream], self._clock.now(), self._time.steady_s()
        known = self._snapshots.pop(seen_by, None)
        fresh = known is not None and known.is_fresh(now, now_s, self._settings.snapshot_shared_s)
        if known is None or not fresh or not stream.ring.covers(known.place.positions):
            if known is not None:
                known.retire()
            place = stream.head
            known = Snapshot(place, await self._state(stream, key.viewer.principal, now), now, now_s)
        self._snapshots[seen_by] = known
        if len(self._snapshots) > _SNAPSHOTS:
            _, longest_ago = self._snapshots.popitem(last=False)
            longest_ago.retire()
        return known

    async def _state(self, stream: Stream, viewer: Principal, now: datetime) -> Sequence[StreamEntry]:
        """The state of a stream at the moment of the call, put together in slices; of dispatch what the viewer sees."""
        if stream.name in self.tables:
            return self.tables[stream.name].current(now)
        seen = [ledger.current(viewer) for ledger in self._replica.ledgers.values()]
        return await NOBODYS.each(chain.from_iterable(seen), self._entry_of)

    def _entry_of(self, seen: tuple[Record, Audience]) -> StreamEntry:
        record, audience = seen
        entry = self._states.get(id(record))
        if entry is None or entry.of is not record or entry.audience != audience:
            entry = StateEntry(record, audience, self._codec.encode)
        self._states[id(record)] = entry
        return entry

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds, looked at after each record. Raises LogUnavailable after a while."""
        if condition():
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, reached))
        try:
            async with asyncio.timeout(self._settings.answer_timeout_s):
                await reached
        except TimeoutError:
            raise LogUnavailable("expected to read as far as the cursor within a while, did not get there") from None

    def _wake(self) -> None:
        still = []
        for condition, reached in self._waiting:
            if reached.done():
                continue
            if condition():
                reached.set_result(None)
            else:
                still.append((condition, reached))
        self._waiting = still


def _visibility(key: GroupKey) -> str:
    """Whose state it is: on a public stream everybody's."""
    return key.viewer.principal.name
