"""An alert of the site's zone: what the agent does about it, and what the operator is told of that."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from gridsignal_schemas.messages import AlertAck, GridAlert, OfferWithdrawal
from gridsignal_schemas.values import MW
from tests.builders import a_grid_alert
from tests.integration.agent_site import BASELINE_W, CAN_W, CONFIG, NOON, Site, site, stood
from tests.patience import SOON_S

SHEDDING = (
    CONFIG.replace("restore_s = 0", "restore_s = 0\napply_s = 10") + '[alerts]\nshed_w = {shed}\ndrills = "{drills}"\n'
)


def an_alert(here: Site, **changes: Any) -> GridAlert:
    """Published: a disturbance that asks to hold, until it is cleared."""
    said = {"kind": "DISTURBANCE", "action": "HOLD", "issued_at": here.clock.now(), "starts_at": here.clock.now()}
    return here.fake.publish(a_grid_alert(**(said | {"ends_at": None} | changes)))


async def hears(here: Site, alert: GridAlert, *states: str) -> list[AlertAck]:
    async with asyncio.timeout(SOON_S):
        named = {"alert_id": alert.alert_id, "revision": alert.revision}
        return [await here.fake.next(AlertAck, **named, state=state) for state in states]


async def test_while_a_hold_is_in_force_nothing_starts_and_nothing_comes_back(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
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
        assert lacks.reason == f"{CAN_W} W of {20 * MW} W are held back"
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
    async with stood(tmp_path) as here:
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
    async with stood(tmp_path, config=CONFIG + STANDING) as here, here.running():
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
