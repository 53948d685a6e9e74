"""An honest tenant that notes how late its answers are."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.machine import GENERATOR, pin
from benchmarks.target import Target, hello

PROBES = {
    "write": "a meter reading on an open connection, until its receipt (20 a second)",
    "read": "GET /v1/requests on a kept connection of an operator (10 a second)",
    "arrive": "a new connection to the gateway, until its welcome (2 a second)",
    "knock": "GET /v1/requests on a new connection (2 a second)",
}
_GIVE_UP_S = 10.0
Took = dict[str, tuple[list[float], int]]


def watch(pipe: Connection, target: Target, seconds: float) -> None:
    """Sends "ready", waits for a word, and sends what each probe took: sorted milliseconds and how many never came."""
    pin(GENERATOR)
    pipe.send(asyncio.run(_watch(pipe, target, seconds)))


async def _watch(pipe: Connection, target: Target, seconds: float) -> Took:
    async with target.socket("hyper-infer") as connection, target.desk("tso-north") as desk:
        await hello(connection, "ber-1")
        receipts = Receipts(connection)
        reading = asyncio.create_task(receipts.read())
        (await desk.get("/v1/requests?limit=1")).raise_for_status()
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        try:
            write, read, arrive, knock = await asyncio.gather(
                _every(0.05, seconds, receipts.write),
                _every(0.1, seconds, lambda: _read(desk)),
                _every(0.5, seconds, lambda: _arrive(target)),
                _every(0.5, seconds, lambda: _knock(target)),
            )
        finally:
            reading.cancel()
    return {"write": write, "read": read, "arrive": arrive, "knock": knock}


async def _every(pause_s: float, seconds: float, probe: Callable[[], Awaitable[None]]) -> tuple[list[float], int]:
    """Starts a probe whenever one is due, whether those before it have their answers or not."""
    loop, took, unanswered = asyncio.get_running_loop(), [], 0
    began = loop.time()

    async def one(due: float) -> None:
        nonlocal unanswered
        try:
            async with asyncio.timeout_at(due + _GIVE_UP_S):
                await probe()
        except Exception:  # whatever it was, the victim has no answer
            unanswered += 1
            took.append(_GIVE_UP_S * 1000)
        else:
            took.append((loop.time() - due) * 1000)

    async with asyncio.TaskGroup() as tasks:
        for number in range(int(seconds / pause_s)):
            due = began + number * pause_s
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.create_task(one(due))
    return sorted(took), unanswered


class Receipts:
    """Readings sent and receipts awaited on one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection, self._sent = connection, 10
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def write(self) -> None:
        """Sends a reading of the past and returns with its receipt."""
        self._sent += 1
        number, ends_at = self._sent, datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
        body = {
            "meter": "main",
            "point": "CONNECTION",
            "starts_at": (ends_at - timedelta(seconds=1)).isoformat(),
            "ends_at": ends_at.isoformat(),
            "import_w": 30_000_000,
            "export_w": 0,
            "quality": "OK",
            "seq": time.monotonic_ns() // 1000,
        }
        settled = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._connection.send(json.dumps({"t": "reading", "id": number, "body": body}))
            await settled
        finally:
            self._waiting.pop(number, None)

    async def read(self) -> None:
        """Settles what is answered, for as long as the connection lives."""
        async for message in self._connection:
            answer = json.loads(message)
            waiting = self._waiting.get(answer.get("id"))
            if waiting is None or waiting.done():
                continue
            if answer["t"] == "received":
                waiting.set_result(None)
            else:
                waiting.set_exception(RuntimeError(f"expected a receipt, got {answer}"))


async def _read(desk: Any) -> None:
    (await desk.get("/v1/requests?limit=1")).raise_for_status()


async def _arrive(target: Target) -> None:
    async with target.socket("hyper-infer") as connection:
        await hello(connection)


async def _knock(target: Target) -> None:
    async with target.desk("tso-north") as desk:
        await _read(desk)
