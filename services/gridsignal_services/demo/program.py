"""A data center's program: the SDK on one side, its planner on the other. What a user of the SDK would write."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import gridsignal
from gridsignal import DispatchOrder, DispatchRequest, Gap, OrderState, SpotPrice
from gridsignal.subscription import Subscription
from gridsignal_services.clock import Clock
from gridsignal_services.demo.load import SLOT_MIN, SLOTS
from gridsignal_services.demo.planners import Bid, Planner
from gridsignal_services.demo.story import Story

_IDS = uuid.UUID("2f9c7a52-8e1d-5b77-9a6e-5d3f4c1b0a21")


@dataclass(slots=True)
class Latencies:
    """Wall milliseconds. Bounded: one number a price and an offer of one day."""

    offer_to_receipt_ms: list[float] = field(default_factory=list)
    price_seen: list[tuple[str, float]] = field(default_factory=list)
    """Series and when (on the event loop's clock) a program had it."""


class Program:
    """One data center at work for one day."""

    def __init__(self, planner: Planner, story: Story, seed: int, clock: Clock, latencies: Latencies) -> None:
        self._planner, self._story, self._seed, self._clock = planner, story, seed, clock
        self._latencies = latencies
        self._grids: dict[str, gridsignal.Grid] = {}
        self._curves: dict[str, SpotPrice] = {}
        self._requests: dict[str, DispatchRequest] = {}
        self._planned = False

    @asynccontextmanager
    async def connected(self, url: str, token: str, directory: Path) -> AsyncIterator[Program]:
        """One connection for each of its sites."""
        async with AsyncExitStack() as connections:
            for site in self._planner.sites:
                outbox = directory / f"{site}.outbox"
                connection = gridsignal.connect(url, token=token, site=site, outbox=outbox, clock=self._clock)
                self._grids[site] = await connections.enter_async_context(connection)
            yield self

    async def settled(self) -> None:
        """Returns when nothing is under way on any connection and the program waits for its next message."""
        for grid in self._grids.values():
            await grid.settled()

    def listen(self) -> Subscription:
        """What it hears: the prices of its zones, and what is asked and decided in its own."""
        return self._grid.subscribe("prices", "dispatch", zones=list(self._planner.zones))

    async def hear(self, heard: Subscription) -> None:
        """Answers what comes, for ever."""
        async for signal in heard:
            match signal:
                case SpotPrice():
                    self._latencies.price_seen.append((signal.series_id, time.perf_counter()))
                    await self._price(signal)
                case DispatchRequest() if signal.zone == self._planner.zones[0]:
                    await self._request(signal)
                case DispatchOrder(state=OrderState.ISSUED):
                    await self._order(signal)
                case Gap():
                    raise AssertionError(f"expected a stream without a gap, got {signal}")

    async def meter(self) -> None:
        """Reads the meters at the end of each quarter hour."""
        await self._clock.sleep_until(self._story.midnight)
        if not self._planned:
            raise RuntimeError("expected the day's prices before it begins, got none")
        for slot in range(SLOTS):
            starts_at = self._story.midnight + timedelta(minutes=SLOT_MIN * slot)
            ends_at = starts_at + timedelta(minutes=SLOT_MIN)
            await self._clock.sleep_until(ends_at)
            self._planner.tick((slot + 1) * SLOT_MIN)
            for site, load in self._planner.loads.items():
                await self._grids[site].meter(
                    meter=f"{site}-main",
                    starts_at=starts_at,
                    ends_at=ends_at,
                    import_w=load.metered_w(self._seed, slot),
                    seq=slot,
                )

    @property
    def _grid(self) -> gridsignal.Grid:
        return self._grids[self._planner.sites[0]]

    async def _price(self, curve: SpotPrice) -> None:
        if curve.starts_at != self._story.midnight or self._planned:
            return
        self._curves[curve.zone] = curve
        if not all(zone in self._curves for zone in self._planner.zones):
            return
        self._planner.plan(self._curves)
        for site, load in self._planner.loads.items():
            await self._grids[site].declare_baseline(
                self._story.midnight, load.baseline_w, method="price-optimised within the site's own flexibility"
            )
        self._planned = True

    async def _request(self, request: DispatchRequest) -> None:
        self._requests[request.request_id] = request
        for bid in self._planner.bids(request):
            began = time.perf_counter()
            await self._offer(request, bid)
            self._latencies.offer_to_receipt_ms.append((time.perf_counter() - began) * 1000)

    async def _offer(self, request: DispatchRequest, bid: Bid) -> None:
        terms = dict(bid.terms)
        expires_at: datetime = terms.pop("expires_at")
        await self._grid.offer(
            request,
            power_w=bid.power_w,
            price_per_mwh=bid.price_per_mwh,
            offer_id=str(uuid.uuid5(_IDS, f"{self._seed}|{self._planner.sites[0]}|{request.product}|{bid.name}")),
            flexibility=bid.flexibility,
            expires_at=expires_at,
            **terms,
        )

    async def _order(self, order: DispatchOrder) -> None:
        answer = self._planner.answer(order)
        if answer is None:
            return
        if not answer.accepted_w:
            await self._grid.refuse(order, answer.reason_code, answer.reason)
            return
        await self._grid.accept(order, None if answer.accepted_w == order.power_w else answer.accepted_w)
        self._planner.follow(order, answer.accepted_w)


def price_factor(seed: int) -> Decimal:
    """What the seed does to all prices: up to four percent up or down."""
    return 1 + Decimal(random.Random(seed).randint(-400, 400)) / 10_000  # noqa: S311 - a simulation's dice
