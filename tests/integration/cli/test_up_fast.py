"""`gridsignal up --speed`: a grid to develop against, through a whole order, into the next days, and over a restart."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import gridsignal
from gridsignal_schemas.messages import DispatchOrder, DispatchRequest, SpotPrice
from tests.integration.cli.conftest import Up, ran, running
from tests.patience import SOON_S

BEGINS = datetime.fromisoformat("2024-05-11T22:00:00Z")


def shell(stack: Up, who: str, line: str) -> str:
    """What a line says in a shell that has read the stack's own variables for somebody."""
    done = ran(f". '{stack.directory / who}.env'; {line}")
    assert (done.code, done.err) == (0, "")
    return done.out


def connected(stack: Up) -> gridsignal.Grid:
    token = stack.towards("participant-acme-ai")["GRIDSIGNAL_TOKEN"]
    return gridsignal.connect(stack.url, token=token, site="fra-1", instance="fast", outbox=":memory:")


async def an_order(stack: Up) -> None:
    """A request by command, an offer and an answer by a program, in grid time."""
    async with asyncio.timeout(SOON_S), connected(stack) as grid:
        assert grid.now() >= BEGINS
        create = "gridsignal request create --zone DE-LU --down 12MW --start +8h --for 45m --gate +2h --decide +3h"
        await asyncio.to_thread(shell, stack, "operator-tso-north", f"{create} --respond 4h --activation 30m")
        async for heard in grid.subscribe("dispatch", zones=["DE-LU"]):
            if isinstance(heard, DispatchRequest):
                assert BEGINS < heard.starts_at < BEGINS + timedelta(days=2)
                await grid.offer(heard, 10_000_000, "80")
            elif isinstance(heard, DispatchOrder):
                await grid.accept(heard)
                return


async def next_days_prices(stack: Up) -> None:
    async with asyncio.timeout(SOON_S), connected(stack) as grid:
        async for price in grid.subscribe("prices", zones=["DE-LU"]):
            if isinstance(price, SpotPrice) and price.starts_at > BEGINS:
                assert price.starts_at == BEGINS + timedelta(days=1)
                return


async def test_a_day_is_lived_in_a_minute_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "fast"
    with running(folder, "--speed", "1800", "--day", "2024-05-12") as stack:
        assert "2024-05-12 is played day after day" in stack.greeting
        await an_order(stack)
        await next_days_prices(stack)
    with running(folder) as again:
        assert "1800 seconds of it in one" in again.greeting
        now = re.search(r"grid time +(\S+ \S+),", again.greeting)
        assert now is not None
        assert datetime.fromisoformat(now[1]) > BEGINS + timedelta(hours=12)
    for words, reason in ((["--speed", "60"], "runs at 1800"), (["--day", "2024-12-12"], "began on 2024-05-12")):
        refused = ran(["up", "--directory", str(folder), *words])
        assert refused.code == 2
        assert reason in refused.err


def test_its_first_steps_leave_time_to_type(tmp_path: Path) -> None:
    """Minutes of the one who types, not of a grid that has long gone on."""
    speed = 600
    with running(tmp_path / "fast", "--speed", str(speed)) as stack:
        desk, create = stack.to_try[2:4]
        asked = ran(f"{desk}\n{create} --json", cwd=tmp_path)
        assert (asked.code, asked.err) == (0, "")
        request = asked.rows()[0]["request"]
        starts_at, gate = map(datetime.fromisoformat, (request["starts_at"], request["gate_closure_at"]))
        assert starts_at - gate == timedelta(minutes=7 * speed)
        assert timedelta(seconds=request["respond_within_s"]) == timedelta(minutes=5 * speed)


def test_a_log_in_real_time_stays_one(tmp_path: Path) -> None:
    with running(tmp_path / "stack"):
        pass
    refused = ran(["up", "--directory", str(tmp_path / "stack"), "--speed", "60"])
    assert refused.code == 2
    assert "is in real time; name another --directory" in refused.err


@pytest.mark.parametrize("words", [["--speed", "0"], ["--speed", "fast"], ["--speed", "nan"], ["--day", "2024-05-13"]])
def test_a_speed_or_day_there_is_not_is_one_line(tmp_path: Path, words: list[str]) -> None:
    refused = ran(["up", *words], cwd=tmp_path)
    assert (refused.code, refused.out) == (2, "")
    assert list(tmp_path.iterdir()) == []
