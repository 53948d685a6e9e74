"""How many offers per second are received durably over WebSocket, beside bare appends of the same bytes."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.machine import GENERATOR, described, percentile, pin
from benchmarks.servers import example, run_gateway
from gridsignal_schemas.messages import FlexOffer

_FIRST_ID = 10
Figures = tuple[float, float, float]
"""Per second, p50 ms, p99 ms."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--in-flight", action="append", type=int, metavar="N", help="unanswered at once (1, 16, 64)")
    parser.add_argument("--count", type=int, default=2000, help="offers of each run (2000)")
    parser.add_argument("--repeat", type=int, default=3, help="medians of so many runs (3)")


def run(args: argparse.Namespace) -> int:
    machine = described()
    pin(GENERATOR)
    rows = []
    for in_flight in args.in_flight or [1, 16, 64]:
        pairs = [_pair(in_flight, args.count) for _ in range(args.repeat)]
        offers, appends = (_median([pair[side] for pair in pairs]) for side in (0, 1))
        rows.append({"in_flight": in_flight, "offers": offers, "appends": appends, "ratio": offers[0] / appends[0]})
    if args.json:
        print(json.dumps({"machine": machine, "count": args.count, "columns": "per_s, p50_ms, p99_ms", "runs": rows}))
    else:
        _print(machine, args, rows)
    return 0


def _median(runs: list[Figures]) -> Figures:
    return sorted(runs)[(len(runs) - 1) // 2]


def _pair(in_flight: int, count: int) -> tuple[Figures, Figures]:
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=run_gateway, args=(there, None))
    process.start()
    there.close()
    try:
        return asyncio.run(_drive(here, in_flight, count))
    finally:
        here.send(("stop",))
        process.join(20)
        here.close()


async def _drive(pipe: Connection, in_flight: int, count: int) -> tuple[Figures, Figures]:
    port, token = await asyncio.to_thread(pipe.recv)
    async with connect(
        f"ws://127.0.0.1:{port}/v1/stream",
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[Subprotocol("gridsignal.v1.json")],
        compression=None,
    ) as connection:
        await connection.send('{"t":"hello","id":1,"client":"bench/1","site":"fra-1"}')
        await connection.recv()
        offers = await offer_all(connection, _frames(count), in_flight)
    pipe.send(("append", (in_flight, count)))
    return offers, await asyncio.to_thread(pipe.recv)


def _frames(count: int) -> list[str]:
    body = example(FlexOffer).model_dump(mode="json", exclude_none=True)
    for placed in ("zone", "offer_id", "participant", "site"):
        body.pop(placed)
    return [offer_frame(number, str(uuid.uuid4()), body) for number in range(count)]


def offer_frame(number: int, offer_id: str, body: dict[str, Any]) -> str:
    """The frame that `offer_all` sends as its `number`th, counted from 0."""
    return json.dumps({"t": "offer", "id": number + _FIRST_ID, "offer_id": offer_id, "body": body})


async def offer_all(connection: ClientConnection, frames: list[str], in_flight: int) -> Figures:
    """Sends frames, so many unanswered at once, until each has its receipt."""
    count = len(frames)
    sent_at: dict[int, float] = {}
    took: list[float] = []
    following = 0
    began = time.perf_counter()
    while len(took) < count:
        while following < count and len(sent_at) < in_flight:
            sent_at[following + _FIRST_ID] = time.perf_counter()
            await connection.send(frames[following])
            following += 1
        answer: dict[str, Any] = json.loads(await connection.recv())
        if answer.get("id") not in sent_at:
            continue
        if answer["t"] != "received":
            raise SystemExit(f"expected a receipt, got {answer}")
        took.append((time.perf_counter() - sent_at.pop(answer["id"])) * 1000)
    rate = count / (time.perf_counter() - began)
    took.sort()
    return rate, percentile(took, 0.5), percentile(took, 0.99)


def _print(machine: str, args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    print(f"{machine}\nloopback, one connection, {args.count} offers on one open request, medians of {args.repeat};")
    print("received = committed, reduced and answered; the gateway's process on one core, the client on the other")
    print("beside it log.append() of the same bytes in that process, on a log that nobody reads\n")
    print(
        f"{'in flight':>9} {'offers/s':>9} {'p50':>7} {'p99 ms':>7} {'appends/s':>10}"
        f" {'p50':>7} {'p99 ms':>7} {'ratio':>6}"
    )
    for row in rows:
        offers, appends = row["offers"], row["appends"]
        line = f"{row['in_flight']:9} {offers[0]:9.0f} {offers[1]:7.2f} {offers[2]:7.2f}"
        print(f"{line} {appends[0]:10.0f} {appends[1]:7.2f} {appends[2]:7.2f} {row['ratio']:6.2f}")
