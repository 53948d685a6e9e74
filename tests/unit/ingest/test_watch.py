"""What an answer lacks, and when a feed is stale."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from gridsignal_services.ingest import watch
from gridsignal_services.ingest.feed import Outage, Signal
from gridsignal_services.ingest.markets import market_of
from gridsignal_services.ingest.providers import PROVIDERS
from gridsignal_services.ingest.watch import Feed, Status
from tests.builders import a_carbon_intensity, a_spot_price, utc

FEED = Feed("DE-LU", Signal.PRICE, ("entsoe", "energy_charts"))
TODAY = utc("2024-05-11T22:00")
MORNING, AFTERNOON = utc("08:00"), utc("13:00")
MARKET = market_of("DE-LU")


def a_day(dataset: str = "SDAC", days: int = 0, values: int = 24) -> object:
    prices = [Decimal(1)] * values
    return a_spot_price(dataset=dataset, starts_at=TODAY + timedelta(days=days), prices_per_mwh=prices)


def lacks(*records: object, now: object = MORNING) -> str:
    return watch.lacking(FEED, records, MARKET, now)  # type: ignore[arg-type]  # records all


def test_the_whole_of_today_is_wanted_and_tomorrow_in_the_afternoon() -> None:
    assert lacks(a_day()) == ""
    assert lacks(a_day(), a_day(days=1), now=AFTERNOON) == ""
    assert lacks(a_day(), now=AFTERNOON).endswith("for 2024-05-13")
    assert lacks(a_day(values=12)).endswith("DE-LU for 2024-05-12")
    assert lacks(a_day(values=23)) == ""


def test_another_auction_is_not_the_one_that_is_wanted() -> None:
    assert lacks(a_day("EXAA"), a_day("EXAA", 1)) == "no complete SDAC prices of DE-LU for 2024-05-12"
    assert watch.wanted(FEED, [a_day("EXAA"), a_day()], MARKET) == [a_day()]  # type: ignore[list-item]  # records all


def test_carbon_of_yesterday_says_nothing_about_now() -> None:
    feed = Feed("DE-LU", Signal.CARBON, ("energy_charts",))
    old = a_carbon_intensity(starts_at=TODAY - timedelta(days=2))
    assert watch.lacking(feed, [old], MARKET, MORNING).startswith("no carbon of DE-LU after")
    assert watch.lacking(feed, [a_carbon_intensity(starts_at=TODAY - timedelta(hours=12))], MARKET, MORNING) == ""


def test_prices_of_yesterday_and_a_forecast_that_is_over_are_no_success() -> None:
    live, over = Feed("AU-NSW", Signal.PRICE, ("aemo",)), Feed("DE-LU", Signal.FORECAST, ("electricitymaps",))
    price = a_spot_price(zone="AU-NSW", starts_at=TODAY - timedelta(days=2))
    carbon = a_carbon_intensity(starts_at=MORNING - timedelta(hours=24))
    assert watch.lacking(live, [price], market_of("AU-NSW"), MORNING).startswith("no price of AU-NSW after")
    assert watch.lacking(over, [carbon], MARKET, MORNING).startswith("no forecast of DE-LU after")
    assert watch.lacking(over, [carbon], MARKET, MORNING - timedelta(minutes=1)) == ""
    assert watch.lacking(live, [], market_of("AU-NSW"), MORNING) == ""


def test_a_feed_that_was_asked_and_never_gave_anything_is_stale_from_the_start() -> None:
    status = Status("entsoe", "DE-LU", Signal.PRICE, MORNING, MORNING)
    provider = PROVIDERS["entsoe"]
    assert not watch.stale(status, provider, MORNING)
    assert watch.stale(watch.failed(status, Outage("away"), MORNING), provider, MORNING)
