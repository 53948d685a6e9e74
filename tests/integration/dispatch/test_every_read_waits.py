"""Every operation that reads honours the position it is given, whichever operations there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from fastapi import FastAPI

from gridsignal.testing import ManualClock
from gridsignal_services.access import OPERATIONS_READ
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.dispatch.door import POSITION, Door
from gridsignal_services.merkle import leaf_hash
from gridsignal_services.replica import Replica
from tests.builders import OPERATOR, utc
from tests.integration.a_door import a_door, callers_of
from tests.patience import SOON_S
from tests.unit.ledger.zone import CODEC

GIVEN = {"site": "fra-1", "zone": "DE-LU", "from": "2024-05-12T18:00:00Z", "to": "2024-05-12T19:00:00Z"}

EITHER = {"/v1/proofs": {"kind": "request", "id": "nobodys"}}
"""Of what is needed in one of several forms, one."""


class Reads(NamedTuple):
    door: Door
    caller: httpx2.AsyncClient
    every: dict[str, dict[str, str]]
    """The path of each, and the parameters it can't do without."""


def reads_of(made: FastAPI) -> dict[str, dict[str, str]]:
    operations = {path: of["get"] for path, of in made.openapi()["paths"].items() if "get" in of}
    return {
        path.replace("{month}", "2024-05").replace("{", "").replace("}", ""): {
            each["name"]: GIVEN[each["name"]]
            for each in operation.get("parameters", ())
            if each["in"] == "query" and each["required"]
        }
        | EITHER.get(path, {})
        for path, operation in operations.items()
        if path.startswith("/v1/")
    }


@pytest.fixture
async def reads(tmp_path: Path) -> AsyncIterator[Reads]:
    log = await SqliteLog.open(tmp_path / "log")
    door = a_door(log, Replica(log, CODEC, source="/tests"), ManualClock(utc("17:00")), tmp_path)
    made, caller = callers_of(door, tmp_path)
    async with caller("operator", OPERATOR, OPERATIONS_READ) as operator:
        yield Reads(door, operator, reads_of(made))
    await door._finished.aclose()
    await log.aclose()


async def test_no_read_takes_a_position_that_nobody_sealed(reads: Reads) -> None:
    assert len(reads.every) > 10
    for path, params in reads.every.items():
        answer = await reads.caller.get(path, params=params, headers={POSITION: "A" * 48})
        assert (path, answer.status_code) == (path, 400)
        assert answer.json()["errors"][0]["code"] == "POSITION"


async def test_no_read_answers_before_the_position_is_reached(reads: Reads) -> None:
    """The answer to each is there only once the partition has moved on."""
    ledger = reads.door.replica.ledgers[0]
    header = {POSITION: reads.door._seal.close(0, ledger.position)}
    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as tasks:
        asked = {
            path: tasks.create_task(reads.caller.get(path, params=params, headers=header))
            for path, params in reads.every.items()
        }
        while len(reads.door.replica._waiting[0]) < len(asked):
            assert [path for path, task in asked.items() if task.done()] == []
            await asyncio.sleep(0)
        ledger.skip(ledger.position, leaf_hash(b""))
        reads.door.replica._wake(0, ledger.position - 1, None)
    assert {task.result().status_code for task in asked.values()} == {200, 403, 404}  # 403: for participants
