"""A request that leaves the book while an answer is made is in it as it would be had it left before, or stayed."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gridsignal.testing import ManualClock
from gridsignal_schemas.values import MW
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.publish import headers_of
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import micros
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.replica import Replica
from tests.builders import OPERATOR, REQUEST_ID, a_meter_reading, a_request_cancellation, utc
from tests.integration.a_door import a_door, callers_of
from tests.metered import add_reading
from tests.unit.ledger.market import OPERATORS_NAME, Market
from tests.unit.ledger.zone import CODEC

PERIOD = "from=2024-05-12T18:00:00Z&to=2024-05-12T19:00:00Z"
TURNS = (0, 1, 2, 3, 4, 6, 9, 14, 20, 30, 45, 60)
"""After how many turns of the loop it leaves."""


def an_evening() -> Market:
    """One that is over, and leaves the book with the next record."""
    market = Market("acme", kept=timedelta(hours=12), min_quantity_w=0, step_w=None)
    for number in range(3):
        assert market.offer("acme", MW, offer_id=f"o-{number}").accepted
    market.close()
    for tracked in list(market.ledger.orders.values()):
        assert market.reply(tracked.order, "ACCEPTED").accepted
    market.run_until(utc("19:00"))
    market.now += timedelta(hours=13)
    return market


class Stage:
    """A door whose ledger has that evening, as often as it is wanted."""

    def __init__(self, log: SqliteLog, directory: Path) -> None:
        self._evening, self._directory, self._again = an_evening(), directory, 0
        self.orders = list(self._evening.ledger.orders)
        self.replica = Replica(log, CODEC, source="/tests")
        clock = ManualClock(self._evening.now)
        self.door = a_door(log, self.replica, clock, directory, work_burst_ms=10**6)
        self.caller = callers_of(self.door, directory)[1]
        for number in range(9):  # with the baseline's so many figures that they are added up beside the loop
            starts_at = utc("18:00") + number * timedelta(minutes=5)
            times = {"starts_at": starts_at, "ends_at": starts_at + timedelta(minutes=5), "seq": number}
            reading = a_meter_reading(site="acme-1", participant="acme", meter="main", import_w=30 * MW, **times)
            add_reading(self.door.readings.meters, reading)

    async def again(self) -> None:
        """The request is live, and nothing is over."""
        await self.door._finished.aclose()
        self._again += 1
        self.door._finished = Finished(self._directory / str(self._again))
        self.replica._saving.keepers[:] = [self.door._finished]
        self.replica.ledgers[0] = copy.deepcopy(self._evening.ledger)

    async def let_go(self) -> None:
        """Reduces the next record."""
        ledger, record = self.replica.ledgers[0], a_request_cancellation(request_id="none")
        headers = headers_of(record, principal=OPERATORS_NAME, source="/tests")
        value, at_us = CODEC.encode(record), micros(self._evening.now)
        logged = LogRecord("dispatch", 0, ledger.position, record.zone, value, at_us, headers)
        await self.replica._reduce_all([logged])
        assert not ledger.requests


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    log = await SqliteLog.open(tmp_path / "log")
    made = Stage(log, tmp_path)
    yield made
    await made.door._finished.aclose()
    await log.aclose()


QUESTIONS = (
    f"requests?{PERIOD}",
    f"requests/{REQUEST_ID}",
    f"requests/{REQUEST_ID}/book",
    f"orders?{PERIOD}",
    f"orders?request_id={REQUEST_ID}",
    f"offers?request_id={REQUEST_ID}",
    f"totals?by=request&{PERIOD}",
    f"readings?site=acme-1&{PERIOD}",
    f"baselines?site=acme-1&{PERIOD}",
    "orders/",
)


@pytest.mark.parametrize("path", QUESTIONS)
async def test_an_answer_is_the_same_whenever_a_request_leaves(stage: Stage, path: str) -> None:
    path = f"/v1/{path}{stage.orders[0]}" if path == "orders/" else f"/v1/{path}"
    answers: dict[int | None, tuple[int, Any]] = {}
    async with stage.caller("operator", OPERATOR) as operator:
        for turns in (None, *TURNS):
            await stage.again()
            async with asyncio.TaskGroup() as tasks:
                asking = tasks.create_task(operator.get(path))
                if turns is not None:
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    await stage.let_go()
                answer = await asking
                answers[turns] = answer.status_code, answer.json()
    assert answers[None][0] == 200
    assert len(str(answers[None][1])) > 100, "it has something to say"
    assert {turns: answer for turns, answer in answers.items() if answer != answers[None]} == {}
