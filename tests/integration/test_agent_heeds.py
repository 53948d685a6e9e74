"""An alert of the site's zone: what the agent does about it, and what the operator is told of that."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gridsignal.agent.alerts import due
from gridsignal.agent.config import AlertsTable
from gridsignal.agent.heeding import MOST_ALERTS, MOST_IDLE, Heeding
from gridsignal.agent.kept import Kept, StateFailed
from gridsignal.agent.schedule import Manner
from gridsignal_schemas.messages import AlertAck, GridAlert, OfferWithdrawal
from gridsignal_schemas.values import MW
from tests.builders import a_grid_alert
from tests.integration.agent_site import BASELINE_W, CONFIG, NOON, Site, stood
from tests.patience import SOON_S

TRUSTING = CONFIG + '[alerts]\nproviders = ["tso-north"]\n'
SHEDDING = TRUSTING.replace("restore_s = 0", "restore_s = 0\napply_s = 10") + 'shed_w = {shed}\ndrills = "{drills}"\n'


def an_alert(here: Site, **changes: Any) -> GridAlert:
    """Published: a disturbance that asks to hold, until it is cleared."""
    said = {"kind": "DISTURBANCE", "action": "HOLD", "issued_at": here.clock.now(), "starts_at": here.clock.now()}
    return here.fake.publish(a_grid_alert(**(said | {"ends_at": None} | changes)))


async def hears(here: Site, alert: GridAlert, *states: str) -> list[AlertAck]:
    async with asyncio.timeout(SOON_S):
        named = {"alert_id": alert.alert_id, "revision": alert.revision}
        return [await here.fake.next(AlertAck, **named, state=state) for state in states]


async def test_while_a_hold_is_in_force_nothing_starts_and_nothing_comes_back(tmp_path: Path) -> None:
    async with stood(tmp_path, config=TRUSTING) as here, here.running():
        await here.says("the grid is reached")
        running = await here.ordered(4 * MW)
        await here.answers(running, "ACCEPTED")
        here.clock.move_to(running.starts_at)
        await here.answers(running, "STARTED")
        held_w = BASELINE_W - here.cluster_w()
        alert = an_alert(here)
        await hears(here, alert, "RECEIVED", "UNDERSTOOD", "WILL_ACT", "APPLIED")
        assert running.ends_at is not None
        here.clock.move_to(running.ends_at)
        await here.answers(running, "COMPLETED")
        assert BASELINE_W - here.cluster_w() == held_w
        here.fake.publish(alert.model_copy(update={"revision": 2, "ends_at": here.clock.now()}))
        await here.says(f"over, {4 * MW} W come back")
        await here.says("train as usual")


async def test_an_emergency_sheds_what_the_site_gives_for_it_and_says_what_it_lacks(tmp_path: Path) -> None:
    config = SHEDDING.replace("{shed}", str(20 * MW)).replace("{drills}", "answer")
    async with stood(tmp_path, config=config) as here, here.running():
        await here.says("the grid is reached")
        alert = an_alert(here, kind="GRID_EMERGENCY", action="SHED")
        await hears(here, alert, "UNDERSTOOD", "WILL_ACT")
        await here.says("train to 0 W")
        here.clock.move_to(NOON + timedelta(seconds=20))
        (lacks,) = await hears(here, alert, "CANNOT_ACT")
        assert lacks.reason_code == "ACTUATOR_HOLDS_LESS"
        assert lacks.reason == f"the {20 * MW} W of this alert are not all shed", "and nothing of what others ordered"
        an_alert(here, alert_id="next", supersedes=alert.alert_id, action="INFORM")
        await here.says("train as usual")
        assert here.cluster_w() == BASELINE_W


async def test_an_exercise_moves_power_only_where_the_site_says_so(tmp_path: Path) -> None:
    for drills, said in (("answer", "UNDERSTOOD"), ("act", "APPLIED")):
        home = tmp_path / drills
        home.mkdir()
        config = SHEDDING.replace("{shed}", str(3 * MW)).replace("{drills}", drills)
        async with stood(home, config=config) as here, here.running():
            await here.says("the grid is reached")
            alert = an_alert(here, action="SHED", is_drill=True)
            (word,) = await hears(here, alert, said)
            assert BASELINE_W - here.cluster_w() == (3 * MW if drills == "act" else 0)
            assert word.reason_code == ("DRILL" if drills == "answer" else "")


async def test_an_alert_that_was_cleared_while_the_agent_was_away_binds_it_no_more(tmp_path: Path) -> None:
    async with stood(tmp_path, config=TRUSTING) as here:
        async with here.running():
            alert = an_alert(here)
            await hears(here, alert, "APPLIED")
        here.fake.publish(alert.model_copy(update={"revision": 2, "ends_at": here.clock.now()}))
        here.said.clear()
        async with here.running():
            await here.says("over, 0 W come back")


STANDING = """
[standing]
product = "EMERGENCY_SHED"
price_per_mwh = "400"
most_w = 5_000_000
full_activation_s = 60
max_duration_s = 3600
every_s = 10
"""


async def test_a_hold_that_ends_before_a_call_would_begin_leaves_what_it_stands_by_with(tmp_path: Path) -> None:
    async with stood(tmp_path, config=TRUSTING + STANDING) as here, here.running():
        await here.says(f"stands by with {5 * MW} W")
        await hears(here, an_alert(here, ends_at=NOON + timedelta(seconds=59)), "APPLIED")
        withdrawn = asyncio.create_task(here.fake.next(OfferWithdrawal))
        for second in range(5, 60, 5):
            here.clock.move_to(NOON + timedelta(seconds=second))
            await asyncio.wait([withdrawn], timeout=0.05)
        assert not withdrawn.done()
        here.clock.move_to(NOON + timedelta(seconds=60))
        await here.says("over, 0 W come back")
        await hears(here, an_alert(here, alert_id="long", ends_at=NOON + timedelta(days=1)), "APPLIED")
        async with asyncio.timeout(SOON_S):
            while not withdrawn.done():
                here.clock.move_to(here.clock.now() + timedelta(seconds=1))
                await asyncio.wait([withdrawn], timeout=0.05)


@pytest.mark.parametrize("named", ["", '[alerts]\nproviders = ["tso-south"]\n'])
async def test_who_is_not_named_moves_nothing_and_is_told_so(tmp_path: Path, named: str) -> None:
    async with stood(tmp_path, config=CONFIG + named) as here, here.running():
        await here.says("the grid is reached")
        (word,) = await hears(here, an_alert(here, action="SHED", kind="GRID_EMERGENCY"), "UNDERSTOOD")
        assert word.reason_code == "NOT_CONFIGURED"
        order = await here.ordered(4 * MW)
        await here.answers(order, "ACCEPTED")


@contextmanager
def heeding(**table: Any) -> Iterator[tuple[Heeding, list[str]]]:
    said = list[str]()
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(Path(folder) / "agent.db")
        try:
            named = AlertsTable(providers=["tso-north"], **table)
            yield Heeding(named, Manner(restore_s=0), kept, moves=True, say=said.append), said
        finally:
            kept.close()


def a_hold(name: str, provider: str = "tso-north", **changes: Any) -> GridAlert:
    said = {"action": "HOLD", "issued_at": NOON, "starts_at": NOON, "ends_at": None, "is_drill": False}
    return a_grid_alert(**(said | {"alert_id": name, "provider": provider} | changes))


def test_no_flood_of_alerts_shuts_out_what_is_obeyed() -> None:
    with heeding(drills="act") as (heeds, _):
        for each in range(MOST_ALERTS + 5):
            heeds.hear(a_hold(f"stranger-{each}", provider="tso-fr"), NOON)
            heeds.hear(a_hold(f"news-{each}", action="INFORM"), NOON)
            if each < MOST_ALERTS:
                heeds.hear(a_hold(f"drill-{each}", is_drill=True), NOON)
        with pytest.raises(StateFailed, match=f"expected at most {MOST_ALERTS} alerts of tso-north"):
            heeds.hear(a_hold("drill", is_drill=True), NOON)
        heeds.hear(a_hold("fault"), NOON)
        assert heeds.alerts["alert fault of tso-north"].asks(NOON)
        for each in range(MOST_IDLE):
            heeds.hear(a_hold("one", provider=f"tso-{each}"), NOON)
        assert sum(held.is_idle for held in heeds.alerts.values()) == MOST_IDLE


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_an_alert_is_believed_so_long_over_all_its_revisions(is_forgotten: bool) -> None:
    with heeding(longest_s=3600) as (heeds, _):
        until = NOON + timedelta(hours=1)
        heeds.hear(a_hold("fault", ends_at=NOON + timedelta(minutes=30) if is_forgotten else None), NOON)
        heeds.settle(0, 0, NOON)
        if is_forgotten:
            half = NOON + timedelta(minutes=30)
            heeds.settle(0, 0, half)
            heeds.judge(0, 0, 60, half)
            assert not heeds.alerts
        heeds.hear(a_hold("fault", revision=2), until - timedelta(minutes=5))
        assert heeds.holds(until - timedelta(minutes=5)) is not None
        heeds.settle(0, 0, until - timedelta(minutes=5))
        heeds.settle(0, 0, until)
        heeds.hear(a_hold("fault", revision=3), until)
        held = heeds.alerts["alert fault of tso-north"]
        assert heeds.holds(until) is None
        heeds.settle(0, 0, until)
        told = held.so(said=("UNDERSTOOD", "WILL_ACT", "APPLIED"))
        word = due(told, until)
        assert word is not None
        assert word.reason_code == "TOO_LONG"
