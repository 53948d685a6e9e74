"""The agent offers on requests of its own zone, and only what stands takes room."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import gridsignal
from gridsignal.testing.records import a_request
from gridsignal_schemas.messages import FlexOffer
from gridsignal_schemas.values import MW
from tests.integration.agent_site import CAN_W, Site, site
from tests.patience import SOON_S


async def offered_on(here: Site, request: gridsignal.DispatchRequest) -> FlexOffer:
    async with asyncio.timeout(SOON_S):
        return await here.fake.next(FlexOffer, request_id=request.request_id)


async def test_a_request_of_another_zone_is_none_of_its_business_and_takes_no_room(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        abroad = here.fake.publish(a_request(here.clock.now(), "FR", 12 * MW, "LOAD_DECREASE", 3600))
        own = here.fake.ask(12 * MW)
        assert (await offered_on(here, own)).options[0].power_w == CAN_W
        assert not [line for line in here.said if abroad.request_id in line]
        assert {each.zone for each in here.fake.world.written if isinstance(each, FlexOffer)} == {own.zone}


async def test_an_offer_that_is_refused_frees_its_room_for_the_next_request(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.says("baseline: ")  # before that another message may be the next one
        here.fake.refuse("invalid")
        asked = {here.fake.ask(12 * MW).request_id, here.fake.ask(12 * MW).request_id}
        await here.says(": no offer: ")
        async with asyncio.timeout(SOON_S):
            stands = await here.fake.next(FlexOffer)
        assert stands.request_id in asked
        assert stands.options[0].power_w == CAN_W


@pytest.mark.parametrize(
    ("becomes", "left_w"), [("cancelled", CAN_W), ("withdrawn", CAN_W), ("over", CAN_W), ("less", 5 * MW)]
)
async def test_what_stands_no_more_frees_its_room_for_what_found_none(
    tmp_path: Path, becomes: str, left_w: int
) -> None:
    async with site(tmp_path) as here:
        first = here.fake.ask(12 * MW)
        offer = await offered_on(here, first)
        second = here.fake.ask(12 * MW)
        await here.says(f"request {second.request_id}: no offer, 0 W is free, 1 MW the least")
        match becomes:
            case "cancelled":
                here.fake.cancel(first)
            case "withdrawn":
                options: Any = {"site": "fra-1", "clock": here.clock, "outbox": ":memory:", "wait_s": SOON_S}
                async with gridsignal.connect(here.fake.url, token=here.fake.token, **options) as by_hand:
                    await by_hand.withdraw(offer.offer_id)
            case _:
                order = here.fake.award(offer, 3 * MW if becomes == "less" else None)
                await here.answers(order, "ACCEPTED")
                if becomes == "over":
                    here.fake.cancel_order(order)
        assert (await offered_on(here, second)).options[0].power_w == left_w
