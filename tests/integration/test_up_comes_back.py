"""`gridsignal up` as a process of its own: it ends in order, comes back with what it was told, and has one owner."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway_stand import open_client
from tests.patience import SOON_S


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def row(self) -> dict[str, Any]:
        (line,) = self.out.splitlines()
        row: dict[str, Any] = json.loads(line)
        return row


async def started(*words: str, **environment: str) -> Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRIDSIGNAL_")}
    command = (sys.executable, "-W", "error", "-m", "gridsignal", *words)
    return await asyncio.create_subprocess_exec(*command, env=clean | environment, stdin=PIPE, stdout=PIPE, stderr=PIPE)


async def ran(*words: str, stdin: str = "", **environment: str) -> Ran:
    process = await started(*words, **environment)
    async with asyncio.timeout(SOON_S):
        out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Ran(process.returncode, out.decode(), err.decode())


@dataclass(frozen=True)
class Up:
    """A running stack as its greeting describes it."""

    process: Process
    directory: Path
    greeting: str

    def environment(self, token: str = "operator-tso-north") -> dict[str, str]:
        api = re.search(r"http://127\.0\.0\.1:\d+", self.greeting)
        url = re.search(r"ws://127\.0\.0\.1:\d+", self.greeting)
        assert api
        assert url
        held = (self.directory / "tokens" / f"{token}.token").read_text().strip()
        return {"GRIDSIGNAL_API": api[0], "GRIDSIGNAL_URL": url[0], "GRIDSIGNAL_TOKEN": held}


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Up]:
    ports = ("--gateway-port", "0", "--dispatch-port", "0", "--ingest-port", "0")
    process = await started("up", "--directory", str(directory), *ports)
    assert process.stdout
    try:
        greeting = ""
        async with asyncio.timeout(SOON_S):
            while "Ctrl-C" not in greeting:
                line = (await process.stdout.readline()).decode()
                assert line, "it ended before it was up"
                greeting += line
        yield Up(process, directory, greeting)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SOON_S):
            await process.communicate()


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Up]:
    async with running(tmp_path / "stack") as stack:
        yield stack


CREATE = ("request", "create", "--zone", "DE-LU", "--down", "12MW", "--start", "+2h", "--for", "45m", "--json")


async def test_a_key_given_again_asks_once(up: Up) -> None:
    who = up.environment()
    starts_at = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    when = ("--start", starts_at.isoformat(), "--gate", (starts_at - timedelta(hours=1)).isoformat(), "--key", "again")
    words = ("request", "create", "--zone", "DE-LU", "--up", "5MW", "--for", "1h", "--json", *when)
    first, again = await ran(*words, **who), await ran(*words, **who)
    assert first.row() == again.row()


async def test_a_token_is_minted_shown_and_let_in(up: Up) -> None:
    folder = ("--directory", str(up.directory))
    minted = (await ran("token", "mint", "--operator", "supplier-one", *folder)).out.strip()
    shown = (await ran("token", "show", *folder, stdin=minted)).row()
    assert (shown["role"], shown["organisation"]) == ("operator", "supplier-one")
    listed = await ran("request", "list", "--json", **up.environment() | {"GRIDSIGNAL_TOKEN": minted})
    assert (listed.code, listed.out) == (0, "")
    spoilt = await ran("token", "show", *folder, stdin=minted[:-4])
    assert (spoilt.code, spoilt.out, minted[:20] in spoilt.err) == (1, "", False)


async def test_a_second_owner_is_told_in_one_line(up: Up) -> None:
    second = await ran(
        "up", "--directory", str(up.directory), "--gateway-port", "0", "--dispatch-port", "0", "--ingest-port", "0"
    )
    (line,) = second.err.splitlines()
    assert (second.code, str(up.process.pid) in line) == (2, True)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_the_stack_ends_in_order_and_keeps_what_it_was_told(tmp_path: Path, name: signal.Signals) -> None:
    async with running(tmp_path / "stack") as stack:
        request_id = (await ran(*CREATE, **stack.environment())).row()["request"]["request_id"]
        stack.process.send_signal(name)
        async with asyncio.timeout(SOON_S):
            _, err = await stack.process.communicate()
        assert (stack.process.returncode, b"Traceback" in err) == (0, False)
    async with running(tmp_path / "stack") as again:
        assert (await ran("request", "show", request_id, "--json", **again.environment())).row()["state"] == "OPEN"


async def test_who_stops_the_stack_does_not_wait_for_clients_to_find_another(up: Up) -> None:
    acme = up.environment("participant-acme-ai")
    url, token = f"{acme['GRIDSIGNAL_URL']}/v1/stream", acme["GRIDSIGNAL_TOKEN"]
    async with AsyncExitStack() as together:
        clients = [await together.enter_async_context(open_client(url, token)) for _ in range(10)]
        for client in clients:
            await client.hello()
        up.process.send_signal(signal.SIGINT)
        drains = [await client.until(lambda frame: frame["t"] == "drain") for client in clients]
        assert max(drain["reconnect_after_ms"] for drain in drains) <= 500
