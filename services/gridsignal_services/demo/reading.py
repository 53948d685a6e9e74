"""The log read from its beginning to its end: what the figures are counted from."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gridsignal_schemas.messages import Record
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.codec import Codec

STREAMS = ("prices", "carbon", "dispatch", "readings")


async def logged(log: Log, codec: Codec) -> list[Record]:
    """Every record of every stream, each partition in its own order, from offset 0 to the end as it is now."""
    return [codec.decode(record.value) for stream in STREAMS for record in [r async for r in _whole(log, stream)]]


async def _whole(log: Log, stream: str) -> AsyncIterator[LogRecord]:
    start, end = await log.start_positions(stream), await log.end_positions(stream)
    open_ = {partition: offset for partition, offset in start.items() if offset < end[partition]}
    if not open_:
        return
    reader = await log.reader(stream, open_)
    try:
        while any(reader.positions[partition] < end[partition] for partition in open_):
            for record in await reader.read():
                yield record
    finally:
        await reader.aclose()
