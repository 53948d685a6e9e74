"""How long a start takes on a long log, with checkpoints and without: days of many zones, served and over."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import Record
from gridsignal_schemas.records import field_of
from gridsignal_schemas.values import MW
from gridsignal_services.bus import sqlite_file
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.private_files import make_private
from gridsignal_services.bus.publish import headers_of
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.checkpoints.files import files_in
from gridsignal_services.checkpoints.keeping import EVERY, Checkpoints
from gridsignal_services.clock import micros
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.replica import Replica
from tests.builders import utc
from tests.unit.ledger.market import Market

_SITES = 2
_PARTITIONS = TOPICS["dispatch"].partitions


class _Partition(Market):
    """The zones of one partition; what is logged waits to be written."""

    def __init__(self, zones: list[str]) -> None:
        super().__init__()
        self.zones = zones
        self.logged: list[tuple[datetime, Record, str]] = []

    def add(self, record: Record, principal: str = "service:test") -> Outcome:
        outcome = super().add(record, principal)
        self.logged.append((self.now, record, principal))
        self.log.clear()
        return outcome

    def register(self) -> None:
        """Each zone's sites."""
        for zone in self.zones:
            for site in range(_SITES):
                self.site(f"{zone}-{site}", zone=zone)

    def baseline(self, who: str, power_w: int, **changes: Any) -> Outcome:
        zone = {"zone": who.rsplit("-", 1)[0]}
        return super().baseline(who, power_w, **zone | changes)

    def day(self, number: int, offers: int) -> None:
        """In each zone one request of the evening, with so many offers; half of them are called and served."""

        def at(hour: int, minute: int = 0) -> datetime:
            return utc("00:00") + timedelta(days=number, hours=hour, minutes=minute)

        period = {"starts_at": at(18), "ends_at": at(18, 45)}
        deadlines = {"gate_closure_at": at(17), "decision_deadline": at(17, 10)}
        self.run_until(at(12))
        for zone in self.zones:
            name = f"{zone}-{number}"
            for site in range(_SITES):
                self.baseline(f"{zone}-{site}", 40 * MW, starts_at=at(0))
            asked = self.ask(request_id=name, zone=zone, power_w=offers * MW // 2, **deadlines, **period)
            assert asked.accepted, asked.faults
            for offer in range(offers):
                fields: dict[str, Any] = {"offer_id": f"{name}-{offer}", "request_id": name, "expires_at": at(19)}
                made = self.offer(f"{zone}-{offer % _SITES}", MW, str(50 + offer), zone=zone, **fields, **period)
                assert not made.faults, made.faults
        self.run_until(at(17))
        for tracked in list(self.ledger.orders.values()):
            if tracked.order.request_id.endswith(f"-{number}"):
                order = tracked.order
                assert self.reply(order, "ACCEPTED", response_id=order.order_id, zone=order.zone).accepted
        self.run_until(at(20))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is on the log."""
    parser.add_argument("--records", type=int, default=60_000, help="at least so many")
    parser.add_argument("--zones", type=int, default=100)
    parser.add_argument("--offers", type=int, default=20, help="on the request of a day")
    parser.add_argument("--directory", type=Path, help="keep the log here (default: a temporary directory)")
    parser.add_argument("--start", choices=["replay", "checkpoint"], help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Each start is a process of its own; the first one writes the checkpoints that the last one begins with."""
    if args.start is not None:
        print(json.dumps(asyncio.run(_start(args.directory, args.start))))
        return 0
    with tempfile.TemporaryDirectory(prefix="gridsignal-coldstart-") as made:
        directory = args.directory or Path(made)
        found: dict[str, object] = {"zones": args.zones, "records": _fill(directory, args)}
        for how in ("replay", "checkpoint"):
            command = [sys.executable, "-m", "benchmarks", "coldstart", "--directory", str(directory), "--start", how]
            said = subprocess.run(command, check=True, capture_output=True).stdout.splitlines()
            for name, value in json.loads(said[-1]).items():
                found[f"{how}: {name}"] = value
    print(json.dumps(found) if args.json else "\n".join(f"{name}: {value}" for name, value in found.items()))
    return 0


def _fill(directory: Path, args: argparse.Namespace) -> int:
    """Writes the log's file, in the ledgers' own order; how many records it has."""
    names: list[list[str]] = [[] for _ in range(_PARTITIONS)]
    for number in range(args.zones):
        names[partition_of(f"zone{number}", _PARTITIONS)].append(f"zone{number}")
    partitions, codec, day = [_Partition(zones) for zones in names], Codec.from_lock(), 0
    make_private(directory / sqlite_file.FILE)
    with closing(sqlite_file.connect(directory / sqlite_file.FILE)) as connection:
        lanes = sqlite_file.create_or_check(connection, "").lanes
        next_offsets = [0] * _PARTITIONS
        for partition in partitions:
            partition.register()
        while sum(next_offsets) < args.records:
            for number, partition in enumerate(partitions):
                partition.day(day, args.offers)
                first = lanes["dispatch", number].first
                rows = [
                    (
                        first + at,
                        micros(now),
                        field_of(record, "zone"),
                        json.dumps(headers_of(record, principal=principal, source="/benchmark")),
                        codec.encode(record),
                    )
                    for at, (now, record, principal) in enumerate(partition.logged, start=next_offsets[number])
                ]
                sqlite_file.commit(connection, rows)
                next_offsets[number] += len(rows)
                partition.logged.clear()
            day += 1
    return sum(next_offsets)


async def _start(directory: Path, how: str) -> dict[str, object]:
    """One start, until all that is on the log is reduced; after a replay the checkpoints are written."""
    began, cpu = time.perf_counter(), time.process_time()
    log = await SqliteLog.open(directory, append_time_us=lambda: 0)
    with Checkpoints.opened(directory / "checkpoints", 1, log) as checkpoints:
        assert checkpoints is not None
        replica = Replica(log, Codec.from_lock(), source="/benchmark", checkpoints=checkpoints)
        finished = Finished(checkpoints.directory, stamp=checkpoints.stamp)
        replica.keep(finished)
        reduced = [0]
        replica.listen(lambda *_: reduced.__setitem__(0, reduced[0] + 1))
        tasks = [asyncio.create_task(replica.run()), asyncio.create_task(replica.save())]
        await replica.caught_up()
        found: dict[str, object] = {
            "ready after s": round(time.perf_counter() - began, 2),
            "CPU s": round(time.process_time() - cpu, 2),
            "records reduced": reduced[0],
            "MB": _resident_mb(),
            "MB at most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "requests in memory": sum(len(ledger.requests) for ledger in replica.ledgers.values()),
        }
        if how == "replay":
            found |= await _saved(replica, checkpoints)
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
        await finished.aclose()
    await log.aclose()
    return found


def _resident_mb() -> int:
    """What the process has in memory now, in MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() // 1_000_000


async def _saved(replica: Replica, checkpoints: Checkpoints) -> dict[str, object]:
    """Waits for the checkpoint of each partition; what they take, and how long the loop was kept by them."""
    began, longest = time.perf_counter(), 0.0
    ledgers = replica.ledgers.values()
    while any(checkpoints.wants(ledger, caught_up=True) for ledger in ledgers) or _missing(replica, checkpoints):
        since = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - since)
    size = sum(path.stat().st_size for path in files_in(checkpoints.directory))
    return {
        "checkpoints written after s": round(time.perf_counter() - began, 2),
        "loop kept ms, at most": round(1000 * longest, 1),
        "checkpoints MB": round(size / 1e6, 1),
    }


def _missing(replica: Replica, checkpoints: Checkpoints) -> bool:
    return len(files_in(checkpoints.directory)) < sum(position >= EVERY for position in replica.positions.values())
