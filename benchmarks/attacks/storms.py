"""Many connections of one organisation at once: they come back all the time, or are busy beside a quiet one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from benchmarks.attacks.play import Play
from benchmarks.attacks.writes import asking
from benchmarks.target import hello, write

_OPEN_REQUESTS = 300
_MOST = 900
"""Connections: an organisation may have a hundred more, which the victim needs where it is the same."""


_IN_FLIGHT = 16


async def states(play: Play) -> str:
    """Subscriptions to dispatch with its state, ended and begun again, while requests come and go."""
    async with play.target.desk("supplier-one") as desk:
        for _ in range(_OPEN_REQUESTS):
            await write(desk, "/v1/requests", asking(play.seconds + 600))
        async with _connections(play, "acme-ai", min(play.sockets, 100)) as connections:
            await play.begin()
            moving = asyncio.create_task(_keep_asking(play, desk))
            counts = await asyncio.gather(*(_come_back(play, connection) for connection in connections))
            moving.cancel()
    return f"{sum(counts)} states of {_OPEN_REQUESTS} requests and more"


async def _keep_asking(play: Play, desk: Any) -> None:
    while play.left_s > 0:
        await write(desk, "/v1/requests", asking(play.seconds + 600))


def _answers(number: int, frame: Any) -> bool:
    return bool(frame.get("id") == number)


async def _come_back(play: Play, connection: Any) -> int:
    count, numbers = 0, itertools.count(10, 2)
    with contextlib.suppress(Exception):  # closed on: that is an answer too
        while play.left_s > 0:
            number = next(numbers)
            await connection.send(json.dumps({"t": "subscribe", "id": number, "stream": "dispatch", "snapshot": True}))
            sub = (await _until(connection, partial(_answers, number))).get("sub")
            await _until(connection, lambda frame: frame["t"] == "position")
            count += 1
            await connection.send(json.dumps({"t": "unsubscribe", "id": number + 1, "sub": sub}))
            await _until(connection, partial(_answers, number + 1))
    return count


async def siblings(play: Play) -> str:
    """Connections of the victim's own organisation that ask without an end, each so much at once as it may."""
    asked = 0

    async def busy(connection: Any) -> None:
        nonlocal asked
        with contextlib.suppress(Exception):
            for number in itertools.count(10):
                if play.left_s <= 0:
                    return
                await connection.send(json.dumps({"t": "query", "id": number, "live": True}))
                asked += 1
                if number >= 10 + _IN_FLIGHT:
                    await _until(connection, lambda frame: frame["t"] in ("states", "error"))

    async with _connections(play, "hyper-infer", min(play.sockets, _MOST)) as connections:
        await play.begin()
        await asyncio.gather(*(busy(connection) for connection in connections))
    return f"{asked} questions on {min(play.sockets, _MOST)} connections"


async def _until(connection: Any, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = json.loads(await connection.recv())
        if wanted(frame):
            return frame


@asynccontextmanager
async def _connections(play: Play, organisation: str, count: int) -> AsyncIterator[list[Any]]:
    async with AsyncExitStack() as open_sockets:
        connections = []
        for _ in range(count):
            connections.append(await open_sockets.enter_async_context(play.target.socket(organisation)))
            await hello(connections[-1])
        yield connections
