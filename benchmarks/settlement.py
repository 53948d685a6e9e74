"""How fast readings arrive, are kept, settled and told, and a record is proved; beside a plain table of SQLite."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.machine import GENERATOR, described, pin
from benchmarks.month import Month, write
from benchmarks.offers import driven
from benchmarks.owner import measured
from benchmarks.proof import heads_beside_offers, proofs
from benchmarks.servers import NOON
from gridsignal_schemas.messages import MeterReading
from gridsignal_schemas.values import rfc3339
from tests.builders import a_meter_reading

_IN_FLIGHT = 64
_PARTS = ("arriving", "month", "heads", "proof")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sites", type=int, default=100, help="each with one meter (100)")
    parser.add_argument("--days", type=int, default=3, choices=range(1, 31), metavar="1-30", help="of readings (3)")
    parser.add_argument("--orders", type=int, default=20, help="of each site in that time, an hour each (20)")
    parser.add_argument("--reading-s", type=int, default=60, help="length of a reading in seconds (60)")
    parser.add_argument("--count", type=int, default=4000, help="readings and offers over WebSocket (4000)")
    parser.add_argument("--repeat", type=int, default=3, help="medians of so many runs over WebSocket (3)")
    parser.add_argument("--leaves", type=int, default=1_000_000, help="records under the tree (1000000)")
    parser.add_argument("--part", action="append", choices=_PARTS, help="this alone")
    parser.add_argument("--directory", type=Path, help="where the log is written (default: among temporary files)")


def run(args: argparse.Namespace) -> int:
    machine, said = described(), dict[str, Any]()
    try:
        month = Month(args.sites, args.days, args.orders, args.reading_s)
    except ValueError as wrong:
        print(wrong, file=sys.stderr)
        return 2
    pin(GENERATOR)
    with tempfile.TemporaryDirectory(prefix="gridsignal-settlement-", dir=args.directory) as made:
        directory = Path(made)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "arriving": lambda: _arriving(args.count, args.repeat),
            "month": lambda: _month(directory, month),
            "heads": lambda: heads_beside_offers(directory / "signer", args.count, args.repeat),
            "proof": lambda: proofs(directory / "tree", args.leaves),
        }
        for name in args.part or _PARTS:
            said[name] = parts[name]()
            if not args.json:
                print(f"{machine}\n" if len(said) == 1 else "", _TOLD[name](said[name]), sep="\n", flush=True)
    if args.json:
        print(json.dumps({"machine": machine, **said}))
    return 0


# --- readings on their way to the log -------------------------------------------------------------------------------


def _arriving(count: int, repeat: int) -> dict[str, Any]:
    runs = [driven(_frames(count), _IN_FLIGHT, MeterReading.__name__) for _ in range(repeat)]
    middle = sorted(runs)[(len(runs) - 1) // 2]
    appends = sorted(each.appends for each in runs)[(len(runs) - 1) // 2]
    return middle._replace(appends=appends)._asdict() | {"in_flight": _IN_FLIGHT, "count": count}


def _frames(count: int) -> list[str]:
    """Seconds of the hours before noon."""
    body = a_meter_reading().model_dump(mode="json", exclude_none=True)
    for known in ("zone", "participant", "site"):
        body.pop(known)
    frames = []
    for number in range(count):
        starts_at = NOON - timedelta(seconds=count - number)
        times = {"starts_at": rfc3339(starts_at), "ends_at": rfc3339(starts_at + timedelta(seconds=1)), "seq": number}
        frames.append(json.dumps({"t": "reading", "id": number + 10, "body": body | times}))
    return frames


def _told_arriving(said: dict[str, Any]) -> str:
    readings, appends = said["offers"], said["appends"]
    return (
        f"readings over WebSocket, one connection, {said['in_flight']} unanswered, received = committed and answered\n"
        f"  {readings[0]:.0f}/s, p50 {readings[1]:.1f} ms, p99 {readings[2]:.1f} ms;"
        f" CPU of the gateway {said['server_us']:.0f} us, of the client {said['client_us']:.0f} us each\n"
        f"  bare appends of the same bytes {appends[0]:.0f}/s: ratio {readings[0] / appends[0]:.2f}"
    )


# --- from the log to the statement ----------------------------------------------------------------------------------


def _month(directory: Path, month: Month) -> dict[str, Any]:
    began_s = time.perf_counter()
    write(directory, month)
    written_s = time.perf_counter() - began_s
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_measured, args=(there, directory, month))
    process.start()
    there.close()
    try:
        said: dict[str, Any] = here.recv()
    finally:
        process.join()
        here.close()
    return {"sites": month.sites, "days": month.days, "readings": month.readings, "written_s": written_s} | said


def _measured(pipe: Connection, directory: Path, month: Month) -> None:
    pipe.send(measured(directory, month))


def _told_month(said: dict[str, Any]) -> str:
    readings, orders, peer = said["readings"], said["orders"], said["peer"]
    reading, settling, disk = said["reading"], said["settling"], said["disk"]
    reading_us, settling_us = 1e6 * reading["cpu_s"] / readings, 1e6 * settling["cpu_s"] / orders
    lines = [
        f"{said['sites']} sites, {said['days']} days: {readings} readings and {orders} orders on one zone's log, which"
        f" is written in {said['written_s']:.0f} s",
        f"  read from the log and kept: {readings / reading['s']:.0f}/s, CPU {reading_us:.1f} us each;"
        f" fastavro into a table {peer['reading_cpu_us']:.1f} us: ratio {reading_us / peer['reading_cpu_us']:.1f}",
        f"  on disk: {disk['log_bytes'] / readings:.0f} bytes of log for each reading, {disk['older_bytes'] / 1e6:.0f}"
        " MB of older readings",
        f"  in memory, MB, by tenths of that time: {', '.join(map(str, reading['mb']))}",
        f"  what meters said of one order, read back: {said['one_order_read_back_ms']:.1f} ms",
        f"  settled and logged: {orders} orders in {settling['s']:.1f} s, {orders / settling['s']:.0f}/s, CPU"
        f" {settling_us:.0f} us each; a sum in SQL {peer['settling_cpu_us']:.0f} us: ratio"
        f" {settling_us / peer['settling_cpu_us']:.0f}",
        f"  in memory, MB, by tenths of that time: {', '.join(map(str, settling['mb']))}",
        *(f"  statement, {name}: {took_ms:.0f} ms" for name, took_ms in said["statements_ms"].items()),
    ]
    return "\n".join(lines)


# --- proofs ---------------------------------------------------------------------------------------------------------


def _told_heads(said: dict[str, Any]) -> str:
    without, beside = said["without"], said["with"]
    return (
        "offers over WebSocket, an owner beside them\n"
        f"  without tree heads {without['per_s']:.0f}/s, CPU {without['server_us']:.0f} us each\n"
        f"  with one a second  {beside['per_s']:.0f}/s, CPU {beside['server_us']:.0f} us each:"
        f" {100 * said['share']:+.1f} % CPU, rate x {beside['per_s'] / without['per_s']:.2f}\n"
        f"  the tree alone: {said['record_us']:.1f} us for each record,"
        f" {100 * said['record_us'] / without['server_us']:.1f} % of an offer; {said['head_ms']:.1f} ms for each head"
    )


def _told_proof(said: dict[str, Any]) -> str:
    return (
        f"one record of {said['leaves']} proved: median {said['median_ms']:.2f} ms, at most {said['most_ms']:.2f} ms;"
        f" the tree hashed anew {said['hashed_anew_ms']:.0f} ms: ratio"
        f" {said['hashed_anew_ms'] / said['median_ms']:.0f}\n"
        f"  kept: {said['bytes_per_leaf']:.1f} bytes for each record"
    )


_TOLD: dict[str, Callable[[dict[str, Any]], str]] = {
    "arriving": _told_arriving,
    "month": _told_month,
    "heads": _told_heads,
    "proof": _told_proof,
}
