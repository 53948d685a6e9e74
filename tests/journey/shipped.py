"""The examples as processes of their own, and what the log took of what they said."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from gridsignal_schemas.messages import Record
from gridsignal_services.bus import LogRecord
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.replica import Replica
from tests.patience import SOON_S

R = TypeVar("R", bound=Record)
RUNNER = Path(__file__).with_name("run_example.py")


class Program:
    """One example that runs; its time is the test's."""

    def __init__(self, name: str, url: str, token: str, home: Path, instance: str | None = None) -> None:
        self.name, self.said = name, list[str]()
        self._url, self._token, self._home, self._instance = url, token, home, instance
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def start(self, now: datetime) -> None:
        """Starts it (again) at this time, with the outbox that an earlier run left."""
        env = os.environ | {"GRIDSIGNAL_URL": self._url, "GRIDSIGNAL_TOKEN": self._token}
        env |= {"XDG_STATE_HOME": str(self._home), "PYTHONUNBUFFERED": "1"}
        env |= {"GRIDSIGNAL_INSTANCE": self._instance} if self._instance else {}
        self.said.clear()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", str(RUNNER), self.name, now.isoformat()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self._home,
            env=env,
        )
        self._listening = asyncio.create_task(self._listen(self._process))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self.said.append(line.decode().rstrip())
            self._news.set()
        self._news.set()

    def time(self, now: datetime) -> None:
        """Its clock stands here from now on."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{now.isoformat()}\n".encode())

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def runs(self) -> bool:
        """It has not ended."""
        return self._process is not None and self._process.returncode is None

    async def says(self, text: str, times: int = 1) -> None:
        """Returns once so many of its lines hold this text."""
        try:
            async with asyncio.timeout(SOON_S):
                while sum(text in line for line in self.said) < times:
                    assert self.runs, self.story()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"expected {text!r}: {self.story()}") from None

    async def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        assert self._listening is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._listening

    def story(self) -> str:
        """All it said, for whoever looks at a failure."""
        return "\n".join([f"{self.name} said:", *self.said])


class Taken:
    """What the ledger accepted since this began to watch."""

    def __init__(self, replica: Replica) -> None:
        self.records: list[Record] = []
        self._news = asyncio.Event()
        replica.listen(self._reduced)

    def _reduced(self, _: LogRecord, record: Record, outcome: Outcome) -> None:
        if outcome.accepted:
            self.records.append(record)
            self._news.set()

    def all(self, kind: type[R], **fields: Any) -> list[R]:
        """Those of this kind with these fields."""
        of_kind = (record for record in self.records if isinstance(record, kind))
        return [record for record in of_kind if all(getattr(record, name) == want for name, want in fields.items())]

    async def one(self, kind: type[R], **fields: Any) -> R:
        """The first of this kind with these fields; waits for it."""
        await self.until(lambda: bool(self.all(kind, **fields)))
        return self.all(kind, **fields)[0]

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Returns once this is so; it is looked at after each record."""
        async with asyncio.timeout(SOON_S):
            while not is_so():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def running(*programs: Program, now: datetime) -> AsyncIterator[None]:
    """All of them run for as long as the block."""
    try:
        for program in programs:
            await program.start(now)
            await program.says("connected" if program.name != "raw_websocket" else "recovery")
        yield
    finally:
        for program in programs:
            await program.kill()
