"""The agent stands by with what its headroom leaves, and promises no watt twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from gridsignal.agent.actuators.simulated import Cluster, SimulatedJob
from gridsignal.agent.offering import Promise
from gridsignal.agent.standing_terms import Stands, free_w, wanted
from gridsignal_schemas.messages import FlexOffer, OfferWithdrawal
from gridsignal_schemas.values import MW
from tests.integration.agent_site import CONFIG, NOON, Site, stood
from tests.patience import SOON_S

HOUR = timedelta(hours=1)
STANDING = (
    CONFIG
    + """
[standing]
product = "EMERGENCY_SHED"
price_per_mwh = "400"
most_w = 5_000_000
full_activation_s = 60
max_duration_s = 3600
step_w = 1_000_000
every_s = 60
[failsafe]
heartbeat_s = 86400
"""
)


async def stands(here: Site, revision: int) -> FlexOffer:
    """That revision of what it stands by with, a look at a time."""
    async with asyncio.timeout(SOON_S):
        told = asyncio.create_task(here.fake.next(FlexOffer, request_id=None, revision=revision))
        await passes(here, told)
        return told.result()


async def passes(here: Site, told: asyncio.Task[FlexOffer] | asyncio.Task[OfferWithdrawal]) -> None:
    while not told.done():
        here.clock.move_to(here.clock.now() + timedelta(seconds=10))
        await asyncio.wait([told], timeout=0.05)


def changed(here: Site, train_w: int) -> None:
    cluster = Cluster.model_validate_json((here.home / "cluster.json").read_bytes())
    jobs = [SimulatedJob(name="train", power_w=train_w), *cluster.jobs[1:]]
    (here.home / "cluster.json").write_text(cluster.model_copy(update={"jobs": jobs}).model_dump_json(), "utf-8")


async def test_no_watt_is_promised_twice_and_the_offer_follows_the_headroom(tmp_path: Path) -> None:
    async with stood(tmp_path, config=STANDING) as here:
        async with here.running():
            first = await stands(here, 1)
            assert first.options[0].power_w == 5 * MW
            await here.says(f"stands by with {5 * MW} W")
            order = await here.ordered(8 * MW, in_s=86_400)  # whatever hours pass before it is heard
            assert order.power_w == 3 * MW, "the rest is promised"
            await here.answers(order, "ACCEPTED")
            changed(here, 6 * MW)
            assert (await stands(here, 2)).options[0].power_w == 3 * MW
        here.said.clear()
        async with here.running():
            await here.says(f"stands by with {3 * MW} W")
            changed(here, 5 * MW)
            assert (await stands(here, 3)).options[0].power_w == 2 * MW, "it is the same offer"
            changed(here, 3 * MW)
            async with asyncio.timeout(SOON_S):
                told = asyncio.create_task(here.fake.next(OfferWithdrawal))
                await passes(here, told)
            assert told.result().offer_id == first.offer_id


@pytest.mark.parametrize(
    ("promised", "free"),
    [
        ([], 5),
        ([Promise(NOON + HOUR, NOON + 2 * HOUR, 6 * MW)], 4),
        ([Promise(NOON + HOUR, NOON + 2 * HOUR, 6 * MW), Promise(NOON + 2 * HOUR, None, 7 * MW)], 3),
        ([Promise(NOON + HOUR, NOON + 3 * HOUR, 6 * MW), Promise(NOON + 2 * HOUR, None, 7 * MW)], 0),
        ([Promise(NOON - 2 * HOUR, NOON, 9 * MW)], 5),
    ],
)
def test_it_is_what_nobody_else_is_promised_at_any_later_time(promised: list[Promise], free: int) -> None:
    assert free_w(10 * MW + 999, promised, NOON, 5 * MW + 1, MW) == free * MW


def named(generation: int) -> str:
    return f"it-{generation}"


def test_a_change_is_a_revision_nothing_a_withdrawal_and_what_follows_another_offer() -> None:
    told = list[tuple[str, int, int]]()
    stood_by: Stands | None = None
    for hour, watts in enumerate([0, 4, 4, 3, 0, 0, 2]):
        new = wanted(stood_by, watts * MW, NOON + hour * HOUR, days=7, named=named)
        if new is not None:
            stood_by = new
            told.append((new.offer_id, new.revision, new.power_w // MW))
    assert told == [("it-1", 1, 4), ("it-1", 2, 3), ("it-1", 2, 0), ("it-2", 1, 2)]
    assert stood_by is not None
    renewed = wanted(stood_by, 2 * MW, NOON + timedelta(days=4), days=7, named=named)
    assert renewed is not None
    assert (renewed.revision, renewed.ends_at) == (2, NOON + timedelta(days=11))
    assert wanted(stood_by.again(), 2 * MW, stood_by.since, days=7, named=named) is not None
