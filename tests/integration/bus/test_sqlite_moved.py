"""The embedded log's file, moved away while it is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gridsignal_schemas.catalog import partition_of
from gridsignal_services.bus import LogUnavailable
from gridsignal_services.bus.sqlite import SqliteLog


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[SqliteLog]:
    log = await SqliteLog.open(directory)
    try:
        yield log
    finally:
        await log.aclose()


@pytest.mark.parametrize("moved", ["log.db", "."])
async def test_a_log_that_was_moved_away_takes_nothing_until_it_is_back(tmp_path: Path, moved: str) -> None:
    """What went into it meanwhile would be found by nobody."""
    partition, home, away = partition_of("FR", 6), (tmp_path / "home" / moved).resolve(), tmp_path / "away"
    async with opened(tmp_path / "home") as log:
        acknowledged = [await log.append("dispatch", "FR", b"before", {})]
        home.rename(away)
        for _ in range(2):
            with pytest.raises(LogUnavailable, match="No such file"):
                await log.append("dispatch", "FR", b"lost", {})
        (tmp_path / "home").mkdir(exist_ok=True)
        (tmp_path / "home" / "log.db").touch()
        with pytest.raises(LogUnavailable, match="moved or replaced"):
            await log.append("dispatch", "FR", b"in another", {})
        (tmp_path / "home" / "log.db").unlink()
        away.replace(home)
        acknowledged.append(await log.append("dispatch", "FR", b"after", {}))
    async with opened(tmp_path / "home") as log:
        reader = await log.reader("dispatch", {partition: 0})
        found = {record.offset: record.value for record in await reader.read()}
    assert [found[each.offset] for each in acknowledged] == [b"before", b"after"]
