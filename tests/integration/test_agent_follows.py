"""Orders in hand are followed without a word from the grid, and what can't be done is owed to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import gridsignal
from gridsignal.agent.actuators import Action, Observed
from gridsignal.agent.actuators.simulated import Cluster, SimulatedActuator, SimulatedJob
from gridsignal.agent.answering import Answers
from gridsignal.agent.config import AlertsTable, Mode, config_of
from gridsignal.agent.contact import GridContact
from gridsignal.agent.following import Follower
from gridsignal.agent.headroom import headroom
from gridsignal.agent.heeding import Heeding
from gridsignal.agent.kept import Kept
from gridsignal.agent.metrics import page, served
from gridsignal.agent.orders import Patience, Stage
from gridsignal.agent.running import SiteAgent
from gridsignal.agent.schedule import Manner, Schedule, Stretch
from gridsignal.agent.web import exchange
from gridsignal.errors import UsageError
from gridsignal.failsafe import FailsafeProfile
from gridsignal.testing import ManualClock
from gridsignal_schemas.messages import DispatchOrder
from gridsignal_schemas.values import MW
from tests.builders import a_dispatch_order, utc
from tests.integration.agent_site import CONFIG
from tests.patience import SOON_S

START, END = utc("18:00"), utc("18:45")
MINUTE = timedelta(minutes=1)
FAILSAFE = FailsafeProfile(heartbeat_s=60, limit_w=4 * MW, minimum_s=3600, spread_s=600)
FREE = START + MINUTE + timedelta(seconds=3600 + 300)


class Site:
    """A follower of a simulated cluster, made anew from what is kept."""

    def __init__(self, home: Path) -> None:
        self._cluster = home / "cluster.json"
        jobs = [SimulatedJob(name="train", power_w=10 * MW)]
        self._cluster.write_text(Cluster(jobs=jobs).model_dump_json(), "utf-8")
        self.kept = Kept(home / "agent.db")
        self.said: list[str] = []
        self.follower = self.again()

    def again(self, actuator: SimulatedActuator | None = None, now: datetime = START) -> Follower:
        return Follower(
            actuator or SimulatedActuator(self._cluster),
            None,
            self.kept,
            manner=Manner(restore_s=0),
            patience=Patience(apply_s=60),
            window_s=60,
            baseline=lambda now: [Stretch(now, now + 100 * MINUTE, 10 * MW)],
            moves=True,
            contact=GridContact(FAILSAFE, self.kept, now, self.said.append, draw=lambda: 0.5),
            heeding=Heeding(AlertsTable(), Manner(restore_s=0), self.kept, moves=True, say=self.said.append),
            say=self.said.append,
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
    lost = START + MINUTE
    assert site.follower.contact.look(lost)
    await site.follower.look(lost)
    assert site.shed_w(lost) == 6 * MW, "3 MW of the order, and down to the limit of 4 MW"
    site.follower.contact.heard(START + 2 * MINUTE)
    await site.follower.look(START + 2 * MINUTE)
    assert site.shed_w(START + 2 * MINUTE) == 7 * MW


async def test_a_silent_grid_holds_what_says_hold_until_it_is_heard(site: Site) -> None:
    site.follower.hear(an_order(order_id="hold", on_comms_loss="HOLD", power_w=8 * MW), START)
    await site.follower.look(START)
    site.follower.contact.look(END)
    for moment in (END, END + MINUTE):
        await site.follower.look(moment)
        assert site.shed_w(moment) == 8 * MW
    site.follower.contact.heard(END + MINUTE)
    await site.follower.look(END + MINUTE)
    assert site.shed_w(END + MINUTE) == 6 * MW, "the failsafe's limit holds on"
    assert [report.report for _, report in site.follower.reports()] == ["COMPLETED"]


async def test_the_failsafe_limits_takes_nothing_from_orders_and_outlives_the_agent(site: Site) -> None:
    site.follower.hear(an_order(power_w=2 * MW), START)
    lost = START + MINUTE
    site.follower.contact.look(lost)
    await site.follower.look(lost)
    assert site.shed_w(lost) == 6 * MW
    assert [followed.stage for followed in site.follower.orders.values()] == [Stage.APPLIED]
    last = FREE - MINUTE / 2
    anew = site.again(now=last)
    anew.contact.heard(last)
    await anew.look(last)
    assert site.shed_w(last) == 6 * MW, "hearing the grid again ends nothing"
    anew.contact.look(FREE)
    await anew.look(FREE)
    assert site.shed_w(FREE) == 0
    limited = "at most 4 MW is drawn, to 2024-05-12T19:06:00Z or a permit"
    silent = f"the grid is silent since 2024-05-12T18:00:00Z: orders go by their on_comms_loss; {limited}"
    told = [line for line in site.said if line.startswith("the ")]
    assert told == [silent, silent, f"the grid is heard again; {limited}", "the failsafe is over"]


async def test_a_permit_lets_a_site_return_once(site: Site) -> None:
    site.kept.permit("person:ann")
    site.follower.contact.look(START)
    for loss in (START + MINUTE, START + 10 * MINUTE):
        site.follower.contact.look(loss)
        await site.follower.look(loss)
        assert site.shed_w(loss) == 6 * MW, "a permit from before is none"
        site.kept.permit("person:ann")
        site.follower.contact.look(loss + MINUTE / 2)
        await site.follower.look(loss + MINUTE / 2)
        assert site.shed_w(loss + MINUTE / 2) == 0


async def test_the_page_of_metrics_says_what_is_asked_applied_and_left(site: Site) -> None:
    site.follower.hear(an_order(), START)
    await site.follower.look(START)
    now = START + MINUTE / 2
    room = headroom(
        site.follower.seen and site.follower.seen.observed, site.follower.schedule(now), now, longest_s=None
    )
    async with served("127.0.0.1", 0, lambda: page(site.follower, Mode.AUTOMATIC, room, now)) as port:
        status, said, _ = await exchange(f"http://127.0.0.1:{port}/metrics", timeout_s=SOON_S)
        assert (await exchange(f"http://127.0.0.1:{port}/", timeout_s=SOON_S))[0] == 404
        with pytest.raises(UsageError, match="can't be listened on"):
            async with served("127.0.0.1", port, str):
                pass
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(said.decode())
        for sample in family.samples
        if not sample.labels
    }
    assert status == 200
    assert found == {
        "gridsignal_agent_silence_seconds": 30,
        "gridsignal_agent_reports_owed": 1,
        "gridsignal_agent_look_age_seconds": 30,
        "gridsignal_agent_asked_watts": 4 * MW,
        "gridsignal_agent_actuator_answers": 1,
        "gridsignal_agent_applied_watts": 4 * MW,
    }
    assert b'gridsignal_agent_orders{stage="APPLIED"} 1\n' in said
    assert b'gridsignal_agent_headroom_watts{direction="shed",notice_s="0",duration_s="900"} 6000000\n' in said
    assert b'gridsignal_agent_headroom_watts{direction="shed",notice_s="3600",duration_s="900"} 10000000\n' in said


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


@pytest.mark.parametrize("trips_over", ["apply", "observe"])
async def test_what_an_actuator_trips_over_is_told_and_the_agent_goes_on(
    site: Site, tmp_path: Path, trips_over: str
) -> None:
    class Trips(SimulatedActuator):
        """Code of its own meets what nobody has thought of."""

        async def apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
            self._trip("apply")
            return await super().apply(schedule, now)

        async def observe(self, now: datetime) -> Observed:
            self._trip("observe")
            return await super().observe(now)

        def _trip(self, at: str) -> None:
            if at == trips_over:
                raise TypeError("can't compare times")

    follower = site.again(Trips(tmp_path / "cluster.json"))
    follower.hear(an_order(), START)
    await follower.look(START)
    await follower.look(START + MINUTE)
    assert [said for said in site.said if "can't compare" in said] == [
        f"the actuator: {trips_over}: TypeError: can't compare times"
    ]
    ((_, report),) = follower.reports()
    assert report.report == "UNAVAILABLE"


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
    answers = Answers(config, follower, site.kept, None, None, print)
    running = asyncio.create_task(
        SiteAgent(config, nowhere, follower, answers, None, None, None, print, ManualClock(START)).run()
    )
    await tries.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert closed.is_set()
