"""How many offers per second are received durably over WebSocket, beside bare appends of the same bytes."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.machine import GENERATOR, cpu_s, described, percentile, pin
from benchmarks.servers import example, run_gateway
from benchmarks.signing import key, signature
from gridsignal_schemas.messages import FlexOffer
from gridsignal_schemas.rules.limits import LIMITS

_FIRST_ID = 10
Figures = tuple[float, float, float]
"""Per second, p50 ms, p99 ms."""


class Run(NamedTuple):
    """Offers and bare appends, in turns."""

    offers: Figures
    server_us: float
    """CPU microseconds of the gateway's process for one offer, all threads."""
    client_us: float
    """Of the client's: where it is the most of a core, the rate is the client's."""
    appends: Figures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--in-flight", action="append", type=int, metavar="N", help="unanswered at once (1, 16, 64)")
    parser.add_argument("--count", type=int, default=2000, help="offers of each run (2000)")
    parser.add_argument("--signed", action="store_true", help="each offer has a signature, which the gateway checks")
    parser.add_argument("--repeat", type=int, default=3, help="medians of so many runs (3)")


def run(args: argparse.Namespace) -> int:
    machine = described()
    pin(GENERATOR)
    rows = []
    for in_flight in args.in_flight or [1, 16, 64]:
        runs = [_run(in_flight, args.count, signed=args.signed) for _ in range(args.repeat)]
        median = sorted(runs)[(len(runs) - 1) // 2]
        appends = sorted(run.appends for run in runs)[(len(runs) - 1) // 2]
        rows.append((in_flight, median._replace(appends=appends)))
    if args.json:
        told = [{"in_flight": in_flight, **row._asdict()} for in_flight, row in rows]
        what = {"machine": machine, "count": args.count, "signed": args.signed, "columns": "per_s, p50_ms, p99_ms"}
        print(json.dumps(what | {"runs": told}))
    else:
        _print(machine, args, rows)
    return 0


def _run(in_flight: int, count: int, *, signed: bool) -> Run:
    return driven(frames_of_offers(count, signed=signed), in_flight, FlexOffer.__name__)


def driven(frames: list[str], in_flight: int, record: str, heads_every_s: float | None = None) -> Run:
    """Frames through a gateway in a process of its own, and beside them bare appends of such a record."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=run_gateway, args=(there, None, heads_every_s))
    process.start()
    there.close()
    try:
        return asyncio.run(_drive(here, in_flight, frames, record))
    finally:
        here.send(("stop",))
        process.join(20)
        here.close()


async def _drive(pipe: Connection, in_flight: int, frames: list[str], record: str) -> Run:
    count = len(frames)
    port, token = await asyncio.to_thread(pipe.recv)
    async with connect(
        f"ws://127.0.0.1:{port}/v1/stream",
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[Subprotocol("gridsignal.v1.json")],
        compression=None,
    ) as connection:
        await connection.send('{"t":"hello","id":1,"client":"bench/1","site":"fra-1"}')
        await connection.recv()
        server_s, client_s = await _ask(pipe, "cpu"), cpu_s()
        offers = await offer_all(connection, frames, in_flight)
        client_us = (cpu_s() - client_s) * 1e6 / count
        server_us = (await _ask(pipe, "cpu") - server_s) * 1e6 / count
    return Run(offers, server_us, client_us, await _ask(pipe, "append", (in_flight, count, record)))


async def _ask(pipe: Connection, *command: Any) -> Any:
    pipe.send(command)
    return await asyncio.to_thread(pipe.recv)


def frames_of_offers(count: int, *, signed: bool = False) -> list[str]:
    """Offers on one request, each another."""
    offer, by = example(FlexOffer), key()
    body = offer.model_dump(mode="json", exclude_none=True)
    for placed in ("zone", "offer_id", "participant", "site"):
        body.pop(placed)
    frames = []
    for number in range(count):
        one = offer.model_copy(update={"offer_id": str(uuid.uuid4())})
        more = {"signature": signature(one, by)} if signed else {}
        frames.append(offer_frame(number, one.offer_id, body, **more))
    return frames


def offer_frame(number: int, offer_id: str, body: dict[str, Any], **more: Any) -> str:
    """The frame that `offer_all` sends as its `number`th, counted from 0."""
    return json.dumps({"t": "offer", "id": number + _FIRST_ID, "offer_id": offer_id, "body": body, **more})


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


def _what(args: argparse.Namespace) -> str:
    return f"{args.count} {'signed offers' if args.signed else 'offers'}"


def _print(machine: str, args: argparse.Namespace, rows: list[tuple[int, Run]]) -> None:
    print(f"{machine}\nloopback, one connection, {_what(args)} on one open request, medians of {args.repeat};")
    print("received = committed, reduced and answered; the gateway's process on one core, the client on the other;")
    print(
        f"the first {LIMITS.offers_of_site} stand, the others are logged and rejected: a site has no more on a request;"
    )
    print("us = microseconds of CPU for one offer, of the gateway's process and of the client's")
    print("beside it log.append() of the same bytes in that process, on a log that nobody reads\n")
    print(
        f"{'in flight':>9} {'offers/s':>9} {'p50':>7} {'p99 ms':>7} {'server us':>10} {'client us':>10}"
        f" {'appends/s':>10} {'p50':>7} {'p99 ms':>7} {'ratio':>6}"
    )
    for in_flight, row in rows:
        offers, appends = row.offers, row.appends
        line = f"{in_flight:9} {offers[0]:9.0f} {offers[1]:7.2f} {offers[2]:7.2f} {row.server_us:10.0f}"
        bare = f"{appends[0]:10.0f} {appends[1]:7.2f} {appends[2]:7.2f} {offers[0] / appends[0]:6.2f}"
        print(f"{line} {row.client_us:10.0f} {bare}")
