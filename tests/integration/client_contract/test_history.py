"""What was published is what history answers, at the gateway in memory as at the real door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import gridsignal
from gridsignal import CarbonPoint, Grid, PricePoint
from gridsignal.testing import FakeGrid, ManualClock, spot_prices
from gridsignal_schemas.messages import Record
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.embedded import Stack
from tests.builders import a_carbon_intensity, a_spot_price, utc

NOON, QUARTER = utc("12:00"), timedelta(minutes=15)
SAID: list[Record] = [
    a_spot_price(),
    spot_prices([10, None, "-3.5"], starts_at=NOON, status="PRELIMINARY"),
    spot_prices([11, 12], starts_at=NOON + QUARTER, status="PRELIMINARY"),
    spot_prices([1], starts_at=NOON),
    spot_prices([9, 9], starts_at=NOON, status="FORECAST"),
    spot_prices([7], starts_at=NOON, dataset="ANOTHER", resolution_s=3600),
    spot_prices([8], starts_at=NOON, zone="FR"),
    a_carbon_intensity(),
]
Points = Sequence[PricePoint | CarbonPoint]


async def asked(grid: Grid) -> list[Points]:
    """What is known of a few periods; not when, which is each door's own time."""
    ends_at = NOON + 3 * QUARTER
    found: list[Points] = [
        await grid.history("prices", "DE-LU", NOON, ends_at),
        await grid.history("prices", "DE-LU", NOON + timedelta(minutes=20), NOON + timedelta(minutes=21)),
        await grid.history("prices", "FR", NOON, ends_at),
        await grid.history("carbon", "DE-LU", NOON - timedelta(days=40), ends_at),
        await grid.history("prices", "DE-LU", NOON + timedelta(days=9), NOON + timedelta(days=10)),
    ]
    return [[replace(point, logged_at=NOON) for point in points] for points in found]


async def test_both_doors_know_the_same_of_what_was_published(stack: Stack) -> None:
    codec, token = Codec.from_lock(), stack.token("participant", "acme-ai")
    for record in SAID:
        await publish(stack.log, codec, record, principal="service:tests", source="tests")
    async with gridsignal.connect(stack.gateway_url, token=token, api=stack.api_url) as grid:
        at_the_door = await asked(grid)
    async with FakeGrid() as fake, gridsignal.connect(fake.url, token=fake.token, api=fake.api) as grid:
        for record in SAID:
            fake.publish(record)
        assert await asked(grid) == at_the_door
    assert all(at_the_door[:-1])


async def test_yesterdays_decision_is_tested_by_what_was_known_yesterday() -> None:
    clock = ManualClock(NOON)
    async with FakeGrid(now=clock.now) as fake, gridsignal.connect(fake.url, token=fake.token, api=fake.api) as grid:
        fake.publish(spot_prices(["40"], starts_at=NOON, status="FORECAST"))
        clock.move_to(NOON + timedelta(hours=1))
        fake.publish(spot_prices(["-5"], starts_at=NOON))
        (then,) = await grid.history("prices", "DE-LU", NOON, NOON + QUARTER, as_of=NOON)
        (now,) = await grid.history("prices", "DE-LU", NOON, NOON + QUARTER)
    assert (then.price_per_mwh, then.logged_at) == (Decimal(40), NOON)
    assert (now.price_per_mwh, now.logged_at) == (Decimal(-5), NOON + timedelta(hours=1))
