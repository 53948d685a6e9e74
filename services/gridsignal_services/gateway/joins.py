"""How a subscription begins: the current state or everything since a cursor, then live, without a gap or a repeat.

A subscription that begins is not yet in its group: it is sent what it lacks, from memory where the ring reaches back
far enough, else from the log, until it stands at the stream's head in every partition. It joins in that same tick, so
that no record can come between (the splice that mercure#178 got wrong).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from gridsignal_protocol.server.subscription import Subscription
from gridsignal_schemas.frames import Recovery
from gridsignal_services.bus import Log, LogRecord, LogUnavailable, PositionGone
from gridsignal_services.bus.between import read_between
from gridsignal_services.clock import Time
from gridsignal_services.gateway.catchingup import CatchingUp
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.cursor import CursorRefused, CursorSeal, Place
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.gateway.history import Stream, StreamEntry
from gridsignal_services.gateway.hub import Group, Hub
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.sources import Sources
from gridsignal_services.gateway.turns import Turns
from gridsignal_services.slots import Slots

_BATCHES = 20
"""Read before a reader gives its place to others who wait."""
_PATIENCE_S = 0.05
"""How long a reader waits for a client that takes no more."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a subscription begins."""

    recovery: Recovery
    place: Place | None = None
    """Where to go on from; None: from the head."""
    reason: str | None = None


class Joins:
    """Brings subscriptions into their groups.

    Bounded: `catch_up_readers` read the log at once, each of `catch_up_batch` records, and none of them waits for a
    client; a connection is sent no more than its socket takes, and a little in each turn of its organisation's.
    When full: subscriptions wait. Conflates: what `latest` replays, per series.
    """

    def __init__(
        self,
        log: Log,
        hub: Hub,
        sources: Sources,
        seal: Callable[[], CursorSeal],
        settings: GatewaySettings,
        gauges: Gauges,
        turns: Turns,
        time: Time,
    ) -> None:
        self._log = log
        self._hub = hub
        self._sources = sources
        self._seal = seal
        self._settings = settings
        self._gauges = gauges
        self._turns = turns
        self._time = time
        self._readers = Slots(settings.catch_up_readers)

    async def join(self, connection: Connection, asked: Subscription, group: Group) -> None:
        """Returns when the connection is a member. Raises LogUnavailable before the answer was sent."""
        assert connection.session is not None
        stream = self._sources.streams[asked.want.stream]
        start = await self._start(stream, asked, connection.counted_for or "")
        self._gauges.joins.labels(start.recovery, start.reason or "").inc()
        connection.session.subscriptions.begun(asked, start.recovery, start.reason)
        connection.tell()
        catching_up = CatchingUp(self, connection, asked, group, stream, start.place or stream.head)
        if start.recovery == "snapshot":
            await self._snapshot(catching_up)
        while not await self._has_caught_up(catching_up):
            pass

    async def _has_caught_up(self, catching_up: CatchingUp) -> bool:
        try:
            await catching_up.run()
        except LogUnavailable:  # the answer was given: it goes on from where it stands
            await asyncio.sleep(self._settings.read_retry_s)
            return False
        except PositionGone:  # retention was faster than this subscription
            connection = catching_up.connection
            assert connection.session is not None
            connection.session.subscriptions.gap(catching_up.subscription, "retention")
            connection.tell()
            await self._snapshot(catching_up)
            return False
        return True

    # --- how it begins -------------------------------------------------------------------------------------------

    async def _start(self, stream: Stream, asked: Subscription, organisation: str) -> Beginning:
        if asked.cursor is None:
            return Beginning("snapshot" if asked.snapshot else "none")
        try:
            place = self._seal().open(stream.name, asked.cursor, self._time.wall_s())
            await self._must_be_whole(stream, place, organisation)
        except CursorRefused as refused:
            return Beginning("snapshot", reason=refused.reason)
        return Beginning("full", place)

    async def _must_be_whole(self, stream: Stream, place: Place, organisation: str) -> None:
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
        await self._must_be_this_epoch(stream, place, organisation)

    async def _wait_for(self, stream: Stream, place: Place) -> None:
        """Another gateway may have been ahead of this one; beyond the log's end is another epoch."""
        ends = await self._log.end_positions(stream.name)
        if any(place.positions[partition] > end for partition, end in ends.items()):
            raise CursorRefused("epoch_changed")
        await self._sources.until(lambda: stream.has_passed(place))

    async def _must_be_this_epoch(self, stream: Stream, place: Place, organisation: str) -> None:
        """The record before the place has the sealed append time, or the log is not the one it was."""
        if place.last_partition is None:
            return
        partition, offset = place.last_partition, place.positions[place.last_partition] - 1
        appended_us = stream.ring.appended_us(partition, offset)
        if appended_us is None:
            appended_us = await self._appended_us(stream.name, partition, offset, organisation)
        if appended_us is not None and appended_us != place.last_appended_us:
            raise CursorRefused("epoch_changed")

    async def _appended_us(self, stream: str, partition: int, offset: int, organisation: str) -> int | None:
        found: list[LogRecord] = []
        async with self._readers.place(organisation):
            bounds, patience_s = ({partition: offset}, {partition: offset + 1}), self._settings.answer_timeout_s
            # where retention has just passed it, what follows is still whole
            with contextlib.suppress(PositionGone):
                await read_between(self._log, stream, *bounds, found.append, batch=1, silence_s=patience_s)
        return found[0].appended_us if found else None

    async def _snapshot(self, catching_up: CatchingUp) -> None:
        """The state at one place, then that place."""
        group, stream = catching_up.group, catching_up.stream
        snapshot = await self._sources.snapshot(group.key)
        await catching_up.show(snapshot.shown_to(group))
        self.tell_position(catching_up.connection, group, stream, snapshot.place)
        catching_up.place, catching_up.was_shown = snapshot.place, True

    @property
    def room_bytes(self) -> int:
        """How much is sent before the connection is asked whether it takes more."""
        return self._settings.conflate_bytes

    # --- for those who catch up ----------------------------------------------------------------------------------

    async def entry(self, logged: LogRecord) -> StreamEntry:
        return await self._sources.entry(logged)

    def is_over(self, entry: StreamEntry) -> bool:
        return self._sources.is_over(entry)

    def cursor(self, stream: Stream, place: Place) -> str:
        return self._seal().seal(stream.name, place, self._time.wall_s())

    def tell_position(self, connection: Connection, group: Group, stream: Stream, place: Place) -> None:
        connection.signal(group.sub, group.position(self.cursor(stream, place)))

    def attach(self, catching_up: CatchingUp) -> None:
        connection = catching_up.connection
        assert connection.session is not None
        if connection.session.subscriptions.live(catching_up.subscription):
            self._hub.attach(catching_up.group, connection)

    async def turn(self, connection: Connection) -> None:
        """Returns when a slice of a replay may be done."""
        await self._turns.turn(connection.share, connection)

    async def read(self, catching_up: CatchingUp) -> None:
        """Reads the log on from where a subscription stands, until memory reaches back to it.

        Or until its client is slow or others have waited for a while: then the place among the readers goes to them.
        """
        stream = catching_up.stream
        async with self._readers.place(catching_up.connection.counted_for or ""):
            reader = await self._log.reader(stream.name, dict(enumerate(catching_up.place.positions)))
            batches = 0
            try:
                while not stream.ring.covers(catching_up.place.positions):
                    if batches >= _BATCHES and self._readers.are_wanted:
                        return
                    async with asyncio.timeout(self._settings.answer_timeout_s):
                        logged = await reader.read(self._settings.catch_up_batch)
                    batches += 1
                    heads = stream.head.positions
                    read = [record for record in logged if record.offset < heads[record.partition]]
                    if not await catching_up.take(read, _PATIENCE_S):
                        return
            except TimeoutError:
                raise LogUnavailable(f"expected more of {stream.name} within a while, got nothing") from None
            finally:
                await reader.aclose()
