"""How a subscription begins: the current state or everything since a cursor, then live, without a gap or a repeat.

A subscription that begins is not yet in its group: it is sent what it lacks, from memory where the ring reaches back
far enough, else from the log, until it stands at the stream's head in every partition. It joins in that same tick, so
that no record can come between (the splice that mercure#178 got wrong).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from gridsignal_schemas.frames import Conflated, Gap, Subscribed
from gridsignal_services.bus import Log, LogUnavailable, PositionGone
from gridsignal_services.gateway.cursor import CursorRefused, Place, Seal, advanced
from gridsignal_services.gateway.effects import Join
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.gateway.history import Entry, Stream
from gridsignal_services.gateway.hub import Group, Hub
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.sources import Sources
from gridsignal_services.gateway.websocket import Connection

Recovery = Literal["none", "full", "snapshot"]


@dataclass(frozen=True, slots=True)
class Start:
    """How a subscription begins."""

    recovery: Recovery
    place: Place | None = None
    """Where to go on from; None: from the head."""
    reason: str | None = None


class Joins:
    """Brings subscriptions into their groups.

    Bounded: `catch_up_readers` read the log at once, each of `catch_up_batch` records; a connection is sent no more
    than its socket takes. When full: subscriptions wait. Conflates: what `latest` replays, per series.
    """

    def __init__(
        self,
        log: Log,
        hub: Hub,
        sources: Sources,
        seal: Callable[[], Seal],
        settings: GatewaySettings,
        gauges: Gauges,
    ) -> None:
        self._log = log
        self._hub = hub
        self._sources = sources
        self._seal = seal
        self._settings = settings
        self._gauges = gauges
        self._readers = asyncio.Semaphore(settings.catch_up_readers)

    async def join(self, connection: Connection, asked: Join, group: Group) -> None:
        """Returns when the connection is a member. Raises LogUnavailable before the answer was sent."""
        stream = self._sources.streams[asked.key.stream]
        start = await self._start(stream, asked)
        self._gauges.joins.labels(start.recovery, start.reason or "").inc()
        connection.send(Subscribed(id=asked.id, sub=group.sub, recovery=start.recovery, reason=start.reason))
        catching_up = _CatchingUp(self, connection, group, stream, start.place or stream.head)
        if start.recovery == "snapshot":
            await self._snapshot(catching_up)
        while not await self._has_caught_up(catching_up):
            pass

    async def _has_caught_up(self, catching_up: _CatchingUp) -> bool:
        try:
            await catching_up.run()
        except LogUnavailable:  # the answer was given: it goes on from where it stands
            await asyncio.sleep(self._settings.read_retry_s)
            return False
        except PositionGone:  # retention was faster than this subscription
            catching_up.connection.send(Gap(sub=catching_up.group.sub, reason="retention"))
            await self._snapshot(catching_up)
            return False
        return True

    # --- how it begins -------------------------------------------------------------------------------------------

    async def _start(self, stream: Stream, asked: Join) -> Start:
        if asked.cursor is None:
            return Start("snapshot" if asked.snapshot else "none")
        try:
            place = self._seal().open(stream.name, asked.cursor, int(time.time()))
            await self._must_be_whole(stream, place)
        except CursorRefused as refused:
            return Start("snapshot", reason=refused.reason)
        return Start("full", place)

    async def _must_be_whole(self, stream: Stream, place: Place) -> None:
        """Raises CursorRefused where not everything from the place on can be had."""
        if len(place.positions) != len(stream.head.positions):
            raise CursorRefused("epoch_changed")
        if not stream.has_passed(place):
            await self._wait_for(stream, place)
        if stream.behind(place) > self._settings.catch_up_records:
            raise CursorRefused("too_far")
        if not stream.ring.covers(place.positions):
            starts = await self._log.start_positions(stream.name)
            if any(place.positions[partition] < start for partition, start in starts.items()):
                raise CursorRefused("retention")
        await self._must_be_this_epoch(stream, place)

    async def _wait_for(self, stream: Stream, place: Place) -> None:
        """Another gateway may have been ahead of this one; beyond the log's end is another epoch."""
        ends = await self._log.end_positions(stream.name)
        if any(place.positions[partition] > end for partition, end in ends.items()):
            raise CursorRefused("epoch_changed")
        await self._sources.until(lambda: stream.has_passed(place))

    async def _must_be_this_epoch(self, stream: Stream, place: Place) -> None:
        """The record before the place has the sealed append time, or the log is not the one it was."""
        if place.last_partition is None:
            return
        partition, offset = place.last_partition, place.positions[place.last_partition] - 1
        appended_us = stream.ring.appended_us(partition, offset)
        if appended_us is None:
            appended_us = await self._appended_us(stream.name, partition, offset)
        if appended_us is not None and appended_us != place.last_appended_us:
            raise CursorRefused("epoch_changed")

    async def _appended_us(self, stream: str, partition: int, offset: int) -> int | None:
        async with self._readers:
            try:
                reader = await self._log.reader(stream, {partition: offset})
            except PositionGone:
                return None  # retention has just passed it; what follows is still whole
            try:
                found = await reader.read(1)
            finally:
                await reader.aclose()
        return found[0].appended_us if found[0].offset == offset else None

    async def _snapshot(self, catching_up: _CatchingUp) -> None:
        """The state at one place, then that place."""
        connection, group, stream = catching_up.connection, catching_up.group, catching_up.stream
        place = stream.head
        entries = [entry for entry in self._sources.snapshot(stream.name) if group.key.wants(entry)]
        sender = _Sender(connection, group, self.room_bytes)
        for entry in entries:
            await sender.send(entry, None)
        self.tell_position(connection, group, stream, place)
        catching_up.place = catching_up.snapshot_place = place

    @property
    def room_bytes(self) -> int:
        """How much is sent before the connection is asked whether it takes more."""
        return self._settings.conflate_bytes

    # --- for those who catch up ----------------------------------------------------------------------------------

    def cursor(self, stream: Stream, place: Place) -> str:
        return self._seal().seal(stream.name, place, int(time.time()))

    def tell_position(self, connection: Connection, group: Group, stream: Stream, place: Place) -> None:
        connection.signal(group.sub, group.position(self.cursor(stream, place)))

    def attach(self, connection: Connection, group: Group) -> None:
        self._hub.attach(group, connection)

    async def read(self, stream: Stream, place: Place, take: Callable[[list[Entry]], Awaitable[Place]]) -> Place:
        """Reads the log from a place on until memory reaches back to where that has led."""
        async with self._readers:
            reader = await self._log.reader(stream.name, dict(enumerate(place.positions)))
            try:
                while not stream.ring.covers(place.positions):
                    async with asyncio.timeout(self._settings.answer_timeout_s):
                        logged = await reader.read(self._settings.catch_up_batch)
                    heads = stream.head.positions
                    read = [self._sources.entry(record) for record in logged if record.offset < heads[record.partition]]
                    place = await take(read)
            except TimeoutError:
                raise LogUnavailable(f"expected more of {stream.name} within a while, got nothing") from None
            finally:
                await reader.aclose()
        return place


class _Sender:
    """Signals outside the group, no faster than the connection takes them."""

    def __init__(self, connection: Connection, group: Group, limit_bytes: int) -> None:
        self._connection = connection
        self._group = group
        self._limit_bytes = limit_bytes
        self._sent_bytes = 0

    async def send(self, entry: Entry, cursor: str | None) -> None:
        prepared = self._group.signal(entry, cursor)
        self._connection.signal(self._group.sub, prepared)
        self._sent_bytes += len(prepared.message)
        if self._sent_bytes >= self._limit_bytes:
            self._sent_bytes = 0
            await self._connection.room()


class _CatchingUp:
    """One subscription on its way to the head.

    Bounded: a batch at a time; in `latest` one entry a series. When full: waits. Conflates: in `latest`, per series.
    """

    def __init__(self, joins: Joins, connection: Connection, group: Group, stream: Stream, place: Place) -> None:
        self._joins = joins
        self.connection = connection
        self.group = group
        self.stream = stream
        self.place = place
        self.snapshot_place: Place | None = None
        """Where a snapshot has ended, whose position has been told."""
        self._sender = _Sender(connection, group, joins.room_bytes)
        self._newest: dict[str, tuple[Entry, Place]] = {}
        self._skipped = 0

    async def run(self) -> None:
        while True:
            if not self.stream.ring.covers(self.place.positions):
                self.place = await self._joins.read(self.stream, self.place, self._take)
                continue
            if entries := self._from_memory():
                await self._take(entries)
                await asyncio.sleep(0)  # a long replay leaves the loop to others after each batch
            elif self._newest:
                await self._send_newest()
            elif self.connection.is_live:
                # nothing is awaited from here to the end: this is the tick in which it joins
                if self.place is not self.snapshot_place:
                    self._joins.tell_position(self.connection, self.group, self.stream, self.stream.head)
                self._joins.attach(self.connection, self.group)
                return
            else:
                return

    def _from_memory(self) -> list[Entry]:
        found: list[Entry] = []
        for partition, position in enumerate(self.place.positions):
            found += self.stream.ring.after(partition, position, 500)
        return found

    async def _take(self, entries: list[Entry]) -> Place:
        latest = self.group.key.mode == "latest"
        for entry in entries:
            self.place = advanced(self.place, entry.partition, entry.offset, entry.appended_us)
            if not entry.is_deliverable or not self.group.key.wants(entry):
                continue
            if latest and entry.series is not None:
                self._skipped += self._newest.pop(entry.series, None) is not None
                self._newest[entry.series] = (entry, self.place)
            else:
                await self._sender.send(entry, self._joins.cursor(self.stream, self.place))
        return self.place

    async def _send_newest(self) -> None:
        newest, self._newest = self._newest, {}
        skipped, self._skipped = self._skipped, 0
        if skipped:
            self.connection.send(Conflated(sub=self.group.sub, skipped=skipped))
        for entry, place in newest.values():
            await self._sender.send(entry, self._joins.cursor(self.stream, place))
