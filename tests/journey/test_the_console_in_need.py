"""The console where something is the matter, or was last month: alerts, drills, who is silent, what is amended."""

from __future__ import annotations

from pathlib import Path

from gridsignal_schemas.messages import DispatchOrder, DispatchRequest
from gridsignal_schemas.values import MW
from gridsignal_services.registry import FailsafeEntry
from tests.browser import Page
from tests.builders import utc
from tests.journey.conftest import World, hear
from tests.journey.looking import has_no_barrier, looking


def with_a_failsafe(world: World, site: str) -> None:
    """As if the registry's file had it from now on."""
    failsafe = FailsafeEntry(heartbeat_s=60, limit_w=30 * MW, minimum_s=7200)
    registry = world.stack.registry
    sites = registry.sites | {site: registry.sites[site].model_copy(update={"failsafe": failsafe})}
    world.stack.dispatch.entitle(registry.model_copy(update={"sites": sites}))


async def is_fit_for_paper(page: Page) -> None:
    """On A4 nothing is cut off, nothing scrolls, and there is nothing to press."""
    await page.look(703, 1032, dark=True)
    await page.call("Emulation.setEmulatedMedia", media="print")
    await page.until("document.documentElement.scrollWidth <= 703")
    shown = "[...document.querySelectorAll('button, nav, form')].filter((each) => each.checkVisibility()).length"
    assert await page.js(shown) == 0
    assert await page.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    await page.call("Emulation.setEmulatedMedia", media="")
    await page.look(1280, 900)


async def test_an_alert_is_issued_in_the_page_answered_by_a_data_center_and_ended(tmp_path: Path) -> None:
    async with looking(tmp_path) as (world, chromium):
        with_a_failsafe(world, "muc-1")
        operator = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await operator.says("● live", "No alert is in force.", "Every site with a failsafe profile is heard.")
        site = await chromium.page(world.stack.console_link("participant", "acme-ai"))
        await site.says("Data center: fra-1", "● live")
        await world.reach(utc("12:05"))
        await operator.press("Alerts")
        await operator.says("Alerts and contact", "muc-1", "◑ failsafe, silent", "30 MW")
        await has_no_barrier(operator)
        await operator.press("Issue an alert or a drill …")
        await operator.fill("action", "SHED")
        await operator.fill("text", "A line is lost.")
        await has_no_barrier(operator)
        await operator.press("Look it over …")
        await operator.says("Alert every site in DE-LU?", "asked to shed load. It is real.", "within a minute")
        await operator.press("Issue the alert")
        await operator.says("Grid emergency in DE-LU, shed", "fra-1", "◌ not so far", "muc-1")
        await has_no_barrier(operator)

        await site.says("grid emergency in DE-LU, shed", "A line is lost.", "✕ You have not answered for fra-1")
        await site.press("grid emergency in DE-LU, shed")
        await site.press("Cannot act: fra-1")
        await site.says("Cannot act: fra-1?", "told to tso-north and can't be taken back")
        await has_no_barrier(site)
        await site.press("Leave it as it is")
        await site.press("Will act: fra-1")
        await site.press("Say it")
        await site.says("✓ 14:05 +02:00", "will act, example")
        assert "muc-1" not in await site.text(), "no other's site is shown"
        await operator.says("will act, example")

        await operator.press("End this alert …")
        await operator.press("End it")
        await operator.says("■ ended")
        await site.says("■ ended")
        assert "Will act" not in await site.text()
        assert operator.faults + site.faults == []


async def test_a_drill_is_marked_as_one_wherever_it_is_shown_and_who_may_not_push_issues_none(tmp_path: Path) -> None:
    async with looking(tmp_path) as (world, chromium):
        page = await chromium.page(f"{world.stack.api_url}/console")
        await page.fill("token", world.stack.token("operator", "tso-north"))
        await page.press("Sign in")
        await page.says("● live")
        await page.press("Alerts")
        await page.says("Contact")
        assert "Issue an alert" not in await page.text()
        await page.press("Sign out")

        page = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await page.says("● live")
        await page.js("location.hash = '#/issue'")
        for field, value in {"is_drill": "yes", "action": "HOLD", "minutes": "10", "text": "Quarterly."}.items():
            await page.fill(field, value)
        await page.press("Look it over …")
        await page.says("Start a drill in DE-LU?", "on which nobody acts", "ends by itself after 10 min 00 s, at")
        await page.press("Start the drill")
        await page.says("Drill: grid emergency in DE-LU, hold", "acted on by nobody", "End this drill …")
        await page.press("Control room")
        await page.says("Action (drill) grid emergency in DE-LU, hold", "✕ Not acknowledged by")
        await world.reach(utc("12:20"))
        await page.go(f"{world.stack.api_url}/console?again")
        await page.press("Alerts")
        await page.says("grid emergency in DE-LU, hold (drill)", "ended")
        assert page.faults == []


async def is_found_by_month_and_by_id(page: Page, request_id: str, order_id: str) -> None:
    await page.press("Find an order")
    await page.says("Of a month")
    await has_no_barrier(page)
    await page.fill("month", "2024-04")
    await page.press("Find")
    await page.says("There was no order in 2024-04.")
    await page.fill("month", "2024-05")
    await page.press("Find")
    await page.says("1 order in 2024-05.", "fra-1", "Statement of 2024-05", "1 order began in it and is over")
    await has_no_barrier(page)
    await page.press("Save the statement to print")
    await page.says("Saved statement-2024-05.html.")
    await page.press(order_id[:8])
    await page.says("Who did what", "the line is back soon", "operator:tso-north", "participant:acme-ai")
    await has_no_barrier(page)
    await is_fit_for_paper(page)
    await page.press("Find an order")
    await page.fill("id", "nothing")
    await page.press("Find")
    await page.says("expected the id of an order or a request")
    await page.fill("id", request_id)
    await page.press("Find")
    await page.says("The book in merit order", "fra-1")


async def test_a_request_is_amended_an_order_s_end_is_moved_and_it_is_found_by_its_month_and_its_id(
    tmp_path: Path,
) -> None:
    async with looking(tmp_path) as (world, chromium), world.site("acme-ai", "fra-1") as fra:
        request_id = await world.ask()
        page = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await page.says("● live")
        await page.js(f"location.hash = '#/request/{request_id}'")
        await page.press("Amend …")
        await page.says("revision 1", "DE-LU, less, live: these stay as they are.")
        await has_no_barrier(page)
        await page.fill("power", "8")
        await page.fill("cap", "95")
        await page.press("Look it over …")
        await page.says("Amend it to 8 MW less in DE-LU?", "It was 10 MW.")
        await page.press("Amend it")
        await page.says("8 MW less in DE-LU", "EUR 95.00/MWh")

        signals = fra.subscribe("dispatch")
        request = await hear(signals, DispatchRequest, request_id=request_id, revision=2)
        await fra.offer(request, 8 * MW, "80", ends_at=utc("19:15"))
        await page.says("EUR 80.00/MWh")
        await page.press("Clear now …")
        await page.press("Clear now")
        order = await hear(signals, DispatchOrder, state="ISSUED")
        await fra.accept(order)
        await page.says("✓ accepted")
        await page.press("Move the end of the order of fra-1")
        await page.says("8 MW less end at", "Each quarter of an hour more or less is about EUR 160.00.")
        await has_no_barrier(page)
        await page.fill("moment", "2024-05-12T20:30")
        await page.fill("reason", "the line is back soon")
        await page.press("Move its end")
        await page.says("20:00 \u2013 20:30 +02:00")
        await world.reach(utc("20:00"))

        await is_found_by_month_and_by_id(page, request_id, order.order_id)
        assert page.faults == []
