"""Subscribers that cost next to nothing: reader.c, compiled where a C compiler is."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Protocol

from benchmarks.machine import percentile
from benchmarks.subscriber import Frame, Subscriber, Tally, masked, upgrade

_SOURCE = Path(__file__).with_name("reader.c")
_SUBSCRIBED_S = 60.0


@dataclass(frozen=True, slots=True)
class Read:
    """What all subscribers together received; latencies of each `timed_every`th, in ms."""

    received: int
    received_bytes: int
    lost: int
    p50_ms: float
    p99_ms: float


@cache
def compiled() -> Path | None:
    """The program; None where no C compiler is."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    program = Path(tempfile.mkdtemp(prefix="gridsignal-reader-"), "reader")
    subprocess.run([compiler, "-O2", "-Wall", "-Werror", "-o", str(program), str(_SOURCE)], check=True)
    return program


class Reader(Protocol):
    """Subscribers on one port."""

    async def read(self, wanted: int, seconds: float) -> Read:
        """Reads on until so many messages have come, or so much time has passed."""


class _Compiled:
    """reader.c, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def read(self, wanted: int, seconds: float) -> Read:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"until {wanted} {int(seconds * 1000)}\n".encode())
        received, size, lost, p50, p99 = map(int, (await self._process.stdout.readline()).split())
        return Read(received, size, lost, p50 / 1000, p99 / 1000)


class _Interpreted:
    """The same in Python, here: ten times as dear, so that it may be what is measured."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    async def read(self, wanted: int, seconds: float) -> Read:
        for _ in range(int(seconds * 20)):
            if self._tally.received >= wanted:
                break
            await asyncio.sleep(0.05)
        tally, late = self._tally, sorted(self._tally.late_ms)
        return Read(tally.received, tally.received_bytes, tally.lost, percentile(late, 0.5), percentile(late, 0.99))


@asynccontextmanager
async def subscribed(
    port: int, token: str, frames: Sequence[Frame], count: int, timed_every: int
) -> AsyncIterator[Reader]:
    """So many subscribers, from when all are subscribed to the end of the block."""
    program = compiled()
    async with (
        _interpreted(port, token, frames, count, timed_every)
        if program is None
        else _running(program, port, token, frames, count, timed_every)
    ) as reader:
        yield reader


@asynccontextmanager
async def _running(
    program: Path, port: int, token: str, frames: Sequence[Frame], count: int, timed_every: int
) -> AsyncIterator[Reader]:
    process = await asyncio.create_subprocess_exec(
        str(program), str(port), str(count), str(timed_every), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        key = base64.b64encode(os.urandom(16)).decode()
        sayings = [upgrade(key, token), *map(masked, frames)]
        process.stdin.write(b"".join(b"%d\n%b" % (len(said), said) for said in sayings) + b"0\n")
        async with asyncio.timeout(_SUBSCRIBED_S):
            assert await process.stdout.readline() == b"subscribed\n", "the server let nobody in"
        yield _Compiled(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def _interpreted(
    port: int, token: str, frames: Sequence[Frame], count: int, timed_every: int
) -> AsyncIterator[Reader]:
    loop, tally, transports = asyncio.get_running_loop(), Tally(), []
    for number in range(count):
        one = partial(Subscriber, tally, token, list(frames), count, number % timed_every == 0)
        transports.append((await loop.create_connection(one, "127.0.0.1", port))[0])
    async with asyncio.timeout(_SUBSCRIBED_S):
        await tally.all_subscribed.wait()
    yield _Interpreted(tally)
    for transport in transports:
        transport.abort()
