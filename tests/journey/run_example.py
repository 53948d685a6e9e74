"""Runs an example as its users do, against a stack whose time a test moves: each line of stdin is the time now.

python run_example.py EXAMPLE NOW < times
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import gridsignal
from gridsignal.testing import ManualClock

EXAMPLES = Path(__file__).parents[2] / "clients" / "python" / "examples"
connect = gridsignal.connect


async def follow_stdin(clock: ManualClock) -> None:
    """The clock stands where the last line says."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        clock.move_to(datetime.fromisoformat(line.decode().strip()))


@asynccontextmanager
async def connect_at(url: str, **options: Any) -> AsyncIterator[gridsignal.Grid]:
    """The SDK's `connect` on the test's time."""
    clock = ManualClock(STARTS_AT)
    following = asyncio.create_task(follow_stdin(clock))
    async with connect(url, clock=clock, **options) as grid:
        print("connected", flush=True)
        yield grid
    following.cancel()


if __name__ == "__main__":
    _, name, now = sys.argv
    STARTS_AT = datetime.fromisoformat(now)
    gridsignal.connect = connect_at
    sys.argv = [str(EXAMPLES / f"{name}.py")]
    runpy.run_path(sys.argv[0], run_name="__main__")
