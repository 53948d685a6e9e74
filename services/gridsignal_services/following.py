"""One way to follow the log: a stream's records from a position on, for ever. Up to an end, see bus/between.py.

Whoever follows a stream fills up to the end that the log had at first, has then caught up, and goes on as records come.
The same holds for everybody:

- The log is away: that is told once in a while, and tried again from where it stands.
- A partition is stuck: that is told. The others go on.
- What comes next is no longer kept: who can begin at the first record that is, does, and says so. Who must not miss any
  ends, and its process with it: the next one begins anew, and tells its clients.
- A record can't be read: it is counted, the first of its kind is told of, and the partition goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import Record
from gridsignal_services.bus import Log, LogRecord, LogUnavailable, PositionGone, Reader
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.clock import steady_s
from gridsignal_services.headway import STUCK_S, Headway
from gridsignal_services.telemetry import Outage

Take = Callable[[list[LogRecord]], Awaitable[None]]
"""Takes in some records, those of each partition in their order."""
Begin = Callable[[], Awaitable[Mapping[int, int]]]
"""The position in each partition where reading begins. Raises LogUnavailable, and is then asked again."""
LONG_BYTES = 2048
"""A record longer than a day of five minutes takes more than some milliseconds to read, a clearing a tenth of a second:
they are read beside the loop."""
AT_ONCE_BYTES = 8192
"""What is read of records before others have a turn, about a millisecond; see `counts_for`."""
_LEAST_BYTES = 160


def counts_for(value: bytes) -> int:
    """What reading a record counts for, in bytes: a short one has its price, too."""
    return max(_LEAST_BYTES, len(value))


class Following:
    """One stream, followed for ever.

    Bounded: `batch` records at once. When full: the log keeps the rest. Conflates: nothing.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        stream: str,
        take: Take,
        out: structlog.typing.FilteringBoundLogger,
        *,
        by: str,
        begin: Begin | None = None,
        filled: Callable[[], None] = lambda: None,
        begins_again: bool = False,
        batch: int = 1000,
        retry_s: float = 1.0,
        look_s: float = 5.0,
        stuck_s: float = STUCK_S,
        now_s: Callable[[], float] = steady_s,
    ) -> None:
        """`by` names who follows. Without `begin` it begins with the first kept record; `begins_again` where that is no
        longer kept. `filled` is called once, when it has caught up. Every `look_s` the log is asked for its end."""
        self._log, self._codec, self._stream, self._take = log, codec, stream, take
        self._out = out.bind(stream=stream)
        self._begin, self._begins_again = begin or self._first_kept, begins_again
        self._filled, self._is_filled = filled, False
        self._batch, self._retry_s, self._look_s = batch, retry_s, look_s
        self.headway = Headway(by, stream, TOPICS[stream].partitions, now_s=now_s, stuck_s=stuck_s)
        """How far it is."""
        self._outage = Outage(self._out, "log")
        self._is_in_doubt = False
        """Whether its reader may be what is stuck: another one is to read on."""
        self._at_once = AT_ONCE_BYTES
        self._moved = asyncio.Condition()

    async def run(self) -> None:
        """For ever. Raises PositionGone where what comes next is not kept, and it may not begin again."""
        both = [asyncio.create_task(self._read_for_ever()), asyncio.create_task(self._look_for_ever())]
        try:
            ended, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.wait(both)

    async def caught_up(self) -> None:
        """Returns once everything has been taken that was there when reading began."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.headway.has_caught_up)

    async def reach_end(self, partitions: Iterable[int], within_s: float) -> None:
        """Returns once everything has been taken that is on these partitions now.

        Raises LogUnavailable where that takes too long, or the log can't be asked for its end.
        """
        ends = await self._log.end_positions(self._stream)
        await self.reach({partition: ends[partition] for partition in partitions}, within_s)

    async def reach(self, ends: Mapping[int, int], within_s: float) -> None:
        """Returns once everything before these offsets has been taken. Raises LogUnavailable: it takes too long."""
        try:
            async with asyncio.timeout(within_s), self._moved:
                await self._moved.wait_for(lambda: self.headway.has_passed(ends))
        except TimeoutError:
            message = f"expected to have read {self._stream} up to its end within {within_s:g} s, did not get there"
            raise LogUnavailable(message) from None

    async def at_rest(self) -> bool:
        """Whether all that is on the log has been taken. Raises LogUnavailable."""
        return self.headway.positions == await self._log.end_positions(self._stream)

    async def read(self, logged: LogRecord) -> Record | None:
        """What was logged. None where that is no record of ours: it is counted, and the first of its kind told of.

        Others have their turn where much is read at once.
        """
        self._at_once -= counts_for(logged.value)
        if self._at_once < 0:
            self._at_once = AT_ONCE_BYTES
            await asyncio.sleep(0)
        try:
            if len(logged.value) > LONG_BYTES:
                return await asyncio.to_thread(self._codec.decode, logged.value)
            return self._codec.decode(logged.value)
        except Poison as poison:
            if self.headway.pass_over(poison.reason):
                where = {"partition": logged.partition, "offset": logged.offset, "reason": poison.reason}
                self._out.warning("passed over what can't be read: more of its kind is counted, not told", **where)
            return None

    # --- reading -------------------------------------------------------------------------------------------------

    async def _read_for_ever(self) -> None:
        while True:
            try:
                await self._read_on()
            except LogUnavailable as away:
                await self._is_away(away)
            except PositionGone as gone:
                self.headway.lose(gone)
                if not self._begins_again:
                    raise
                self._out.warning("begins again", reason=str(gone))
                await asyncio.sleep(self._retry_s)

    async def _read_on(self) -> None:
        if not self.headway.positions:
            ends = await self._log.end_positions(self._stream)
            self.headway.begin(await self._begin(), ends)
        elif self._begins_again:
            await self._pass_over_what_is_gone()
        reader = await self._log.reader(self._stream, self.headway.positions)
        try:
            await self._move(self.headway.positions)
            while True:
                await self._take(await self._next(reader))
                await self._move(reader.positions)
                if self._is_in_doubt:
                    reader = await self._another(reader)
        finally:
            await reader.aclose()

    async def _next(self, reader: Reader) -> list[LogRecord]:
        # the reader is kept while the log is away: another one needs an answer for every partition
        while True:
            try:
                records = await reader.read(self._batch)
            except LogUnavailable as away:
                await self._is_away(away)
            else:
                self._outage.over()
                return records

    async def _another(self, reader: Reader) -> Reader:
        """One in the place of this one, where there is one to be had."""
        self._is_in_doubt = False
        try:
            other = await self._log.reader(self._stream, self.headway.positions)
        except LogUnavailable:
            return reader
        await reader.aclose()
        return other

    async def _is_away(self, away: LogUnavailable) -> None:
        self._outage.say(away)
        self.headway.away(away)
        await asyncio.sleep(self._retry_s)

    async def _first_kept(self) -> Mapping[int, int]:
        return await self._log.start_positions(self._stream)

    async def _pass_over_what_is_gone(self) -> None:
        starts, ends = await self._log.start_positions(self._stream), await self._log.end_positions(self._stream)
        positions = dict(self.headway.positions)
        for partition, start in starts.items():
            position = positions.get(partition, 0)
            if position < start:
                self._out.warning("records are gone unread", partition=partition, records=start - position)
            if not start <= position <= ends[partition]:  # beyond the end: the log was cut off, or is another one
                positions[partition] = start
        await self._move(positions)

    async def _move(self, positions: Mapping[int, int]) -> None:
        async with self._moved:
            self.headway.move(positions)
            if not self._is_filled and self.headway.has_caught_up:
                self._is_filled = True
                self._filled()
            self._moved.notify_all()

    # --- looking whether it gets on ------------------------------------------------------------------------------

    async def _look_for_ever(self) -> None:
        known_stuck, took_s, loop = frozenset[int](), 0.0, asyncio.get_running_loop()
        while True:
            # others ask the log, too, and one after the other: who waits long for an answer asks seldom
            await asyncio.sleep(max(self._look_s, 3 * took_s))
            began_s = loop.time()
            try:
                self.headway.look(await self._log.end_positions(self._stream))
            except LogUnavailable as away:
                self.headway.away(away)
            took_s = loop.time() - began_s
            self._is_in_doubt = self._is_in_doubt or self.headway.doubt()
            stuck = self.headway.stuck()
            for partition in stuck - known_stuck:
                self._out.error("stuck: the log has more and nothing comes", **self.headway.place(partition))
            for partition in known_stuck - stuck:
                self._out.info("goes on", **self.headway.place(partition))
            known_stuck = stuck
