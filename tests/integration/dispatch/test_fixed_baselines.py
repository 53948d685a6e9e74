"""Baselines fixed from history, at the doors: a site sees its own, the operator where it has an order, no rival any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

import gridsignal
from gridsignal import BaselineFixed
from gridsignal_services import embedded
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import micros
from gridsignal_services.registry import ProductEntry, example_registry
from gridsignal_services.settings import ServerSettings
from tests.integration.dispatch.conftest import Day, MovedClock
from tests.patience import SOON_S

BY_HISTORY = ProductEntry(baseline="caiso-10-of-10 1")


@pytest.fixture
async def day(tmp_path: Path) -> AsyncIterator[Day]:
    """A day of an operator with a product that goes by history."""
    clock = MovedClock()
    registry = example_registry()
    registry = registry.model_copy(update={"products": {**registry.products, "evening": BY_HISTORY}})
    log = await SqliteLog.open(tmp_path, append_time_us=lambda: micros(clock.now()))
    settings = ServerSettings(directory=tmp_path, gateway_port=0, dispatch_port=0, ingest_port=0)
    try:
        async with embedded.running(log, tmp_path, registry=registry, clock=clock, settings=settings) as stack:
            await stack.declare_flat_baselines(embedded.midnight(clock.now()), 9, 0.6)
            headers = {"Authorization": f"Bearer {stack.token('operator', 'tso-north')}"}
            async with httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S) as operator:
                yield Day(stack, clock, operator, tmp_path)
    finally:
        await log.aclose()


async def test_a_site_sees_its_own_the_operator_its_orders_and_a_rival_none(day: Day) -> None:
    box, token = day.directory / "watch.outbox", day.stack.token("participant", "acme-ai")
    watching = gridsignal.connect(
        day.stack.gateway_url, token=token, site="fra-1", instance="watch", outbox=box, api=day.stack.api_url
    )
    async with watching as grid:
        signals = grid.subscribe("dispatch")
        await day.order(product="evening")
        async with asyncio.timeout(SOON_S):
            async for signal in signals:
                if isinstance(signal, BaselineFixed):
                    break
        (own,) = await grid.fixed_baselines(day.path.rpartition("/")[2])

    assert own == signal
    assert (own.site, own.power_w, own.readings_position) == ("fra-1", [], 0)
    assert own.reason.startswith("caiso-10-of-10 needs ")
    asked = await day.operator.get(f"{day.path}/baselines")
    assert [each["site"] for each in asked.json()["baselines"]] == ["fra-1"]
    for role, who in (("participant", "volt-colo"), ("operator", "supplier-one")):
        headers = {"Authorization": f"Bearer {day.stack.token(role, who)}"}
        answer = await day.operator.get(f"{day.path}/baselines", headers=headers)
        assert answer.status_code == 404 or answer.json()["baselines"] == []
