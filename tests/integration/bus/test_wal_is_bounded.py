"""The embedded log's write-ahead file stays small, also while others read all the time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_services.bus.sqlite import READING_THREADS, SqliteLog
from gridsignal_services.bus.sqlite_writer import CHECKPOINT_BYTES

PARTITION = partition_of("DE-LU", TOPICS["prices"].partitions)
VALUE = b"x" * 100_000
WRITTEN = 6 * CHECKPOINT_BYTES
BOUND = 3 * CHECKPOINT_BYTES


async def _read_for_ever(log: SqliteLog) -> None:
    """From the first record on, far behind what is kept in memory, again and again."""
    while True:
        reader = await log.reader("prices", {PARTITION: 0})
        for _ in range(10):
            await reader.read()


async def test_the_write_ahead_file_is_emptied_while_others_read_all_the_time(tmp_path: Path) -> None:
    log, longest = await SqliteLog.open(tmp_path), 0
    reading: list[asyncio.Task[None]] = []
    try:
        for written in range(0, WRITTEN, len(VALUE) * 16):
            await asyncio.gather(*(log.append("prices", "DE-LU", VALUE, {}) for _ in range(16)))
            if written == 0:
                reading = [asyncio.create_task(_read_for_ever(log)) for _ in range(READING_THREADS)]
            longest = max(longest, (tmp_path / "log.db-wal").stat().st_size)
        assert not [task for task in reading if task.done()]
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        await log.aclose()
    assert longest <= BOUND, f"{longest} bytes after {WRITTEN} written"
