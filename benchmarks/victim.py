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
from benchmarks.target import Target, hello, write

PROBES = {
    "write": "a meter reading on an open connection, until its receipt (20 a second)",
    "read": "GET /v1/requests on a kept connection of an operator (10 a second)",
    "arrive": "a new connection to the gateway, until its welcome (2 a second)",
    "knock": "GET /v1/requests on a new connection (2 a second)",
    "order": "from the moment a request's gate closes until its order reaches the site (one in two seconds)",
}
_GIVE_UP_S = 10.0
_GATE_S = 2.0
"""From a request of the victim's operator to its gate."""
Took = dict[str, tuple[list[float], int]]


def watch(pipe: Connection, target: Target, seconds: float) -> None:
    """Sends "ready", waits for a word, and sends what each probe took: sorted milliseconds and how many never came."""
    pin(GENERATOR)
    pipe.send(asyncio.run(_watch(pipe, target, seconds)))


async def _watch(pipe: Connection, target: Target, seconds: float) -> Took:
    async with (
        target.socket("hyper-infer") as connection,
        target.socket("hyper-infer") as offering,
        target.desk("tso-north") as desk,
    ):
        await hello(connection, "ber-1")
        await hello(offering, "ber-1")
        receipts, orders = Receipts(connection), Orders(offering, desk)
        reading = [asyncio.create_task(each.read()) for each in (receipts, orders)]
        (await desk.get("/v1/requests?limit=1")).raise_for_status()
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        try:
            write, read, arrive, knock, order = await asyncio.gather(
                _every(0.05, seconds, receipts.write),
                _every(0.1, seconds, lambda: _read(desk)),
                _every(0.5, seconds, lambda: _arrive(target)),
                _every(0.5, seconds, lambda: _knock(target)),
                _every(2.0, seconds, orders.wait),
            )
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
    return {"write": write, "read": read, "arrive": arrive, "knock": knock, "order": order}


async def _every(
    pause_s: float, seconds: float, probe: Callable[[], Awaitable[float | None]]
) -> tuple[list[float], int]:
    """Starts a probe whenever one is due, whether those before it have their answers or not.

    A probe took what it says, in seconds, or else as long as it was under way.
    """
    loop, took, unanswered = asyncio.get_running_loop(), [], 0
    began = loop.time()

    async def one(due: float) -> None:
        nonlocal unanswered
        try:
            async with asyncio.timeout_at(due + _GIVE_UP_S):
                said_s = await probe()
        except Exception:  # whatever it was, the victim has no answer
            unanswered += 1
            took.append(_GIVE_UP_S * 1000)
        else:
            took.append(1000 * (loop.time() - due if said_s is None else said_s))

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


class Orders:
    """Requests that are asked, offered on and awarded, one after the other."""

    def __init__(self, connection: Any, desk: Any) -> None:
        self._connection, self._desk, self._asked = connection, desk, 10
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def wait(self) -> float:
        """Asks, offers, and returns how long after its gate the order came, in seconds."""
        gate = datetime.now(UTC) + timedelta(seconds=_GATE_S)
        starts_at, ends_at = gate + timedelta(hours=1), gate + timedelta(hours=2)
        asked = {"zone": "DE-LU", "direction": "LOAD_DECREASE", "power_w": 1000, "respond_within_s": 60}
        asked |= {"gate_closure_at": gate.isoformat(), "decision_deadline": (gate + timedelta(seconds=60)).isoformat()}
        asked |= {"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()}
        answer = await write(self._desk, "/v1/requests", asked)
        answer.raise_for_status()
        request_id = answer.json()["request"]["request_id"]
        ordered = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        option = {"option": "all", "power_w": 1000, "price_per_mwh": "1", "notice_s": 60, "full_activation_s": 300}
        option |= {"starts_at": asked["starts_at"], "ends_at": asked["ends_at"], "divisible": True, "min_power_w": 1}
        option |= {"min_duration_s": 60, "max_duration_s": 3600}
        option |= {"ramp_down_w_per_min": 1_000_000, "ramp_up_w_per_min": 1_000_000}
        body = {"revision": 1, "request_id": request_id, "request_revision": 1, "options": [option]}
        body |= {"flexibility": {"kind": "SHED", "workload": "TRAINING"}, "expires_at": asked["ends_at"]}
        self._asked += 1
        offer = {"t": "offer", "id": self._asked, "offer_id": f"victim-{request_id}", "body": body}
        await self._connection.send(json.dumps(offer))
        await ordered
        return (datetime.now(UTC) - gate).total_seconds()

    async def read(self) -> None:
        """Settles what is ordered, for as long as the connection lives."""
        await self._connection.send(json.dumps({"t": "subscribe", "id": 2, "stream": "dispatch"}))
        async for message in self._connection:
            heard = json.loads(message)
            if heard.get("type") != "DispatchOrder":
                continue
            waiting = self._waiting.pop(heard["body"]["request_id"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)


async def _read(desk: Any) -> None:
    (await desk.get("/v1/requests?limit=1")).raise_for_status()


async def _arrive(target: Target) -> None:
    async with target.socket("hyper-infer") as connection:
        await hello(connection)


async def _knock(target: Target) -> None:
    async with target.desk("tso-north") as desk:
        await _read(desk)
