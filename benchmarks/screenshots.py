"""Pictures of every view of the console at 360, 1280 and 2560 pixels, light and dark, for somebody to look at."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from base64 import b64decode
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from gridsignal_schemas.messages import DispatchOrder, DispatchRequest
from gridsignal_schemas.values import MW
from tests.browser import Browser, Page
from tests.builders import a_carbon_intensity, a_grid_alert, a_spot_price, utc
from tests.journey.conftest import World, hear
from tests.journey.looking import looking, told

_WIDTHS = (360, 1280, 2560)
_DRAWN = "new Promise((told) => requestAnimationFrame(() => requestAnimationFrame(() => told(true))))"


@dataclass(frozen=True, slots=True)
class _View:
    name: str
    page: Page
    address: str
    says: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"), help="the folder (build/screenshots)")


def run(args: argparse.Namespace) -> int:
    args.out.mkdir(parents=True, exist_ok=True)
    count = asyncio.run(_pictures(args.out))
    print(f"{count} pictures in {args.out}")
    return 0


async def _pictures(out: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with looking(Path(folder), heads_every_s=1) as (world, chromium):
            count = 0
            for view in await _views(world, chromium):
                await view.page.js(f"location.hash = {view.address!r}")
                await view.page.says(view.says)
                count += await _taken(view, out)
            return count


async def _taken(view: _View, out: Path) -> int:
    for width in _WIDTHS:
        for dark in (False, True):
            await view.page.look(width, 900, dark=dark)
            await view.page.js(_DRAWN)
            picture = await view.page.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
            kind = "dark" if dark else "light"
            (out / f"{view.name}-{width}-{kind}.png").write_bytes(b64decode(picture["data"]))
        if wider := await view.page.js("document.documentElement.scrollWidth - innerWidth"):
            print(f"{view.name}: {wider} pixels beyond {width}")
    await view.page.look(1280, 900)
    return 2 * len(_WIDTHS)


async def _views(world: World, chromium: Browser) -> list[_View]:
    prices = [Decimal(hour - 6) * 10 for hour in range(24)]
    await told(world, a_spot_price(prices_per_mwh=prices), a_carbon_intensity())
    order = await _an_order(world)
    later = {"gate_closure_at": "19:00", "decision_deadline": "19:20", "starts_at": "20:00", "ends_at": "20:45"}
    await world.ask(product="evening-peak", **{name: f"2024-05-12T{at}:00Z" for name, at in later.items()})
    alert = a_grid_alert(issued_at=world.clock.now(), starts_at=world.clock.now(), ends_at=None)
    await told(world, alert)
    operator = await chromium.page(world.stack.console_link("operator", "tso-north"))
    await operator.says("● live")
    site = await chromium.page(world.stack.console_link("participant", "acme-ai"))
    await site.says("● live")
    stranger = await chromium.page(f"{world.stack.api_url}/console")
    await operator.js("location.hash = '#/operations'")
    await operator.fill("id", order.order_id)
    await operator.press_until("Show", "document.querySelector('pre')")  # once a head covers it
    seen = "/".join(["#/alert", alert.provider, alert.zone, alert.alert_id])
    return [
        _View("operations", operator, "#/operations", "Its way to the root"),
        _View("sign-in", stranger, "#/", "Sign in"),
        _View("control-room", operator, "#/", "evening-peak"),
        _View("request", operator, f"#/request/{order.request_id}", "fra-1"),
        _View("order", operator, f"#/order/{order.order_id}", "Who did what"),
        _View("alerts", operator, "#/alerts", "Contact"),
        _View("alert", operator, seen, "fra-1"),
        _View("issue", operator, "#/issue", "Look it over"),
        _View("new-request", operator, "#/new", "Look it over"),
        _View("amend", operator, f"#/amend/{order.request_id}", "revision"),
        _View("prices", operator, "#/zones", "DE-LU"),
        _View("find", operator, "#/find", "Of a month"),
        _View("feeds", operator, "#/feeds", "How they stand"),
        _View("data-center", site, "#/", "fra-1"),
        _View("data-center-request", site, f"#/request/{order.request_id}", "MW"),
        _View("data-center-order", site, f"#/order/{order.order_id}", "Who did what"),
    ]


async def _an_order(world: World) -> DispatchOrder:
    """Of two sites that offered one lost; the other accepted, and its meter spoke."""
    async with world.site("acme-ai", "fra-1") as fra, world.site("volt-colo", "muc-1") as muc, world.desk() as desk:
        request_id = await world.ask()
        for grid, price in ((fra, "80"), (muc, "90")):
            asked = await hear(grid.subscribe("dispatch"), DispatchRequest, request_id=request_id)
            await grid.offer(asked, 10 * MW, price)
        heard = fra.subscribe("dispatch")
        (await desk.post(f"/v1/requests/{request_id}/clear", json={})).raise_for_status()
        order = await hear(heard, DispatchOrder, state="ISSUED")
        await fra.accept(order)
        await world.reach(utc("18:15"))
        await fra.meter(meter="main", starts_at=utc("18:00"), ends_at=utc("18:15"), import_w=26 * MW, seq=0)
    return order
