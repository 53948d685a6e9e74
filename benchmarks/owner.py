"""An owner in a process of its own that reads a month, settles it and tells it; what it takes in time and memory."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, suppress
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import fastavro

from benchmarks.machine import SERVER, cpu_s, pin
from benchmarks.month import CALLED_W, DRAWN_W, HOUR, ZONE, Month, values
from gridsignal.testing import ManualClock
from gridsignal_schemas.catalog import TOPICS, avro_schema
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SoleCandidate, SqliteLog
from gridsignal_services.clock import micros
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.owning.owner import Owner
from gridsignal_services.replica import Replica
from gridsignal_services.telemetry import configure_logging
from gridsignal_services.work import let_the_loop_in
from tests.integration.a_door import Caller, a_door, callers_of

_ALL = frozenset(range(TOPICS["dispatch"].partitions))
_LOOK_S = 0.25
_READ_BACK_S = 120.0
_ASKED = 20
"""Questions of each kind."""
_PEERS_MOST = 400_000
"""Readings that the peer takes in."""
Said = dict[str, Any]


def measured(directory: Path, month: Month) -> Said:
    """What an owner took, and the peer beside it."""
    pin(SERVER)
    let_the_loop_in()  # as `gridsignal up` does
    configure_logging(json=False, level="WARNING")
    return asyncio.run(_owner(directory, month)) | {"peer": _peer(directory, month)}


async def _owner(directory: Path, month: Month) -> Said:
    clock, registry, said = ManualClock(month.ends_at), month.registry(), Said()
    log = await SqliteLog.open(directory, append_time_us=lambda: micros(clock.now()))
    replica = Replica(log, Codec.from_lock(), source="/benchmark", read_back_s=_READ_BACK_S)
    door = a_door(log, replica, clock, directory / "door", registry)
    _, caller = callers_of(door, directory / "door")
    meters = ReadingsReader(log, Codec.from_lock(), registry, lambda: replica.grid, directory / "older")
    owner = Owner(replica, clock, SoleCandidate(_ALL), None, meters)
    async with _going_on(replica.run()):
        await replica.caught_up()
        async with _taken(said, "reading"), _going_on(meters.following.run(), lasts=False) as following:
            await meters.following.caught_up()
        said["disk"] = {
            "log_bytes": (directory / "log.db").stat().st_size,
            "older_bytes": sum(file.stat().st_size for file in (directory / "older").glob("*")),
        }
        owed = replica.ledger_of(ZONE).book.settlements_owed
        said["orders"] = len(owed)
        said["one_order_read_back_ms"] = await _read_back(meters, month)
        async with _taken(said, "settling"), _going_on(owner.run()):
            while owed:
                await replica.moved()
        said["statements_ms"] = await _statements(caller)
        following.cancel()
    meters.meters.close()
    await log.aclose()
    return said


@asynccontextmanager
async def _going_on(work: Coroutine[Any, Any, None], *, lasts: bool = True) -> AsyncIterator[asyncio.Task[None]]:
    """What goes on beside the block, and after it where it does not `lasts`."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        if lasts:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def _taken(said: Said, what: str) -> AsyncIterator[None]:
    """Says what the block took: seconds, seconds of CPU, and the process's memory at a tenth, two tenths and so on."""
    memory = [_resident_mb()]

    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            memory.append(_resident_mb())

    began_s, began_cpu_s = time.perf_counter(), cpu_s()
    async with _going_on(look()):
        yield
    said[what] = {
        "s": time.perf_counter() - began_s,
        "cpu_s": cpu_s() - began_cpu_s,
        "mb": [memory[round(tenth * (len(memory) - 1) / 10)] for tenth in range(11)],
    }


def _resident_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() // 1_000_000


async def _read_back(meters: ReadingsReader, month: Month) -> float:
    """What meters said of one order: of the oldest and of others."""
    took = []
    for number in range(_ASKED):
        name, since = f"p{number % month.sites}", month.called_at(number % month.orders)
        began_s = time.perf_counter()
        said = await meters.said(ZONE, f"{name}-1", name, since, since + HOUR)
        took.append(1000 * (time.perf_counter() - began_s))
        assert len(said.held) == HOUR.total_seconds() // month.reading_s
    return median(took)


async def _statements(caller: Caller) -> Said:
    """A site's month as its participant reads it; the operator's, of which the first page has the totals of all."""
    asked = {
        "a site's, JSON": ("participant", "p0", {"site": "p0-1"}),
        "a site's, to print": ("participant", "p0", {"site": "p0-1", "format": "page"}),
        "the operator's, JSON": ("operator", "tso-north", {}),
        "the operator's, CSV": ("operator", "tso-north", {"format": "csv", "limit": "500"}),
    }
    said = Said()
    for name, (role, who, params) in asked.items():
        took = []
        async with caller(role, who) as client:  # type: ignore[arg-type]  # both are roles
            for _ in range(3):
                began_s = time.perf_counter()
                answer = await client.get("/v1/statements/2024-05", params=params)
                took.append(1000 * (time.perf_counter() - began_s))
                assert answer.status_code == 200, answer.text
        said[name] = median(took)
    return said


# --- the peer -------------------------------------------------------------------------------------------------------


def _peer(directory: Path, month: Month) -> Said:
    """What somebody writes in an afternoon: fastavro into a table of SQLite, and a sum by the quarter hour in floats.

    No rules of readings, no versions, no qualities, no registers, nothing logged, nothing that can be computed again.
    """
    first = month.called_at(0)
    most = min(_PEERS_MOST, month.readings, month.sites * int(3 * HOUR.total_seconds()) // month.reading_s)
    with closing(sqlite3.connect(directory / "peer.db", isolation_level=None)) as file:
        file.executescript("pragma journal_mode = wal; pragma synchronous = off;")
        file.execute(
            "create table reading (site text, starts_us integer, ends_us integer, import_w integer,"
            " primary key (site, starts_us)) without rowid"
        )
        began_s, rows = cpu_s(), _peers_rows(directory, most)
        file.execute("begin")
        file.executemany("insert into reading values (?, ?, ?, ?)", rows)
        file.execute("commit")
        reading_s = cpu_s() - began_s
        began_s, settled = cpu_s(), 0
        for number in range(month.sites):
            period = f"p{number}-1", micros(first), micros(first + HOUR)
            quarters = file.execute(
                "select avg(import_w) from reading where site = ? and starts_us >= ? and starts_us < ?"
                " group by starts_us / 900000000",
                period,
            ).fetchall()
            delivered = [min(CALLED_W, max(0.0, DRAWN_W - mean_w)) / 4 for (mean_w,) in quarters]
            settled += round(sum(delivered) / 1e6 * 50, 2) >= 0
        return {"reading_cpu_us": 1e6 * reading_s / most, "settling_cpu_us": 1e6 * (cpu_s() - began_s) / settled}


def _peers_rows(directory: Path, most: int) -> Iterator[tuple[str, int, int, int]]:
    schema = fastavro.parse_schema(avro_schema("MeterReading"))
    for value in values(directory, most):
        said: Any = fastavro.schemaless_reader(BytesIO(value[5:]), schema)
        yield said["site"], micros(said["starts_at"]), micros(said["ends_at"]), said["import_w"]
