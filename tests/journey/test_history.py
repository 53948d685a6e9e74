"""What a program asks of the past: the dispatch door's figures as plain lists of points."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import gridsignal
from gridsignal_services.bus.publish import publish
from tests.builders import a_carbon_intensity, a_spot_price, utc

DAY = a_spot_price().starts_at


@pytest.fixture
def cluster() -> None:
    """On the embedded log: what is kept is the same on any."""


async def published(world: Any, *records: Any) -> None:
    for record in records:
        await publish(world.stack.log, world.stack.codec, record, principal="service:tests", source="tests")


async def test_the_prices_of_a_day_are_points_in_order_with_the_best_figure_of_each_hour(world: Any) -> None:
    corrected = a_spot_price(revision=2, prices_per_mwh=[Decimal(7)] * 24, status="CORRECTED")
    await published(world, a_spot_price(), corrected)
    async with world.site("acme-ai", "fra-1", api=world.stack.api_url) as grid:
        points = await grid.history("prices", "DE-LU", DAY, DAY + timedelta(days=1))
        hour = await grid.history("prices", "DE-LU", utc("10:30"), utc("11:30"))
    assert [point.starts_at for point in points] == [DAY + timedelta(hours=n) for n in range(24)]
    assert {(p.price_per_mwh, p.status, p.revision, p.currency, p.product) for p in points} == {
        (Decimal(7), "CORRECTED", 2, "EUR", "DAY_AHEAD")
    }
    assert [point.starts_at for point in hour] == [utc("10:00"), utc("11:00")]  # what touches the period


async def test_the_past_is_told_as_it_was_known_then(world: Any) -> None:
    await published(world, a_spot_price())
    await world.reach(utc("13:00"))
    await published(world, a_spot_price(revision=2, prices_per_mwh=[Decimal(7)] * 24, status="CORRECTED"))
    asked = ("prices", "DE-LU", utc("11:00"), utc("12:00"))
    async with world.site("acme-ai", "fra-1", api=world.stack.api_url) as grid:
        (now,) = await grid.history(*asked)
        (then,) = await grid.history(*asked, as_of=utc("12:30"))
    assert (now.price_per_mwh, then.price_per_mwh) == (Decimal(7), Decimal("-135.45"))


async def test_carbon_is_told_likewise_and_a_period_of_months_in_one_list(world: Any) -> None:
    await published(world, a_carbon_intensity())
    async with world.site("acme-ai", "fra-1", api=world.stack.api_url) as grid:
        points = await grid.history("carbon", "DE-LU", DAY - timedelta(days=61), DAY + timedelta(days=40))
    curve = a_carbon_intensity()
    assert [point.grams_per_kwh for point in points] == curve.grams_per_kwh
    assert {(p.accounting, p.scope, p.mix) for p in points} == {(curve.accounting, curve.scope, curve.mix)}


async def test_who_asks_wrongly_is_told_what_is_missing(world: Any) -> None:
    async with world.site("acme-ai", "fra-1") as nowhere:
        with pytest.raises(gridsignal.UsageError, match=r"connect\(api="):
            await nowhere.history("prices", "DE-LU", DAY, utc("12:00"))
    async with world.site("acme-ai", "fra-1", api=world.stack.api_url) as grid:
        with pytest.raises(gridsignal.UsageError, match="a start before the end"):
            await grid.history("prices", "DE-LU", utc("12:00"), DAY)
        with pytest.raises(gridsignal.UsageError, match="'prices' or 'carbon'"):
            await grid.history("alerts", "DE-LU", DAY, utc("12:00"))
        with pytest.raises(gridsignal.NotPermitted):
            await grid.history("prices", "XX", DAY, utc("12:00"))


async def test_what_is_no_dispatch_door_is_told_as_such(world: Any) -> None:
    async with world.site("acme-ai", "fra-1", api=world.stack.gateway_url.replace("ws", "http")) as grid:
        with pytest.raises(gridsignal.NotPermitted):
            await grid.history("prices", "DE-LU", DAY, utc("12:00"))
    async with world.site("acme-ai", "fra-1", api="http://127.0.0.1:9") as grid:
        with pytest.raises(gridsignal.Unreachable) as told:
            await grid.history("prices", "DE-LU", DAY, utc("12:00"))
    assert told.value.retriable


def test_a_token_does_not_cross_a_network_in_the_open() -> None:
    with pytest.raises(gridsignal.UsageError, match="https://"):
        gridsignal.connect("ws://127.0.0.1:1", token="t", api="http://operators.example")


async def test_a_script_without_async_has_the_past_as_a_data_frame(world: Any) -> None:
    await published(world, a_spot_price())

    def script() -> Any:
        token, urls = world.stack.token("participant", "acme-ai"), (world.stack.gateway_url, world.stack.api_url)
        with gridsignal.sync.connect(urls[0], token=token, api=urls[1], clock=world.clock) as grid:
            return gridsignal.frames.history_frame(grid.history("prices", "DE-LU", DAY, DAY + timedelta(days=1)))

    frame = await asyncio.to_thread(script)
    assert list(frame.index) == [DAY + timedelta(hours=n) for n in range(24)]
    assert list(frame["price_per_mwh"]) == [float(price) for price in a_spot_price().prices_per_mwh]
