"""A process that appends to a log until it is killed: what `test_kill_9` starts.

Prints "partition offset value" for each record only after it was acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from gridsignal_services.bus.sqlite import SqliteLog

CALLERS = 8


async def _call(log: SqliteLog, caller: int, run: str) -> None:
    at = 0
    while True:
        value = f"{run}/{caller}/{at}"
        appended = await log.append("dispatch", f"Z{caller}", value.encode(), {"ce_id": value})
        os.write(1, f"{appended.partition} {appended.offset} {value}\n".encode())
        at += 1


async def main(directory: str, run: str) -> None:
    log = await SqliteLog.open(Path(directory))
    async with asyncio.TaskGroup() as group:
        for caller in range(CALLERS):
            group.create_task(_call(log, caller, run))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
