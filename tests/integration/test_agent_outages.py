"""Orders in hand are held whatever becomes of the grid, its log or this machine's disk; silence lets go of some."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

import gridsignal
from gridsignal.agent.kept import StateFailed
from gridsignal_schemas.frames.closing import CloseCode
from gridsignal_schemas.messages import DispatchOrder
from gridsignal_schemas.values import MW
from tests.integration.agent_site import BASELINE_W, Site, site, stood

LOST = timedelta(seconds=301)
AGAIN = timedelta(seconds=31)
ALONE = timedelta(seconds=11)
AWAY = [gridsignal.Refused("unavailable"), gridsignal.Refused("rate"), gridsignal.OutboxFailed("no room on the disk")]
AWAY += [StateFailed("no room on the disk"), gridsignal.Unauthorized("expired"), gridsignal.NotPermitted("not_yours")]


async def accepted(here: Site, **fields: str) -> DispatchOrder:
    order = await here.ordered(4 * MW, **fields)
    await here.answers(order, "ACCEPTED")
    return order


async def started(here: Site) -> DispatchOrder:
    order = await accepted(here, on_comms_loss="RESTORE")
    here.clock.move_to(order.starts_at)
    await here.answers(order, "STARTED")
    assert here.cluster_w() == BASELINE_W - 4 * MW
    return order


async def fails(here: Site, trouble: gridsignal.GridsignalError) -> None:
    """The conversation ends, and each that follows fails."""
    here.trouble = trouble
    await here.fake.close(CloseCode.REPLACED)
    await here.says("took over")


@pytest.mark.parametrize("trouble", AWAY, ids=str)
async def test_an_order_in_hand_starts_at_its_time_whatever_the_grid_answers(
    tmp_path: Path, trouble: gridsignal.GridsignalError
) -> None:
    async with site(tmp_path) as here:
        order = await accepted(here, on_comms_loss="COMPLETE")
        await fails(here, trouble)
        here.clock.move_to(order.starts_at)
        await here.says("train to 4 MW")
        await here.says(f"{trouble}; orders in hand go on")
        here.trouble = None
        here.clock.move_to(order.starts_at + AGAIN)
        await here.answers(order, "STARTED")


async def test_who_has_nothing_in_hand_waits_for_the_log_and_ends_where_no_time_heals(tmp_path: Path) -> None:
    async with stood(tmp_path) as here:
        here.trouble = gridsignal.Refused("unavailable")
        async with here.running():
            await here.says("the grid is tried again")
            here.trouble = None
            here.clock.move_to(here.clock.now() + AGAIN)
            await here.says("the grid is reached")
        here.trouble = gridsignal.Unauthorized("expired")
        async with here.running() as running:
            await asyncio.wait([running])
            with pytest.raises(ExceptionGroup):
                running.result()


@pytest.mark.parametrize("table", ["questions", "readings"])
async def test_a_state_that_is_broken_refuses_what_needs_it_and_the_agent_goes_on(tmp_path: Path, table: str) -> None:
    async with site(tmp_path, "confirm") as here:
        with closing(sqlite3.connect(tmp_path / "state" / "agent.db")) as state:
            state.execute(f"DROP TABLE {table}")
        here.clock.move_to(here.clock.now() + timedelta(minutes=20))
        order = await here.ordered(4 * MW)
        if table == "questions":
            assert (await here.answers(order, "REFUSED")).reason_code == "NO_STATE"
            order = await here.ordered(4 * MW)
        await here.says("can't be used")
        assert not any("the grid is tried again" in line for line in here.said)


async def test_a_grid_that_is_down_from_the_start_is_silent(tmp_path: Path) -> None:
    async with stood(tmp_path) as here:
        async with here.running():
            order = await started(here)
        await here.fake.stop()
        here.said.clear()
        async with here.running():
            here.clock.move_to(order.starts_at + LOST)
            await here.says("the grid is silent")
            here.clock.move_to(order.starts_at + LOST + ALONE)
            await here.says("train as usual")
            assert here.cluster_w() == BASELINE_W


async def test_a_grid_that_takes_the_agent_no_more_is_silent_until_it_does(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        order = await started(here)
        await fails(here, gridsignal.Unauthorized("the token has expired"))
        here.clock.move_to(order.starts_at + LOST)
        await here.says("the grid is silent")
        await here.says("train as usual")
        await here.says("has expired; orders in hand go on")
        assert here.cluster_w() == BASELINE_W
        here.trouble = None
        here.said.clear()
        here.clock.move_to(order.starts_at + LOST + AGAIN)
        await here.says("the grid is heard again")
        await here.says("train to 4 MW")
