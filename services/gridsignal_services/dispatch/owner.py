"""The owner of zones: writes the announcements, clearings and timers that the ledger says are due.

An owner decides nothing itself: what to append is `timers.next_records`, whether it counts is the reduce's to say. Two
owners at once do no harm: the first valid record counts, the other's is ignored by everyone.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from gridsignal_schemas.messages import Clearing
from gridsignal_services.bus import LogUnavailable
from gridsignal_services.clock import Clock
from gridsignal_services.dispatch.timers import next_due, next_records
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.replica import Replica
from gridsignal_services.telemetry import logger

_log = logger("owner")
_PRINCIPAL = "service:dispatch"
_RETRY_S = 0.5
_NOT_YET = timedelta(milliseconds=10)
"""The log's clock may be behind ours: a timer that came too early is repeated no sooner than this."""


class Owner:
    """Owns every partition: the embedded stack has one, a stack on Kafka one for each partition it was elected for."""

    def __init__(self, replica: Replica, clock: Clock) -> None:
        self._replica, self._clock = replica, clock

    async def run(self) -> None:
        """Acts for ever, from the moment the replica has caught up."""
        await self._replica.caught_up()
        while True:
            try:
                acted = [await self._act(ledger) for ledger in self._replica.ledgers.values()]
            except LogUnavailable as error:
                _log.warning("log unavailable, trying again", reason=str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            if not any(acted):
                await self._wait()

    async def _act(self, ledger: Ledger) -> bool:
        """Appends what is due on one partition; False when nothing was."""
        records = next_records(ledger, self._clock.now())
        for record in records:
            outcome = await self._replica.submit(record, _PRINCIPAL)
            if outcome.code == "TOO_EARLY":
                await self._clock.sleep_until(self._clock.now() + _NOT_YET)
            elif isinstance(record, Clearing) and not outcome.accepted:
                # overtaken by what was logged meanwhile, or a defect: neither may fill the log
                _log.warning("clearing not valid", request_id=record.request_id, code=outcome.code)
                await asyncio.sleep(_RETRY_S)
        return bool(records)

    async def _wait(self) -> None:
        """Until the log moves or the next timer is due, whichever comes first."""
        dues = [due for due in map(next_due, self._replica.ledgers.values()) if due is not None]
        moved = asyncio.ensure_future(self._replica.moved())
        timer = asyncio.ensure_future(self._clock.sleep_until(min(dues))) if dues else None
        waiting = [moved] if timer is None else [moved, timer]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
