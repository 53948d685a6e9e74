"""Goes the walks of docs/walk.md in a process of its own and prints which of our functions were called, in order.

A profile sees the threads that begin after it: hence the process. `python -m tests.journey.walk_through FOLDER`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import httpx2

from gridsignal_schemas.messages import DispatchOrder, DispatchRequest, OfferDecision, SpotPrice
from gridsignal_services.access import SIGNAL_WRITE
from tests.builders import utc
from tests.journey.conftest import TEN_MW, World, hear, stepped_world
from tests.patience import SOON_S
from tests.tidy.sources import ROOT


class Trail:
    """Every function of ours that is called on a walk, in order, in whatever thread."""

    def __init__(self) -> None:
        self.walks: dict[str, list[tuple[str, str]]] = {}
        self._on: list[tuple[str, str]] | None = None
        self._root = f"{ROOT}/"

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and self._on is not None and (file := frame.f_code.co_filename).startswith(self._root):
            self._on.append((file.removeprefix(self._root), frame.f_code.co_qualname))

    @contextmanager
    def walk(self, title: str) -> Iterator[None]:
        """What the block does is one walk."""
        self._on = self.walks[title] = []
        yield
        self._on = None


async def push_a_price(world: World, starts_at: str) -> None:
    """tso-north pushes a day."""
    token = world.stack.issuer.mint("operator", "tso-north", "t", [SIGNAL_WRITE], 60, datetime.now(UTC))
    day = {"zone": "DE-LU", "product": "DAY_AHEAD", "dataset": "TEST", "currency": "EUR", "resolution_s": 3600}
    day |= {"starts_at": starts_at, "prices_per_mwh": ["1"] * 24}
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=world.stack.feeds_url, headers=headers, timeout=SOON_S) as desk:
        answer = await desk.post("/v1/signals/prices", json=day)
    assert answer.status_code == 201, answer.text


async def go(trail: Trail, folder: Path) -> None:
    """All four walks; what is measured for the first time was there before each."""
    outbox = str(folder / "outbox")
    async with stepped_world(folder) as world, world.site("acme-ai", "fra-1", outbox=outbox) as site:
        prices, dispatch = site.subscribe("prices", zones=["DE-LU"]), site.subscribe("dispatch", zones=["DE-LU"])
        await push_a_price(world, "2024-05-11T22:00:00Z")
        await hear(prices, SpotPrice)
        with trail.walk("A price"):
            await push_a_price(world, "2024-05-12T22:00:00Z")
            await hear(prices, SpotPrice)
        await world.ask()
        request = await hear(dispatch, DispatchRequest)
        with trail.walk("An offer"):
            await site.offer(request, TEN_MW, "80")
            await hear(dispatch, OfferDecision)
        with trail.walk("An order"):
            await world.reach(utc("17:00"))
            order = await hear(dispatch, DispatchOrder)
            await site.accept(order)
        await world.reach(utc("18:50"))
        with trail.walk("What it is worth"):
            for quarter in range(3):
                start = utc("18:00") + quarter * timedelta(minutes=15)
                await site.meter(
                    meter="main", point="CONNECTION", starts_at=start, ends_at=start + timedelta(minutes=15),
                    import_w=TEN_MW, export_w=0, quality="OK", seq=quarter,
                )  # fmt: skip
            async with world.desk() as desk:
                answer = await desk.get(f"/v1/orders/{order.order_id}")
    assert answer.json()["amount"] is not None, answer.text


if __name__ == "__main__":
    seen = Trail()
    threading.setprofile(seen)
    sys.setprofile(seen)
    asyncio.run(go(seen, Path(sys.argv[1])))
    sys.setprofile(None)
    print(json.dumps(seen.walks))
