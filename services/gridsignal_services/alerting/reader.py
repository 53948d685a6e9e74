"""Reads alerts and what sites say of them, for the door to answer from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from gridsignal_schemas.messages import AlertAck, GridAlert, GridClock
from gridsignal_services.alerting.table import AlertTable
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.clock import grid_time, steady_s
from gridsignal_services.following import Following
from gridsignal_services.telemetry import logger

_WITHIN_S = 20.0


class AlertsReader:
    """The table of alerts, read from the first kept record on.

    Alerts and words lie on two topics: all alerts that were logged before a word are read before it is looked at. Whose
    word it is the gateway has seen to. The log is asked once for all words of a batch whose alert is not known.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        grid: Callable[[], GridClock | None],
        heard: Callable[[AlertAck, datetime], None],
        now_s: Callable[[], float] = steady_s,
    ) -> None:
        """`grid` is the simulation's clock, once known; `heard` is told each word and when it was logged."""
        self.table = AlertTable()
        self._grid, self._heard = grid, heard
        out = logger("dispatch")
        self.alerts = Following(
            log, codec, "alerts", self._take_alerts, out, by="alerts", begins_again=True, now_s=now_s
        )
        self.words = Following(
            log, codec, "acknowledgements", self._take_words, out, by="alerts", begins_again=True, now_s=now_s
        )

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.alerts.run())
            await self.alerts.caught_up()
            tasks.create_task(self.words.run())

    async def caught_up(self) -> None:
        """Returns once all is read that was there when reading began."""
        await self.alerts.caught_up()
        await self.words.caught_up()

    async def at_rest(self) -> bool:
        """Whether all that is on the log was read. Raises LogUnavailable."""
        return await self.alerts.at_rest() and await self.words.at_rest()

    async def _take_alerts(self, records: list[LogRecord]) -> None:
        for logged in records:
            record = await self.alerts.read(logged)
            if isinstance(record, GridAlert):
                self.table.publish(record, grid_time(self._grid(), logged.appended_us))

    async def _take_words(self, records: list[LogRecord]) -> None:
        said = [(await self.words.read(logged), logged) for logged in records]
        unknown, partitions = list[tuple[AlertAck, datetime]](), set[int]()
        for record, logged in said:  # at one go: no alert comes between a word and a later one of the same kind
            if not isinstance(record, AlertAck):
                continue
            at = grid_time(self._grid(), logged.appended_us)
            self._heard(record, at)
            if not self.table.acknowledge(record, at):
                unknown.append((record, at))
                partitions.add(logged.partition)
        if unknown:
            await self.alerts.reach_end(partitions, _WITHIN_S)  # the alert came first: it is on the log
            for record, at in unknown:
                self.table.acknowledge(record, at)
