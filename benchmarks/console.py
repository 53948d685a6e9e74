"""How the console bears a curve of 10,000 points and a table of 500 rows: first paint, bytes, frames, long tasks."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.machine import described
from gridsignal_schemas.values import MW
from tests.browser import Page
from tests.builders import a_spot_price, utc
from tests.journey.looking import looking, told

_WIDE_S = 4.0
"""So long frames are counted."""
_LOAD = """(() => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  const files = performance.getEntriesByType('resource').filter((each) => each.name.includes('/console'));
  const page = performance.getEntriesByType('navigation')[0];
  return {first_paint_ms: paint.startTime, bytes: [page, ...files].reduce((sum, each) => sum + each.transferSize, 0)};
})()"""
_FRAMES = """new Promise((told) => {
  const frames = [], tasks = [], began = performance.now();
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((each) => each.duration))).observe(
    {entryTypes: ['longtask']});
  const box = document.querySelector('SCROLLED'), chart = document.querySelector('.chart');
  let last = began;
  const next = (now) => {
    frames.push(now - last); last = now;
    if (box) box.scrollTop = (box.scrollTop + 40) % Math.max(1, box.scrollHeight - box.clientHeight);
    if (chart) chart.style.width = `${70 + 30 * Math.abs(Math.sin(now / 400))}%`;  // redrawn at another size
    if (now - began < WIDE_MS) return requestAnimationFrame(next);
    frames.shift(); frames.sort((a, b) => a - b);
    const at = (share) => frames[Math.min(frames.length - 1, Math.floor(share * frames.length))];
    told({frames: frames.length, frame_ms: {p50: at(.5), p95: at(.95), p99: at(.99), most: frames.at(-1)},
          long_tasks: tasks.length, longest_task_ms: Math.max(0, ...tasks)});
  };
  requestAnimationFrame(next);
})"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--points", type=int, default=10_000, help="of the curve (10000)")
    parser.add_argument("--rows", type=int, default=500, help="open requests in the control room (500)")


def run(args: argparse.Namespace) -> int:
    machine = described()
    figures = asyncio.run(_measure(args.points, args.rows))
    if args.json:
        print(json.dumps({"machine": machine, **figures}))
        return 0
    print(machine)
    for name, found in figures.items():
        print(f"{name:<22}{json.dumps(found)}")
    return 0


async def _measure(points: int, rows: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        async with looking(Path(folder)) as (world, chromium):
            prices = [Decimal((each * 7919) % 20_000 - 5000) / 100 for each in range(points)]
            curve = a_spot_price(
                starts_at=utc("00:00"), resolution_s=max(1, 86_400 * 3 // 2 // points), prices_per_mwh=prices
            )
            await told(world, curve)
            async with world.desk() as desk:
                for number in range(rows):
                    await _ask(desk, number)
            page = await chromium.page(world.stack.console_link("operator", "tso-north"))
            await page.says("live", "bench-0")
            loaded = await page.js(_LOAD)
            table = await _frames(page, ".scrolls")
            shown = await page.js("document.querySelector('table').ariaRowCount - 1")
            await page.press("Prices and carbon")
            await page.until("document.querySelector('.chart canvas')")
            return {"loaded": loaded, f"{shown} rows": table, f"{points} points": await _frames(page, "none")}


async def _frames(page: Page, scrolled: str) -> Any:
    return await page.js(_FRAMES.replace("SCROLLED", scrolled).replace("WIDE_MS", str(_WIDE_S * 1000)))


async def _ask(desk: httpx2.AsyncClient, number: int) -> None:
    times = {"starts_at": "20:00", "ends_at": "20:45", "gate_closure_at": "19:00", "decision_deadline": "19:20"}
    body = {name: f"2024-05-12T{at}:00Z" for name, at in times.items()} | {"product": f"bench-{number}"}
    body |= {"zone": "DE-LU", "direction": "LOAD_DECREASE"}
    sent = {**body, "power_w": MW, "clearing_mode": "BY_HAND"}
    answer = await desk.post("/v1/requests", json=sent, headers={"Idempotency-Key": f"bench-{number}"})
    answer.raise_for_status()
