"""A log that notes when each append of a price began: where the way of a price to its clients starts."""

from __future__ import annotations

import time
from collections.abc import Mapping

from gridsignal_services.bus import Appended, Log
from gridsignal_services.bus.around import AroundLog


class TimedLog(AroundLog):
    """Another log, timed. Bounded: one number a price of one day."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.began_s: dict[bytes, float] = {}
        """When the append of these bytes began, by time.perf_counter."""

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        if stream == "prices":
            self.began_s[value] = time.perf_counter()
        return await super().append(stream, key, value, headers, partition=partition)
