"""The console for whoever runs the doors: how they do, and any record with its place in the tree; long tables too."""

from __future__ import annotations

from pathlib import Path

from tests.journey.looking import has_no_barrier, looking

ROWS = 120
_DRAWN = "document.querySelectorAll('tbody tr:not(.gap)').length"
_NUMBERS = "[...document.querySelectorAll('tbody tr[aria-rowindex]')].map((row) => Number(row.ariaRowIndex))"


async def test_doors_readers_and_connections_are_seen_and_a_record_is_shown_with_its_place_in_the_tree(
    tmp_path: Path,
) -> None:
    async with looking(tmp_path, heads_every_s=1) as (world, chromium):
        request_id = await world.ask()
        page = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await page.says("● live")
        await page.press("Operations")
        await page.says("Doors and log", "✓ ready", "Behind the log", "✓ live", "Open connections")
        await page.fill("kind", "request")
        await page.fill("id", request_id)
        await page.press_until("Show", "document.querySelector('pre')")  # a head covers it a second later
        await page.says("DispatchRequest", "operator:tso-north", request_id, "Its way to the root")
        shown = str(await page.js("[...document.querySelectorAll('pre')].at(-1).innerText.trim()"))
        assert request_id.encode().hex() in shown, "as it lies on the log"
        await has_no_barrier(page)
        other = await chromium.page(f"{world.stack.api_url}/console")
        await other.fill("token", world.stack.token("operator", "tso-north"))
        await other.press("Sign in")
        await other.says("● live")
        assert "Operations" not in await other.text()
        assert other.faults == []
        assert [fault for fault in page.faults if "404" not in fault] == []


async def test_a_long_table_is_drawn_where_it_is_seen_scrolls_to_its_end_and_prints_whole(tmp_path: Path) -> None:
    async with looking(tmp_path) as (world, chromium):
        for _ in range(ROWS):
            await world.ask()
        page = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await page.says("● live")
        await page.until(f"document.querySelector('table').ariaRowCount == {ROWS + 1}")
        await page.until(f"{_DRAWN} < {ROWS}")
        await page.js("document.querySelector('.scrolls').scrollTop = 1e6")
        await page.until(f"{_NUMBERS}.at(-1) === {ROWS + 1} && {_NUMBERS}[0] > 2")
        await page.js("document.querySelector('.scrolls').scrollTop = 0")
        await page.until(f"{_NUMBERS}[0] === 2")
        await page.js("dispatchEvent(new Event('beforeprint'))")
        await page.until(f"{_DRAWN} >= {ROWS}")
        await page.js("dispatchEvent(new Event('afterprint'))")
        await page.until(f"{_DRAWN} < {ROWS}")
        await has_no_barrier(page)
        await page.look(360, 800)
        await page.until(f"{_DRAWN} >= {ROWS}")
        assert page.faults == []
