"""Frames as fast as they are answered, within the window of each connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.attacks.play import Play
from benchmarks.target import hello

_IN_FLIGHT = 48


async def send_on_four(play: Play, make: Callable[[], dict[str, Any]]) -> str:
    """Frames made one after the other, each sent on whichever of four connections has room."""
    frames = iter(make, None)
    return await send_on_each(play, [frames] * 4)


async def send_on_each(
    play: Play, streams: Sequence[Iterator[dict[str, Any]]], organisation: str = "acme-ai", site: str = "fra-1"
) -> str:
    """A connection of one site for each stream of frames."""
    async with AsyncExitStack() as open_sockets:
        connections = [await open_sockets.enter_async_context(play.target.socket(organisation)) for _ in streams]
        for connection in connections:
            await hello(connection, site)
        await play.begin()
        until = time.monotonic() + play.left_s
        pairs = zip(connections, streams, strict=True)
        counts = await asyncio.gather(*(send_all(connection, frames, until) for connection, frames in pairs))
    received = sum(count.get("received", 0) for count in counts)
    return f"{received} received, {sum(sum(count.values()) for count in counts) - received} refused"


async def send_all(connection: Any, frames: Iterator[dict[str, Any]], until: float) -> dict[str, int]:
    """Sends frames, so many unanswered at once, while there are frames and time; answers by kind."""
    answered: dict[str, int] = {}
    in_flight, number = 0, 10
    with contextlib.suppress(Exception):  # closed on: that is an answer too
        for frame in frames:
            if time.monotonic() > until:
                break
            number += 1
            said = {"t": frame["frame"], "id": number, **{k: v for k, v in frame.items() if k != "frame"}}
            await connection.send(json.dumps(said))
            in_flight += 1
            while in_flight >= _IN_FLIGHT:
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + max(0.1, until - time.monotonic())):
                    kind = json.loads(await connection.recv()).get("t", "?")
                answered[kind] = answered.get(kind, 0) + 1
                in_flight -= kind in {"received", "refused", "error", "states", "subscribed"}
    return answered
