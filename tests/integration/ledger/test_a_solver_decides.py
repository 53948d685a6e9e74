"""An owner with HiGHS: its choice is a record like any other, also for whoever starts later and has no solver."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from gridsignal_schemas.messages import Clearing
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.values import MW
from gridsignal_services.joint.program import NoAnswer, Program, Solution
from gridsignal_services.owning.best import Solver
from gridsignal_services.owning.solver import solver_of
from gridsignal_services.work import NOBODYS
from tests.builders import REQUEST_ID, a_dispatch_request, a_flex_offer, an_option, utc
from tests.integration.ledger.owner_stage import GATE, Stage, running
from tests.patience import LONG_S, SOON_S

OFFERED = {"acme": (7 * MW, "50"), "volt": (5 * MW, "60"), "near": (12 * MW, "52")}


async def asked(stage: Stage) -> None:
    for who in OFFERED:
        await stage.a_site(who, "DE-LU")
    await stage.submit(a_dispatch_request(), "operator:tso-north")
    ramps = {"ramp_down_w_per_min": 20 * MW, "ramp_up_w_per_min": 20 * MW}
    for who, (power_w, price) in OFFERED.items():
        option = an_option(power_w=power_w, price_per_mwh=Decimal(price), divisible=False, min_power_w=0, **ramps)
        offer = a_flex_offer(offer_id=f"{who}-offer", participant=who, site=f"{who}-1", options=[option])
        await stage.submit(offer, f"participant:{who}")


async def test_what_it_finds_is_logged_and_holds_for_a_start_without_it(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00"), solver=solver_of(60)) as stage:
        await asked(stage)
        stage.clock.move_to(GATE)
        await stage.until(lambda: stage.state(REQUEST_ID) is RequestState.AWARDED)
        (clearing,) = [record for record, outcome in stage.seen if isinstance(record, Clearing) and outcome.accepted]
        assert (clearing.algorithm, clearing.gap) == ("mixed-integer", 0)
    async with running(tmp_path, GATE) as again:
        offers = again.replica.ledger_of("DE-LU").offers
        states = {key[0]: offer.state for key, offer in offers.items()}
        assert states == {"acme": OfferState.STANDBY, "volt": OfferState.STANDBY, "near": OfferState.TENTATIVE}


async def test_one_solver_at_a_time_leaves_the_threads_of_answers_free(tmp_path: Path) -> None:
    loop, asked_of, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    both, under_way, most = threading.Barrier(2), list[Program](), list[int]()

    def slow(program: Program, limit_s: float) -> Solution:
        under_way.append(program)
        most.append(len(under_way))
        loop.call_soon_threadsafe(asked_of.set)
        go_on.wait(LONG_S)
        under_way.remove(program)
        raise NoAnswer("none in time")

    zones = {"DE-LU": "acme", "FR": "volt"}
    async with running(tmp_path, utc("16:00"), solver=Solver(slow, LONG_S)) as stage:
        for zone, who in zones.items():
            await stage.a_site(who, zone)
            await stage.submit(a_dispatch_request(request_id=who, zone=zone), "operator:tso-north")
            option = an_option(power_w=MW, min_power_w=0, divisible=False)
            fields = {"participant": who, "site": f"{who}-1", "zone": zone, "options": [option]}
            await stage.submit(a_flex_offer(request_id=who, offer_id=who, **fields), f"participant:{who}")
        stage.clock.move_to(GATE)
        try:
            async with asyncio.timeout(SOON_S):
                await asked_of.wait()
                await asyncio.gather(*(NOBODYS.away(both.wait, SOON_S) for _ in range(both.parties)))
        finally:
            go_on.set()
        await stage.until(
            lambda: all(stage.state(who, zone) is RequestState.PARTIALLY_AWARDED for zone, who in zones.items())
        )
    assert most == [1, 1]


def test_whatever_goes_wrong_in_it_is_no_answer() -> None:
    solver = solver_of(1)
    assert solver is not None
    with pytest.raises(NoAnswer):
        solver.solve(Program(gain=[1.0], whole=[True]), 1)
