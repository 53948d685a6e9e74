"""What the gateway delivers per CPU second and how late, beside a plain `websockets.broadcast()` server and a ceiling:
bare asyncio that writes what has gathered, joined."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.machine import GENERATOR, described, pin
from benchmarks.reader import compiled, subscribed
from benchmarks.servers import run_bare, run_broadcast, run_gateway
from benchmarks.subscriber import Frame

_TIMED_EVERY = 8
_BEHIND_MS = 1000.0
_STILL_UNDER_WAY_S = 5.0
"""What was published and not yet received has so much time."""
_HELLO: list[Frame] = [
    {"t": "hello", "id": 1, "client": "bench/1"},
    {"t": "subscribe", "id": 2, "stream": "prices", "filter": {"zones": ["DE-LU"]}, "snapshot": False},
]


@dataclass(frozen=True, slots=True)
class Run:
    """One server under one load."""

    server: str
    subscribers: int
    rate_per_s: int
    deliveries: int
    expected: int
    cpu_s: float
    k_per_cpu_s: float
    us_per_delivery: float
    p50_ms: float
    p99_ms: float
    frame_bytes: int
    is_behind: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--load", action="append", metavar="NxR", help="subscribers x messages/s (200x200, 500x150)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each load lasts (5)")
    parser.add_argument("--repeat", type=int, default=1, help="medians of so many runs (1)")
    parser.add_argument("--profile", metavar="FILE", help="cProfile of the gateway; its figures are then slower")


def run(args: argparse.Namespace) -> int:
    machine = described()
    pin(GENERATOR)
    loads = [tuple(int(part) for part in load.split("x")) for load in args.load or ["200x200", "500x150"]]
    rows = []
    for subscribers, rate in loads:
        together = [_together(subscribers, rate, args.seconds, args.profile) for _ in range(args.repeat)]
        rows += [_median(list(runs)) for runs in zip(*together, strict=True)]
    if args.json:
        print(json.dumps({"machine": machine, "seconds": args.seconds, "runs": [asdict(row) for row in rows]}))
    else:
        _print(machine, args, rows)
    return 0


def _together(subscribers: int, rate: int, seconds: float, profile: str | None) -> tuple[Run, Run, Run]:
    load = (subscribers, rate, seconds)
    ours = _measure("gateway", run_gateway, profile, _HELLO, load)
    plain = _measure("broadcast()", run_broadcast, ours.frame_bytes, _HELLO[1:], load)
    return ours, plain, _measure("bare, joined", run_bare, ours.frame_bytes, _HELLO[1:], load)


def _measure(
    name: str, serve: Callable[..., None], argument: Any, frames: list[Frame], load: tuple[int, int, float]
) -> Run:
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, argument))
    process.start()
    there.close()
    try:
        return asyncio.run(_drive(name, here, frames, *load))
    finally:
        here.send(("stop",))
        process.join(20)
        here.close()


async def _drive(name: str, pipe: Connection, frames: list[Frame], subscribers: int, rate: int, seconds: float) -> Run:
    port, token = await asyncio.to_thread(pipe.recv)
    async with subscribed(port, token, frames, subscribers, _TIMED_EVERY) as reader:
        pipe.send(("publish", rate, seconds))
        sent = await asyncio.to_thread(pipe.recv)
        expected = int(sent["sent"]) * subscribers
        found = await reader.read(expected, _STILL_UNDER_WAY_S)
        pipe.send(("cpu",))
        cpu_s = await asyncio.to_thread(pipe.recv) - sent["began_cpu_s"]
    return Run(
        server=name,
        subscribers=subscribers,
        rate_per_s=rate,
        deliveries=found.received,
        expected=expected,
        cpu_s=cpu_s,
        k_per_cpu_s=found.received / cpu_s / 1000,
        us_per_delivery=1e6 * cpu_s / max(1, found.received),
        p50_ms=found.p50_ms,
        p99_ms=found.p99_ms,
        frame_bytes=found.received_bytes // max(1, found.received),
        is_behind=found.received < expected or not found.p99_ms < _BEHIND_MS,
    )


def _median(runs: list[Run]) -> Run:
    middle = statistics.median_low([run.k_per_cpu_s for run in runs])
    return next(run for run in runs if run.k_per_cpu_s == middle)


def _print(machine: str, args: argparse.Namespace, rows: list[Run]) -> None:
    print(f"{machine}\nloopback, {args.seconds:g} s a load, JSON, server pinned to one core, subscribers to the other;")
    print(f"latency: due -> received, every {_TIMED_EVERY}th subscriber; median by throughput of {args.repeat} run(s)")
    print("the gateway's CPU includes the publisher, the log's commits and the replica; broadcast() has none of them")
    print("- falls behind: a message is missing five seconds after the load, or p99 is over a second\n")
    print(
        f"{'server':12} {'load':>10} {'bytes':>6} {'deliveries':>11} {'CPU s':>6} {'k/CPU s':>8} {'us each':>8}"
        f" {'p50':>7} {'p99 ms':>7}"
    )
    for row in rows:
        late = f"{'-':>7} {'-':>7}" if row.is_behind else f"{row.p50_ms:7.1f} {row.p99_ms:7.1f}"
        load = f"{row.subscribers}x{row.rate_per_s}"
        line = f"{row.server:12} {load:>10} {row.frame_bytes:6} {row.deliveries:11} {row.cpu_s:6.2f}"
        print(f"{line} {row.k_per_cpu_s:8.1f} {row.us_per_delivery:8.2f} {late}")
    for ours, plain, bare in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        load = f"{ours.subscribers}x{ours.rate_per_s}"
        print(
            f"ratio {load}: gateway / broadcast() = {ours.k_per_cpu_s / plain.k_per_cpu_s:.2f} deliveries a CPU second"
        )
        print(f"ratio {load}: gateway / bare = {ours.us_per_delivery / bare.us_per_delivery:.2f} CPU time a delivery")
    if compiled() is None:
        print("no C compiler: the subscribers are Python, and may be what was measured")
