"""Steps the grid's clock from one due moment to the next, once nobody has anything left to do before it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import SteppedClock
from gridsignal_services.demo.program import Program
from gridsignal_services.embedded import Stack
from gridsignal_services.owning.due import next_due

_STREAMS = ("prices", "carbon", "alerts", "dispatch", "readings")


class Conductor:
    """Conducts a day on the embedded log as fast as it will go.

    Quiet means: no append under way, every reader at the log's end, the owner waits and nothing is due, every program
    waits for its next message with an empty outbox and has answered a ping, every actor sleeps on the clock, and so
    does the replay of prices; and all of it still so when it is looked at again, with the log's end where it was.
    """

    def __init__(self, stack: Stack, log: SqliteLog, clock: SteppedClock, programs: Sequence[Program]) -> None:
        self._stack, self._log, self._clock, self._programs = stack, log, clock, programs

    async def conduct(self, actors: Sequence[asyncio.Task[None]]) -> None:
        """Until all actors are done."""
        while True:
            await self.quiet(actors)
            if all(actor.done() for actor in actors) or not self._clock.step():
                return

    async def quiet(self, actors: Sequence[asyncio.Task[None]]) -> None:
        """Returns when nobody has anything left to do before the clock's next step."""
        end, seen = await self._end(), 0
        while seen < 2:
            for program in self._programs:
                await program.settled()
            still = await self._still(actors)
            now = await self._end()
            seen = seen + 1 if still and now == end else 0
            end = now

    async def _still(self, actors: Sequence[asyncio.Task[None]]) -> bool:
        reduced = self._stack.replica.positions == await self._log.end_positions("dispatch")
        playing = self._stack.feeds.ingest.playing
        asleep = playing is not None and all(actor.done() or self._clock.sleeps(actor) for actor in (*actors, playing))
        if not (asleep and reduced and self._log.at_rest) or self._is_due():
            return False
        return await self._stack.dispatch.at_rest() and await self._stack.gateway.at_rest()

    def _is_due(self) -> bool:
        """Whether the owner is about to wake: the clock has come to what it waits for."""
        moments = map(next_due, self._stack.replica.ledgers.values())
        return any(moment is not None and moment <= self._clock.now() for moment in moments)

    async def _end(self) -> list[dict[int, int]]:
        return [await self._log.end_positions(stream) for stream in _STREAMS]
