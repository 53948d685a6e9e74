"""One site's way to an order, on an embedded stack: run by the tests with the code of an older version.

python write_older_log.py DIRECTORY PRICE RESOLUTION_S
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

import gridsignal
from gridsignal_services import embedded
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import WallClock
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings

MW = 1_000_000
HOURS = 6


async def main(directory: Path, price: str, resolution_s: int) -> None:
    """Ends when the order is announced."""
    log = await SqliteLog.open(directory)
    settings = ServerSettings(directory=directory, gateway_port=0, dispatch_port=0, ingest_port=0)
    starting = embedded.running(log, directory, registry=example_registry(), clock=WallClock(), settings=settings)
    async with starting as stack:
        token, bearer = stack.token("participant", "acme-ai"), f"Bearer {stack.token('operator', 'tso-north')}"
        async with (
            gridsignal.connect(stack.gateway_url, token=token, site="fra-1") as grid,
            httpx2.AsyncClient(base_url=stack.api_url, headers={"Authorization": bearer}, timeout=30) as desk,
        ):
            await trade(grid, desk, price, resolution_s)
    await log.aclose()


async def trade(grid: gridsignal.Grid, desk: httpx2.AsyncClient, price: str, resolution_s: int) -> None:
    """Baseline, request, offer, clearing, order."""
    now = datetime.now(UTC).replace(microsecond=0)
    hour = now.replace(minute=0, second=0) + timedelta(hours=1)
    await grid.declare_baseline(hour, [30 * MW] * (HOURS * 3600 // resolution_s), resolution_s=resolution_s)
    times = {"gate_closure_at": 1.0, "decision_deadline": 1.2, "starts_at": 3.0, "ends_at": 3.75}
    body = {name: (now + timedelta(hours=hours)).isoformat() for name, hours in times.items()}
    wanted = {"zone": "DE-LU", "direction": "LOAD_DECREASE", "power_w": 10 * MW, "respond_within_s": 300}
    asked = await desk.post("/v1/requests", json=body | wanted, headers={"Idempotency-Key": "one"})
    async for signal in grid.subscribe("dispatch", zones=["DE-LU"]):
        if isinstance(signal, gridsignal.DispatchRequest):
            await grid.offer(signal, 10 * MW, price)
            request_id = asked.json()["request"]["request_id"]
            await desk.post(f"/v1/requests/{request_id}/clear", json={"reason": "the gate need not be waited for"})
        if isinstance(signal, gridsignal.DispatchOrder):
            return


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
