"""The owner of zones: writes the announcements, clearings and timers that the ledger says are due.

An owner decides nothing itself: what to append is `timers.next_records`, whether it counts is the reduce's to say. Two
owners at once do no harm: the first valid record counts, the other's is ignored by everyone.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from gridsignal_schemas.messages import Clearing
from gridsignal_services.bus import Election, LogUnavailable
from gridsignal_services.clock import Clock
from gridsignal_services.dispatch.timers import next_due, next_records
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.replica import Replica
from gridsignal_services.telemetry import Outage, logger

_log = logger("owner")
_PRINCIPAL = "service:dispatch"
_RETRY_S = 0.5
_AT_ONCE = 64
"""Records appended before any of them is waited for."""
_NOT_YET = timedelta(milliseconds=10)
"""The log's clock may be behind ours: a timer that came too early is repeated no sooner than this."""


class Owner:
    """Acts on the partitions that an election gives it: all in the embedded stack, some of them on Kafka."""

    def __init__(self, replica: Replica, clock: Clock, election: Election) -> None:
        self._replica, self._clock, self._election = replica, clock, election
        self.partitions: frozenset[int] = frozenset()
        """Those it acts on now."""

    async def run(self) -> None:
        """Acts for ever, from the moment the replica has caught up."""
        await self._replica.caught_up()
        outage = Outage(_log, "log", doing="the owner's records")
        while True:
            try:
                await self._take_over()
                acted = [await self._act(self._replica.ledgers[partition]) for partition in sorted(self.partitions)]
            except LogUnavailable as away:
                outage.told(away)
                await asyncio.sleep(_RETRY_S)
                continue
            outage.over()
            if not any(acted):
                await self._wait()

    async def _take_over(self) -> None:
        """Reduces what the owner before it wrote, and only then acts."""
        mine = self._election.mine
        if fresh := mine - self.partitions:
            await self._replica.reach_end(fresh)
        if mine != self.partitions:
            _log.info("owns", partitions=sorted(mine))
        self.partitions = mine

    async def _act(self, ledger: Ledger) -> bool:
        """Appends what is due on one partition; False when nothing was."""
        records = next_records(ledger, self._clock.now())
        for start in range(0, len(records), _AT_ONCE):
            batch = records[start : start + _AT_ONCE]
            # appended in this order and waited for together: one by one, a busy gate would leave the owner behind
            outcomes = await asyncio.gather(*(self._replica.submit(record, _PRINCIPAL) for record in batch))
            if any(outcome.code == "TOO_EARLY" for outcome in outcomes):
                await self._clock.sleep_until(self._clock.now() + _NOT_YET)
            for record, outcome in zip(batch, outcomes, strict=True):
                if isinstance(record, Clearing) and not outcome.accepted:
                    # overtaken by what was logged meanwhile, or a defect: neither may fill the log
                    _log.warning("clearing not valid", request_id=record.request_id, code=outcome.code)
                    await asyncio.sleep(_RETRY_S)
        return bool(records)

    async def _wait(self) -> None:
        """Until the log moves, the next timer is due or the election turns, whichever comes first."""
        dues = [due for partition in self.partitions if (due := next_due(self._replica.ledgers[partition])) is not None]
        causes = [self._replica.moved(), self._election.changed()]
        if dues:
            causes.append(self._clock.sleep_until(min(dues)))
        waiting = [asyncio.ensure_future(cause) for cause in causes]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        for cause in done:
            cause.result()
