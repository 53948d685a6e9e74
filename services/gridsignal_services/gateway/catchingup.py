"""One subscription on its way to the head of its stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from gridsignal_protocol.server.subscription import Subscription
from gridsignal_schemas.frames import Conflated
from gridsignal_services.bus import LogRecord
from gridsignal_services.following import AT_ONCE_BYTES, counts_for
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.cursor import Place, advanced
from gridsignal_services.gateway.history import Stream, StreamEntry
from gridsignal_services.gateway.hub import Group
from gridsignal_services.gateway.snapshots import Shown

_SLICE = 25
"""Entries sent in one turn, about a millisecond."""


class Ways(Protocol):
    """What a subscription needs to get on."""

    @property
    def room_bytes(self) -> int:
        """How much is sent before the connection is asked whether it takes more."""

    async def turn(self, connection: Connection) -> None:
        """Returns when a slice may be done."""

    async def read(self, catching_up: CatchingUp) -> None:
        """Reads the log on."""

    async def entry(self, logged: LogRecord) -> StreamEntry: ...

    def is_over(self, entry: StreamEntry) -> bool:
        """Whether nobody is sent it any more."""

    def cursor(self, stream: Stream, place: Place) -> str: ...

    def tell_position(self, connection: Connection, group: Group, stream: Stream, place: Place) -> None: ...

    def attach(self, catching_up: CatchingUp) -> None: ...


class CatchingUp:
    """What is sent outside the group, no faster than the connection takes it.

    Bounded: a batch at a time; in `latest` one entry a series. When full: waits. Conflates: in `latest`, per series.
    """

    def __init__(
        self,
        ways: Ways,
        connection: Connection,
        subscription: Subscription,
        group: Group,
        stream: Stream,
        place: Place,
    ) -> None:
        self._ways = ways
        self.connection = connection
        self.subscription = subscription
        self.group = group
        self.stream = stream
        self.place = place
        self.was_shown = False
        """Whether it began with a state, whose position was told."""
        self._left: deque[StreamEntry | LogRecord] = deque()
        """Found and not yet looked at."""
        self._newest: dict[str, tuple[StreamEntry, Place]] = {}
        self._skipped = 0
        self._sent = self._sent_bytes = 0

    async def run(self) -> None:
        """Returns when it has joined its group, or is gone."""
        while True:
            await self._has_room(None)
            if not self.stream.ring.covers(self.place.positions):
                await self._ways.read(self)
            elif entries := self._from_memory():
                await self.take(entries)
            elif self._newest:
                await self._send_newest()
            elif not self.subscription.is_gone:
                # nothing is awaited from here to the end: this is the tick in which it joins
                if not self.was_shown:  # a second position would tell that others did something meanwhile
                    self._ways.tell_position(self.connection, self.group, self.stream, self.stream.head)
                self._ways.attach(self)
                return
            else:
                return

    def _from_memory(self) -> list[StreamEntry]:
        found: list[StreamEntry] = []
        for partition, position in enumerate(self.place.positions):
            found += self.stream.ring.after(partition, position, 500)
        return found

    async def show(self, shown: Shown) -> None:
        """Sends a state: what its group sees of it, without cursors."""
        at = 0
        while at < shown.end:
            await self._has_room(None)
            await self._ways.turn(self.connection)
            at = self._show(shown, at)

    def _show(self, shown: Shown, at: int) -> int:
        """Sends what is ready, or one piece that was not; returns how far it came."""
        was_ready = True
        while was_ready and at < shown.end and self._sent_bytes < self._ways.room_bytes:
            was_ready = shown.is_ready(at)
            batch, at = shown.piece(at)
            if batch.messages:
                self.connection.accept(batch)
                self._sent_bytes += len(batch.chunk)
        return at

    async def take(self, found: Sequence[StreamEntry | LogRecord], patience_s: float | None = None) -> bool:
        """Takes in what comes next; False where the client took no more for so long: the rest is to be found again."""
        self._left.extend(found)
        while self._left:
            if not await self._has_room(patience_s):
                self._left.clear()  # a client that is slow in a hundred subscriptions fills no memory with them
                return False
            await self._ways.turn(self.connection)
            left = AT_ONCE_BYTES
            while self._left and left > 0 and self._sent < _SLICE:
                known = self._left.popleft()
                left -= counts_for(known.value)
                self._take(known if isinstance(known, StreamEntry) else await self._ways.entry(known))
            self._sent = 0
        return True

    async def _pause(self) -> None:
        """After each slice."""
        if self._sent >= _SLICE:
            self._sent = 0
            await self._has_room(None)
            await self._ways.turn(self.connection)

    async def _has_room(self, patience_s: float | None) -> bool:
        """Whether the connection takes more; it is asked once enough was sent."""
        if self._sent_bytes >= self._ways.room_bytes:
            try:
                async with asyncio.timeout(patience_s):
                    await self.connection.room()
            except TimeoutError:
                return False
            self._sent_bytes = 0
        return True

    def _take(self, entry: StreamEntry) -> None:
        self.place = advanced(self.place, entry.partition, entry.offset, entry.appended_us)
        if not entry.is_deliverable or not self.group.key.wants(entry):
            return
        if self.group.key.mode == "latest" and entry.series is not None:
            self._skipped += self._newest.pop(entry.series, None) is not None
            self._newest[entry.series] = (entry, self.place)
        else:
            self._send(entry, self._ways.cursor(self.stream, self.place))

    async def _send_newest(self) -> None:
        newest, self._newest = self._newest, {}
        skipped, self._skipped = self._skipped, 0
        if skipped:
            self.connection.send(Conflated(sub=self.group.sub, skipped=skipped))
        for entry, place in newest.values():
            await self._pause()
            self._send(entry, self._ways.cursor(self.stream, place))

    def _send(self, entry: StreamEntry, cursor: str | None) -> None:
        if self._ways.is_over(entry):
            return
        prepared = self.group.signal(entry, cursor)
        self.connection.signal(self.group.sub, prepared)
        self._sent += 1
        self._sent_bytes += len(prepared.message)
