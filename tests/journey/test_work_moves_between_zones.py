"""Work moves from Berlin to Paris: one offer, an order to each site by the SDK, and a settlement of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import gridsignal
from gridsignal_schemas.messages import (
    DispatchOrder,
    DispatchRequest,
    Flexibility,
    FlexibilityKind,
    OfferDecision,
    Workload,
)
from gridsignal_schemas.values import MW
from tests.builders import utc
from tests.journey.conftest import World, hear

pytestmark = pytest.mark.parametrize("cluster", ["sqlite"], indirect=True)
WORK = Flexibility(
    kind=FlexibilityKind.SHIFT_SITE,
    workload=Workload.INFERENCE,
    shift_to_zone="FR",
    shift_to_site="par-1",
    counterpart_power_w=8_240_000,
)


async def test_one_offer_is_an_order_to_each_site_and_each_is_settled(world: World) -> None:
    request_id = await world.ask(power_w=8 * MW)
    async with world.site("hyper-infer", "ber-1") as ber, world.site("hyper-infer", "par-1") as par:
        here, there = ber.subscribe("dispatch", zones=["DE-LU"]), par.subscribe("dispatch", zones=["FR"])
        request = await hear(here, DispatchRequest, request_id=request_id)
        await ber.offer(request, 8 * MW, "90", flexibility=WORK, notice_s=60)
        await world.reach(utc("17:00"))
        less, more = await hear(here, DispatchOrder), await hear(there, DispatchOrder)
        assert (less.site, less.direction, less.power_w) == ("ber-1", "LOAD_DECREASE", 8 * MW)
        assert (more.site, more.direction, more.power_w) == ("par-1", "LOAD_INCREASE", 8_240_000)
        assert less.shift_id == more.shift_id == less.order_id
        with pytest.raises(gridsignal.Invalid, match="as a whole"):
            await ber.accept(less, 4 * MW)
        await ber.accept(less)
        await par.accept(more)
        await world.reach(utc("18:45"))
        period = {"meter": "main", "seq": 1, "starts_at": less.starts_at, "ends_at": less.ends_at}
        await ber.meter(**period, import_w=22 * MW)
        await par.meter(**period, import_w=45 * MW)
        await world.reach(utc("18:45") + timedelta(days=31))
    lines = await _settled(world, "hyper-infer", "participant")
    assert lines == await _settled(world, "tso-north", "operator")
    assert lines == {"ber-1": "540", "par-1": "0"}  # 8 MW x 45 min x 90; nothing for where the work has gone
    assert await _settled(world, "acme-ai", "participant") == {}


async def test_who_refuses_there_ends_it_here_and_a_rival_hears_of_neither(world: World) -> None:
    request_id = await world.ask(power_w=8 * MW)
    async with (
        world.site("hyper-infer", "ber-1") as ber,
        world.site("hyper-infer", "par-1") as par,
        world.site("acme-ai", "fra-1") as rival,
    ):
        here, there = ber.subscribe("dispatch", zones=["DE-LU"]), par.subscribe("dispatch", zones=["FR"])
        theirs = rival.subscribe("dispatch", zones=["DE-LU", "FR"])
        request = await hear(here, DispatchRequest, request_id=request_id)
        await ber.offer(request, 8 * MW, "90", flexibility=WORK, notice_s=60)
        await world.reach(utc("17:00"))
        await ber.accept(await hear(here, DispatchOrder))
        more = await hear(there, DispatchOrder)
        await par.refuse(more, "FULL", "the batches are full")
        ended = await hear(here, DispatchOrder, state="CANCELLED")
        assert ended.reason_code == "SHIFT_OVER"
        assert (await hear(here, OfferDecision, decision="RELEASED")).site == "ber-1"
        await world.reach(utc("18:00"))
        later = await world.ask(starts_at="2024-05-12T20:00:00Z", ends_at="2024-05-12T20:45:00Z", **_LATER)
        assert (await hear(theirs, DispatchRequest)).request_id == request_id
        assert (await hear(theirs, DispatchRequest)).request_id == later, "and nothing between the two"
        async with world.desk("acme-ai", "participant") as desk:
            shown = await desk.get(f"/v1/requests/{more.request_id}")
            unknown = await desk.get("/v1/requests/nothing")
        assert (shown.status_code, shown.json()["errors"]) == (unknown.status_code, unknown.json()["errors"])


_LATER = {"gate_closure_at": "2024-05-12T19:00:00Z", "decision_deadline": "2024-05-12T19:20:00Z"}


async def _settled(world: World, organisation: str, role: str) -> dict[str, Any]:
    async with world.desk(organisation, role) as desk:
        answer = await desk.get("/v1/settlements", params={"limit": 100})
    assert answer.status_code == 200, answer.text
    return {each["settlement"]["site"]: each["settlement"]["total"] for each in answer.json()["settlements"]}
