"""The log read from its beginning to its end: what the figures are counted from."""

from __future__ import annotations

from gridsignal_schemas.messages import Record
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.between import read_between
from gridsignal_services.bus.codec import Codec

STREAMS = ("prices", "carbon", "dispatch", "readings")


async def logged(log: Log, codec: Codec) -> list[Record]:
    """Every record of every stream, each partition in its own order, from offset 0 to the end as it is now."""
    found: list[LogRecord] = []
    for stream in STREAMS:
        starts, ends = await log.start_positions(stream), await log.end_positions(stream)
        await read_between(log, stream, starts, ends, found.append)
    return [codec.decode(record.value) for record in found]
