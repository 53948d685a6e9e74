"""A day that people look at: in the console once its links are printed, and as a page of its own afterwards."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path

from tests.browser import Browser, browser
from tests.journey.looking import has_no_barrier
from tests.patience import LONG_S, SOON_S

LINK = re.compile(r"to watch as (\S+)\s+(http://127\.0\.0\.1:\d+/console#once=\S+)")


async def test_the_day_is_looked_at_in_the_console_and_written_as_a_page(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gridsignal", "demo", "--speed", "max", "--console", "--report"]
    played = await asyncio.create_subprocess_exec(
        *command, str(tmp_path / "day.html"), stdout=asyncio.subprocess.PIPE, env={"COLUMNS": "200", "PATH": "/bin"}
    )
    assert played.stdout is not None, "it is piped"
    try:
        async with asyncio.timeout(3 * LONG_S):
            said = (await played.stdout.readuntil(b"the page stays until Ctrl-C")).decode()
        links = dict(LINK.findall(said))
        async with browser(tmp_path / "profile") as chromium:
            await _is_looked_at(chromium, links)
            played.send_signal(signal.SIGINT)
            async with asyncio.timeout(SOON_S):
                await played.communicate()
            assert played.returncode == 0
            await _is_a_page_of_its_own(chromium, tmp_path / "day.html")
    finally:
        if played.returncode is None:
            played.kill()


async def _is_looked_at(chromium: Browser, links: dict[str, str]) -> None:
    desk = await chromium.page(links["supplier-one"])
    await desk.says("Over in the last day", "noon-surplus", "evening-peak", "day ahead price")
    site = await chromium.page(links["acme-ai"])
    await site.says("What orders came to", "EUR 413.89")
    assert desk.faults + site.faults == []


async def _is_a_page_of_its_own(chromium: Browser, file: Path) -> None:
    page = await chromium.page(file.as_uri(), width=360)
    await page.says("better off", "supplier-one asks for 20.0 MW more", "Ordered and delivered", "fra-1 in DE-LU")
    assert await page.js("document.querySelectorAll('svg').length") >= 11
    assert await page.js("document.documentElement.scrollWidth") == 360
    assert await page.js("document.querySelectorAll('script, link, img').length") == 0
    await has_no_barrier(page)
    assert page.faults == []
    assert page.asked == [file.as_uri()]
