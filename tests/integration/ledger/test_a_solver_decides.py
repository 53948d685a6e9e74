"""An owner with HiGHS: its choice is a record like any other, also for whoever starts later and has no solver."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from gridsignal_schemas.messages import Clearing
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.values import MW
from gridsignal_services.joint.program import NoAnswer, Program
from gridsignal_services.owning.solver import solver_of
from tests.builders import REQUEST_ID, a_dispatch_request, a_flex_offer, an_option, utc
from tests.integration.ledger.owner_stage import GATE, Stage, running

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


def test_whatever_goes_wrong_in_it_is_no_answer() -> None:
    solver = solver_of(1)
    assert solver is not None
    with pytest.raises(NoAnswer):
        solver.solve(Program(gain=[1.0], whole=[True]), 1)
