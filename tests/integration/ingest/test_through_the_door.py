"""Stories that take the whole door: feeds that stand in for each other, files pushed day after day."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gridsignal_services import embedded
from gridsignal_services.access import SIGNAL_READ, SIGNAL_WRITE
from gridsignal_services.bus import Log
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import MACHINE_TIME, Time, WallClock
from gridsignal_services.embedded import Stack
from gridsignal_services.ingest.feed import Ask, Signal
from gridsignal_services.ingest.feeds import Feeds
from gridsignal_services.ingest.schedule import day_starts_at, market_day
from gridsignal_services.registry import OperatorEntry, Registry, example_registry
from gridsignal_services.settings import ConfigError, ServerSettings
from tests.builders import utc
from tests.feed_documents import DE_LU, energy_charts, period, price_series, prices_document
from tests.integration.ingest.fake_provider import Reply, fake_provider
from tests.integration.ingest.test_fetching import Vtn, fetched
from tests.integration.ingest.test_replay import records, values_on
from tests.patience import SOON_S


def registry_with(zone: str) -> Registry:
    known = example_registry()
    north = OperatorEntry(zones=[*known.operators["tso-north"].zones, zone])
    return known.model_copy(update={"operators": {**known.operators, "tso-north": north}})


@asynccontextmanager
async def door(
    folder: Path, feeds: Feeds | None = None, time: Time = MACHINE_TIME, **limits: str
) -> AsyncIterator[tuple[Stack, httpx2.AsyncClient]]:
    """A stack, and a client of its ingest door with an operator's token of an hour."""
    log, clock = await SqliteLog.open(folder), WallClock()
    settings = ServerSettings(directory=folder, gateway_port=0, dispatch_port=0, ingest_port=0, limits=limits)
    registry = registry_with("BG")
    async with embedded.running(
        log, folder, registry=registry, clock=clock, settings=settings, feeds=feeds, time=time
    ) as stack:
        token = stack.issuer.mint("operator", "tso-north", "t", [SIGNAL_READ, SIGNAL_WRITE], 3600, time.wall())
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(base_url=stack.feeds_url, headers=headers, timeout=SOON_S) as client:
            yield stack, client
    await log.aclose()


async def logged(log: Log, dataset: str) -> None:
    """Returns once prices of this dataset are on the log."""
    reader = await log.reader("prices", await log.start_positions("prices"))
    try:
        while not any(price.dataset == dataset for price in records([each.value for each in await reader.read()])):  # type: ignore[attr-defined]  # all of them are prices
            pass
    finally:
        await reader.aclose()


def today_and_tomorrow() -> tuple[datetime, datetime]:
    day = market_day(WallClock().now())
    return day_starts_at(day), day_starts_at(day + timedelta(days=2))


async def test_while_the_first_feed_has_another_auction_alone_the_next_one_gives_the_coupled_one(
    tmp_path: Path,
) -> None:
    starts_at, ends_at = today_and_tomorrow()
    hours = int((ends_at - starts_at) / timedelta(hours=1))
    edges = [f"{edge:%Y-%m-%dT%H:%MZ}" for edge in (starts_at, ends_at)]
    exaa = price_series(
        period(edges[0], edges[1], "PT60M", dict.fromkeys(range(1, hours + 1), 70)), zone=DE_LU, sequence=2
    )
    charts = Reply(energy_charts(starts_at, [80] * hours, step_s=3600))
    async with fake_provider(Reply(prices_document(exaa))) as entsoe, fake_provider(charts) as other:
        text = f"""
        [zones.DE-LU]
        price = ["entsoe", "energy_charts"]
        [providers.entsoe]
        address = "{entsoe.address}"
        [providers.energy_charts]
        address = "{other.address}"
        """
        feeds = Feeds.parse(text, {"GRIDSIGNAL_FEED_ENTSOE_TOKEN": "hush"})
        async with door(tmp_path, feeds) as (stack, client), asyncio.timeout(SOON_S):
            await logged(stack.log, "SDAC")  # the door is asked when there is something to say: questions have a quota
            told: dict[str, Any] = {}
            while not told.get("energy_charts", {}).get("published"):
                told = {feed["provider"]: feed for feed in (await client.get("/v1/feeds")).json()}
            published = records(await values_on(stack.log, "prices"))
    assert {(r.dataset, r.provider) for r in published} == {("EXAA", "entsoe"), ("SDAC", "energy_charts")}  # type: ignore[attr-defined]  # all of them are prices
    assert "SDAC" in told["entsoe"]["trouble"]
    assert told["energy_charts"]["trouble"] == ""


def a_day(zone: str, day: date, currency: str, level: int) -> dict[str, Any]:
    starts_at = datetime.combine(day, datetime.min.time())
    return {
        "zone": zone,
        "product": "DAY_AHEAD",
        "dataset": "SDAC",
        "currency": currency,
        "starts_at": f"{starts_at.isoformat()}Z",
        "resolution_s": 3600,
        "prices_per_mwh": [str(level + n) for n in range(24)],
    }


@pytest.mark.parametrize(("zone", "first"), [("BG", 201), ("DE-LU", 422)])
async def test_a_zone_that_changes_its_currency_is_published_in_it_the_second_day_at_the_latest(
    tmp_path: Path, zone: str, first: int
) -> None:
    today, a_day_long = WallClock().now().date(), timedelta(days=1)
    said = [(today - a_day_long, "BGN", 180), (today, "EUR", 92), (today + a_day_long, "EUR", 95)]
    days = [a_day(zone, *each) for each in said]
    async with door(tmp_path) as (_, client):
        answers = [await client.post("/v1/signals/prices", json=day) for day in days]
        assert [answer.status_code for answer in answers] == [201, first, 201]
        again = await client.post("/v1/signals/prices", json=days[1])
        assert again.is_success  # what was doubted then may be said now
    if first == 422:
        assert answers[1].json()["errors"][0]["code"] == "CURRENCY_CHANGED"


async def test_18_limits_and_prices_whose_units_their_program_says(samples: Path) -> None:
    folder = samples / "cases" / "feeds" / "18-openadr-units-in-program"
    if not folder.is_dir():
        pytest.skip("needs the recorded answers of public feeds: set GRIDSIGNAL_SAMPLES to their folder")
    program = json.loads((folder / "input-program.json").read_bytes())
    at = utc("2026-11-26T12:00")
    ask = Ask(zone="SE-SE2", signal=Signal.EVENT, now=at, starts_at=at, ends_at=at + timedelta(days=2))
    for file in ("input-events.json", "input-events-with-own-descriptors.json"):
        vtn = Vtn(*json.loads((folder / file).read_bytes()), programs={"prog-1": program})
        async with fake_provider(vtn) as fake:
            place = {"address": fake.address, "client_id": "us", "client_secret": "hush"}
            found = await fetched("openadr3", ask, place | {"operator": "tso-north", "reference_kw": "20000"})
        by_kind = {record.record_name: record for record in found}
        price, request = by_kind["SpotPrice"], by_kind["DispatchRequest"]
        assert ([str(p) for p in price.prices_per_mwh], price.currency) == (["1050.0000"], "SEK")  # type: ignore[attr-defined]  # a price
        assert (request.direction, request.power_w) == ("LOAD_DECREASE", 15_000_000)  # type: ignore[attr-defined]  # a request


async def test_a_feed_whose_requests_go_by_a_product_that_the_registry_lacks_does_not_start(tmp_path: Path) -> None:
    feeds = Feeds(settings={"openadr3": {"product": "evening-pike"}})
    with pytest.raises(ConfigError, match=r"providers.openadr3.product: expected one of .*, got 'evening-pike'"):
        async with door(tmp_path, feeds):
            pass
