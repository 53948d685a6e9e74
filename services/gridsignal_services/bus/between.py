"""What lies on the log between two positions: read once, up to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from gridsignal_services.bus import Log, LogRecord, LogUnavailable

SILENCE_S = 30.0
"""For so long a log may have more and hand out nothing of it."""


async def read_between(
    log: Log,
    stream: str,
    starts: Mapping[int, int],
    ends: Mapping[int, int],
    take: Callable[[LogRecord], object],
    *,
    batch: int = 1000,
    silence_s: float = SILENCE_S,
) -> None:
    """Takes every record of [start, end) of each partition of `starts`, `batch` at once.

    Raises LogUnavailable, also where nothing more comes, and PositionGone where retention went by meanwhile.
    """
    wanted = _left(starts, ends)
    if not wanted:
        return
    reader = await log.reader(stream, {partition: starts[partition] for partition in wanted})
    try:
        async with asyncio.timeout(silence_s) as silence:
            while left := _left(reader.positions, ends):
                for record in await reader.read(batch):
                    if record.offset < ends[record.partition]:  # what came since is not asked for
                        take(record)
                if _left(reader.positions, ends) != left:
                    silence.reschedule(asyncio.get_running_loop().time() + silence_s)
    except TimeoutError:
        message = f"{stream}: expected to read up to an end, got nothing more in {silence_s:g} s"
        raise LogUnavailable(message) from None
    finally:
        await reader.aclose()


def _left(positions: Mapping[int, int], ends: Mapping[int, int]) -> dict[int, int]:
    """How many offsets are to be read yet of each partition that is not at its end."""
    return {partition: ends[partition] - at for partition, at in positions.items() if at < ends[partition]}
