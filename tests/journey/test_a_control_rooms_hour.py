"""An hour in a control room, by what is written on the page alone, as somebody has it who has not read anything."""

from __future__ import annotations

from pathlib import Path

import gridsignal
from gridsignal_schemas.messages import DispatchOrder, DispatchRequest
from gridsignal_schemas.values import MW
from tests.browser import Page
from tests.builders import utc
from tests.journey.conftest import World, hear, two_sites
from tests.journey.looking import looking

TIMES = {"Gate closes": "19:00", "Decided by": "19:20", "Starts": "20:00", "Ends": "20:45"}
Sites = tuple[gridsignal.Grid, gridsignal.Grid]


async def test_an_engineer_who_has_read_nothing_gets_through_an_hour(tmp_path: Path) -> None:
    async with looking(tmp_path) as (world, chromium):
        page = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await page.says("● live")
        async with two_sites(world) as sites:
            await asks_and_awards_by_hand(page, sites)
            await page.press("Control room")
            await cancels_a_request(page, world)
            await world.reach(utc("18:15"))
            await page.go(f"{world.stack.api_url}/console?later")  # its clock goes on by itself
            await releases(page)
        site = await chromium.page(world.stack.console_link("participant", "acme-ai"))
        await alerts_and_sees_who_answers(page, site)
        await world.reach(utc("2024-06-02T12:00"))
        await finds_last_months_order(page)
        assert page.faults + site.faults == []


async def asks_and_awards_by_hand(page: Page, sites: Sites) -> None:
    await page.press("New request")
    await page.enter("Power, MW", "6")
    for label, at in TIMES.items():
        await page.enter(f"{label}, the zone's market time", f"2024-05-12T{at}")
    await page.enter("Product", "evening-peak")
    await page.press("Look it over …")
    await page.press("Ask for it")
    for grid, price in zip(sites, ("80", "95"), strict=True):
        await grid.offer(await hear(grid.subscribe("dispatch"), DispatchRequest), 6 * MW, price)
        await page.says(f"EUR {price}.00/MWh")
    heard = sites[1].subscribe("dispatch")
    await page.press("Award muc-1")
    await page.enter("Reason", "nearer to the line")
    await page.press("Award")
    await sites[1].accept(await hear(heard, DispatchOrder, state="ISSUED"))
    await page.says("✓ accepted", "◑ standby")
    await page.says("somebody awarded by hand and picked others")


async def cancels_a_request(page: Page, world: World) -> None:
    await world.ask(product="not-needed")
    await page.press("not-needed")
    await page.press("Cancel the request …")
    await page.enter("Reason", "the line is back")
    await page.press("Cancel the request")
    await page.says("✕ cancelled")
    await page.press("Control room")


async def releases(page: Page) -> None:
    await page.press("evening-peak")
    await page.says("▶ active")
    await page.press("End the order of muc-1")
    await page.says("Release muc-1 now?")
    await page.press("Release now")
    await page.says("20:00 \u2013 20:15 +02:00")


async def alerts_and_sees_who_answers(page: Page, site: Page) -> None:
    await page.press("Alerts")
    await page.press("Issue an alert or a drill …")
    await page.enter("Sites are asked to", "shed load")
    await page.enter("What people read", "A line is lost.")
    await page.press("Look it over …")
    await page.press("Issue the alert")
    await site.says("✕ You have not answered for fra-1")
    await site.press("grid emergency in DE-LU, shed")
    await site.press("Will act: fra-1")
    await site.press("Say it")
    await page.says("will act")


async def finds_last_months_order(page: Page) -> None:
    await page.press("Find an order")
    await page.enter("Of a month, such as 2024-05", "2024-05")
    await page.press("Find")
    await page.says("muc-1", "Statement of 2024-05")
