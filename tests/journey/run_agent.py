"""Runs the site agent against a stack whose time a test moves: each line of stdin is the time now.

python run_agent.py CONFIG NOW < times
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import datetime
from pathlib import Path

from gridsignal.agent.assembling import agent_of, connection_of
from gridsignal.agent.config import Config, config_of
from gridsignal.testing import ManualClock


async def main(config: Config, now: str) -> None:
    clock = ManualClock(datetime.fromisoformat(now))
    connect = connection_of(config, os.environ["GRIDSIGNAL_TOKEN"], clock=clock)
    with agent_of(config, connect, lambda line: print(line, flush=True), clock) as agent:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(agent.run())
            reader = asyncio.StreamReader()
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
            while line := await reader.readline():
                clock.move_to(datetime.fromisoformat(line.decode().strip()))


if __name__ == "__main__":
    _, file, starts_at = sys.argv
    asyncio.run(main(config_of(Path(file).read_bytes(), file), starts_at))
