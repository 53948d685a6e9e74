"""An agent with a source of jobs plans on what it hears, declares that, and offers what could move, at its price."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from gridsignal.agent.actuators import ActuatorFailed
from gridsignal.agent.job_sources import EntryPointJobs
from gridsignal.errors import UsageError
from gridsignal.testing import spot_prices
from gridsignal_schemas.messages import BaselineDeclaration, FlexOffer
from gridsignal_schemas.values import MW, rfc3339
from tests.integration.agent_site import NOON, Site, stood
from tests.patience import SOON_S

CONFIG = """
site = "fra-1"
url = "{url}"
state = "{home}/state"
mode = "{mode}"
[model]
zone = "DE-LU"
it_capacity_w = 60_000_000
connection_limit_w = 60_000_000
base_it_w = 30_000_000
pue = [{{ load = 1.0, pue = 1.0 }}]
[plan]
jobs = {{ kind = "file", file = "{home}/jobs.toml" }}
hours = 12
seconds = 60
margin_per_mwh = 5
[offers]
price_per_mwh = "1"
most_w = 20_000_000
[orders]
restore_s = 0
[actuator]
kind = "simulated"
file = "{home}/cluster.json"
"""
JOB = """
[[jobs]]
job_id = "train"
power_w = 8_000_000
duration_s = 7_200
earliest = {earliest}
deadline = {deadline}
pausable = true
"""
CHEAP, DEAR = 10, 50
HOURS = [DEAR] * 2 + [CHEAP] * 2 + [20] * 8
"""From noon on: the job runs from two to four."""


async def told(here: Site) -> BaselineDeclaration:
    async with asyncio.timeout(SOON_S):
        return await here.fake.next(BaselineDeclaration, method="agent: as planned")


def hears_prices(here: Site, hours: list[int], revision: int = 1) -> None:
    quarters = [price for price in hours for _ in range(4)]
    seen = here.clock.now() + timedelta(seconds=revision)
    here.fake.publish(spot_prices(quarters, starts_at=NOON, zone="DE-LU", revision=revision, observed_at=seen))


async def test_what_is_planned_is_declared_and_what_could_move_is_offered_at_its_price(tmp_path: Path) -> None:
    job = JOB.format(earliest=rfc3339(NOON), deadline=rfc3339(NOON + timedelta(hours=12)))
    (tmp_path / "jobs.toml").write_text(job, "utf-8")
    async with stood(tmp_path, config=CONFIG) as here, here.running():
        await here.says("no plan: no day-ahead price of DE-LU is known")
        hears_prices(here, HOURS)
        declared = await told(here)
        assert declared.starts_at == NOON
        assert list(declared.power_w) == [30 * MW] * 8 + [38 * MW] * 8 + [30 * MW] * 32
        assert json.loads((tmp_path / "state" / "plan.json").read_text("utf-8"))["jobs"]["train"].count(0) == 8

        times = {"starts_at": NOON + timedelta(hours=2), "ends_at": NOON + timedelta(hours=3)}
        request = here.fake.ask(10 * MW, **times)
        async with asyncio.timeout(SOON_S):
            offer = await here.fake.next(FlexOffer, request_id=request.request_id)
        (option,) = offer.options
        assert (option.power_w, option.price_per_mwh) == (8 * MW, Decimal(15)), "an hour at 20 instead of 10, and 5"
        order = here.fake.award(offer)
        await here.answers(order, "ACCEPTED")

        hears_prices(here, [DEAR] * 8 + [CHEAP] * 4, 2)
        declared = await told(here)
        assert list(declared.power_w[8:12]) == [38 * MW] * 4, "what an order is measured by stays as it was"
        assert sum(declared.power_w[12:]) == 36 * 30 * MW + 8 * 8 * MW


async def test_a_source_that_is_broken_leaves_no_plan_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text('[[jobs]]\njob_id = "a"\n', "utf-8")
    async with stood(tmp_path, config=CONFIG) as here, here.running():
        hears_prices(here, HOURS)
        await here.says("no plan: ")
        await here.says("power_w: expected a value")
        request = here.fake.ask(10 * MW)
        await here.says(f"request {request.request_id}: no offer")


SOURCE = """
from datetime import timedelta
from gridsignal.agent.jobs import Job

class Source:
    async def read(self, now):
        if now.hour > 12:
            raise OSError("the queue is away")
        later = now + timedelta(hours=12)
        return [Job(job_id="own", power_w=1, duration_s=60, earliest=now, deadline=later)], {}, ["one is left out"]
"""


async def test_a_package_of_the_sites_own_is_a_source_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site_jobs.py").write_text(SOURCE, "utf-8")
    about = tmp_path / "site_jobs-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: site-jobs\nVersion: 1\n", "utf-8")
    (about / "entry_points.txt").write_text("[gridsignal.jobs]\nsite = site_jobs:Source\nodd = json:loads\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    source = EntryPointJobs("site")
    jobs, _, faults = await source.read(NOON)
    assert [job.job_id for job in jobs] == ["own"]
    assert faults == ["one is left out"]
    with pytest.raises(ActuatorFailed, match="entry point site: OSError: the queue is away"):
        await source.read(NOON + timedelta(hours=1))
    with pytest.raises(UsageError, match=r"expected one of the entry points gridsignal\.jobs"):
        EntryPointJobs("sote")
    with pytest.raises(UsageError, match="entry point odd: TypeError"):
        EntryPointJobs("odd")
