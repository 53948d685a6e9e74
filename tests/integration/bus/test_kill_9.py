"""kill -9 of the process that owns the log, at any time: nothing acknowledged is lost, nothing lies there twice."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest

from gridsignal_services.bus import LogConfigurationError, LogRecord
from gridsignal_services.bus.sqlite import SqliteLog
from tests.patience import SOON_S

APPENDING = Path(__file__).with_name("appending.py")


async def _appended_until_killed(directory: Path, run: int, enough: int) -> list[tuple[int, int, bytes]]:
    """Starts the program, kills it after `enough` acknowledgements, and returns all that it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(APPENDING), str(directory), str(run), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines: list[bytes] = []
    async with asyncio.timeout(SOON_S):
        try:
            while len(lines) < enough:
                lines.append(await process.stdout.readline())
            if run == 0:
                with pytest.raises(LogConfigurationError, match=f"owned by pid {process.pid}"):
                    await SqliteLog.open(directory)
        finally:
            process.kill()
        lines += (await process.stdout.read()).splitlines(keepends=True)
        assert await process.wait() == -9
    rows = [line.split() for line in lines if line.endswith(b"\n")]
    return [(int(partition), int(offset), value) for partition, offset, value in rows]


async def _all(log: SqliteLog) -> list[LogRecord]:
    ends = await log.end_positions("dispatch")
    reader = await log.reader("dispatch", await log.start_positions("dispatch"))
    records: list[LogRecord] = []
    while dict(reader.positions) != ends:
        records += await reader.read()
    return records


async def test_nothing_acknowledged_is_lost_when_its_owner_is_killed(tmp_path: Path) -> None:
    acknowledged = []
    for run, enough in enumerate([1, 50, 333, 1200]):
        acknowledged += await _appended_until_killed(tmp_path, run, enough)
    log = await SqliteLog.open(tmp_path)
    records = await _all(log)
    await log.aclose()

    lying = {(record.partition, record.offset): record.value for record in records}
    assert [row for row in acknowledged if lying.get((row[0], row[1])) != row[2]] == []
    assert [value for value, times in Counter(record.value for record in records).items() if times > 1] == []
    assert all(record.headers == {"ce_id": record.value.decode()} for record in records)
    print(f"{len(acknowledged)} acknowledged, {len(records)} in the log, 0 lost, 0 twice")
