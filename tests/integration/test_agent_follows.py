"""Orders in hand are followed without a word from the grid, and what can't be done is owed to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import gridsignal
from gridsignal.agent.actuators.simulated import Cluster, SimulatedActuator, SimulatedJob
from gridsignal.agent.answering import Answers
from gridsignal.agent.config import config_of
from gridsignal.agent.following import Follower
from gridsignal.agent.kept import Kept
from gridsignal.agent.orders import Patience, Stage
from gridsignal.agent.running import SiteAgent
from gridsignal.agent.schedule import Manner, Stretch
from gridsignal.testing import ManualClock
from gridsignal_schemas.messages import DispatchOrder
from gridsignal_schemas.values import MW
from tests.builders import a_dispatch_order, utc
from tests.integration.agent_site import CONFIG

START, END = utc("18:00"), utc("18:45")
MINUTE = timedelta(minutes=1)


class Site:
    """A follower of a simulated cluster, made anew from what is kept."""

    def __init__(self, home: Path) -> None:
        self._cluster = home / "cluster.json"
        jobs = [SimulatedJob(name="train", power_w=10 * MW)]
        self._cluster.write_text(Cluster(jobs=jobs).model_dump_json(), "utf-8")
        self.kept = Kept(home / "agent.db")
        self.follower = self.again()

    def again(self, actuator: SimulatedActuator | None = None) -> Follower:
        return Follower(
            actuator or SimulatedActuator(self._cluster),
            None,
            self.kept,
            manner=Manner(restore_s=0),
            patience=Patience(apply_s=60),
            window_s=60,
            baseline=lambda now: [Stretch(now, now + 100 * MINUTE, 10 * MW)],
            moves=True,
            say=lambda _: None,
        )

    def shed_w(self, at: Any) -> int:
        return 10 * MW - Cluster.model_validate_json(self._cluster.read_bytes()).power_w(at)

    def break_cluster(self) -> None:
        self._cluster.unlink()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.kept.close()


def an_order(**changes: Any) -> DispatchOrder:
    named = {"state": "ACCEPTED", "starts_at": START, "ends_at": END, "power_w": 4 * MW, "direction": "LOAD_DECREASE"}
    named |= {"restore_not_before": None, "max_ramp_w_per_min": None, "run_mode": "LIVE", "import_limit_w": None}
    return a_dispatch_order(**named | changes)


async def test_a_silent_grid_lets_go_of_what_says_restore_and_of_nothing_else(site: Site) -> None:
    site.follower.hear(an_order(order_id="restore", on_comms_loss="RESTORE"), START)
    site.follower.hear(an_order(order_id="complete", on_comms_loss="COMPLETE", power_w=3 * MW), START)
    await site.follower.look(START)
    assert site.shed_w(START) == 7 * MW
    site.follower.is_lost = True
    await site.follower.look(START + MINUTE)
    assert site.shed_w(START + MINUTE) == 3 * MW
    site.follower.is_lost = False
    await site.follower.look(START + 2 * MINUTE)
    assert site.shed_w(START + 2 * MINUTE) == 7 * MW


async def test_an_actuator_that_does_not_answer_is_told_once_it_had_its_time(site: Site) -> None:
    site.follower.hear(an_order(), START)
    site.break_cluster()
    await site.follower.look(START)
    assert site.follower.reports() == [], "it may answer in a moment"
    await site.follower.look(START + MINUTE)
    ((followed, report),) = site.follower.reports()
    assert (followed.stage, report.report, report.available_w) == (Stage.FAILED, "UNAVAILABLE", 0)
    ((_, again),) = site.again().reports()
    assert again == report, "who starts anew owes the same"


async def test_who_starts_anew_goes_on_and_at_the_end_gives_all_back_without_the_grid(site: Site) -> None:
    site.follower.hear(an_order(), START)
    await site.follower.look(START)
    following = site.again()
    assert {name: each.stage for name, each in following.orders.items()} == {
        name: each.stage for name, each in site.follower.orders.items()
    }
    assert await following.look(START + MINUTE) == END
    assert site.shed_w(START + MINUTE) == 4 * MW
    await following.look(END)
    assert site.shed_w(END) == 0
    for followed, report in following.reports():
        following.reported(followed.order.order_id, report, END)
    assert not following.orders
    assert not site.again().orders


async def test_an_agent_that_ends_closes_what_is_open_towards_the_actuator(site: Site, tmp_path: Path) -> None:
    closed, tries = asyncio.Event(), asyncio.Event()

    class Open(SimulatedActuator):
        async def aclose(self) -> None:
            closed.set()

    @asynccontextmanager
    async def nowhere() -> AsyncIterator[gridsignal.Grid]:
        tries.set()
        await closed.wait()
        raise gridsignal.Unreachable
        yield

    config = config_of(CONFIG.format(url="ws://127.0.0.1:1", home=tmp_path, mode="confirm").encode(), "site.toml")
    follower = site.again(Open(tmp_path / "cluster.json"))
    answers = Answers(config, follower, site.kept, print)
    running = asyncio.create_task(SiteAgent(config, nowhere, follower, answers, None, print, ManualClock(START)).run())
    await tries.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert closed.is_set()
