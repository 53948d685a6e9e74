"""The clock of a log: that of the wall, or the simulated one it began with."""

from __future__ import annotations

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import GridClock
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.between import read_between
from gridsignal_services.bus.codec import Codec, Poison


async def is_empty(log: Log) -> bool:
    """Whether nothing was ever written to the dispatch stream."""
    return not any((await log.end_positions("dispatch")).values())


async def grid_clock(log: Log, codec: Codec) -> GridClock | None:
    """The clock a simulation began with, which is the first record of its dispatch stream; None on the real grid."""
    starts, ends = await log.start_positions("dispatch"), await log.end_positions("dispatch")
    begun = [partition for partition in range(TOPICS["dispatch"].partitions) if starts[partition] < ends[partition]]
    if not begun:
        return None
    at = begun[0]
    found: list[LogRecord] = []
    await read_between(log, "dispatch", {at: starts[at]}, {at: starts[at] + 1}, found.append, batch=1)
    try:
        first = codec.decode(found[0].value)
    except Poison:  # whatever somebody wrote there, it is no clock, and it is not the first record any more
        return None
    return first if isinstance(first, GridClock) else None
