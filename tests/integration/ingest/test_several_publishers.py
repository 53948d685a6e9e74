"""Several ingest doors on one log: each judges by what all of them have published."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from gridsignal_schemas.messages import SpotPrice
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.ingest.publishing import Origin, Publishing
from tests.builders import a_spot_price, utc
from tests.integration.gateway_stand import GridTime

FEED = Origin("replay", "price", "DE-LU")
Two = tuple[Publishing, Publishing]


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Two]:
    log, codec, clock = await SqliteLog.open(tmp_path), Codec.from_lock(), GridTime(utc("12:00"))
    yield Publishing(log, codec, clock), Publishing(log, codec, clock)
    await log.aclose()


async def test_what_one_has_published_another_does_not_repeat(doors: Two) -> None:
    one, other = doors
    assert len((await one.take([a_spot_price()], FEED)).published) == 1
    batch = await other.take([a_spot_price()], FEED)
    assert (batch.published, batch.known) == ([], 1)


async def test_a_correction_is_the_next_revision_whoever_gets_it(doors: Two) -> None:
    one, other = doors
    await one.take([a_spot_price()], FEED)
    changed = a_spot_price(status="CORRECTED", prices_per_mwh=[Decimal(7)] * 24)
    ((_, second),) = (await other.take([changed], FEED)).published
    assert isinstance(second, SpotPrice)
    assert second.revision == 2
    assert (await one.take([changed], FEED)).published == []


async def test_the_newest_of_a_series_is_noted_for_readers_of_the_cache(tmp_path: Path) -> None:
    log, cache = await SqliteLog.open(tmp_path), MemoryCache()
    publishing = Publishing(log, Codec.from_lock(), GridTime(utc("12:00")), cache=cache)
    price = a_spot_price()
    await publishing.take([price], FEED)
    await publishing.take([a_spot_price(status="CORRECTED", prices_per_mwh=[Decimal(7)] * 24)], FEED)
    text = await cache.recall(f"SpotPrice|{price.series_id}")
    assert text is not None
    noted = SpotPrice.model_validate_json(text)
    assert (noted.revision, noted.prices_per_mwh[0]) == (2, Decimal(7))
    await log.aclose()
