"""Price limits by market, product, currency and day, and a feeds file that changes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from gridsignal_services.ingest.feeds import Feeds
from gridsignal_services.ingest.markets import Bounds, Markets, market_of, timezone_of
from gridsignal_services.ingest.quarantine import FeedLimits, faults
from gridsignal_services.settings import ConfigError
from tests.builders import a_spot_price

ROOT = Path(__file__).parents[3]
DAY = date(2026, 10, 11)


def bounds(zone: str, currency: str = "EUR", product: str = "DAY_AHEAD", day: date = DAY) -> Bounds:
    return market_of(zone).bounds(product, currency, day)


def told(text: str) -> Markets:
    return Feeds.parse("[zones]\n" + text, {}).markets


@pytest.mark.parametrize(
    ("day", "lowest"), [(date(2026, 5, 28), -500), (date(2026, 5, 29), -600), (date(2030, 1, 1), -600)]
)
def test_the_coupled_floor_was_lowered_with_a_delivery_day(day: date, lowest: int) -> None:
    assert {bounds(zone, day=day).lowest for zone in ("DE-LU", "BG", "PL", "UA", "nowhere")} == {Decimal(lowest)}


@pytest.mark.parametrize(
    ("zone", "currency", "plausible", "slip"),
    [
        ("SE-SE2", "SEK", 12_000, 1_200_000),
        ("NO-NO1", "NOK", 20_000, 2_000_000),
        ("PL", "PLN", 12_000, 500_000),
        ("HU", "HUF", 1_500_000, 50_000_000),
        ("AU-NSW", "AUD", 20_300, 2_030_000),
        ("CN-SD", "CNY", 1_500, 150_000),
        ("JP-TK", "JPY", 250_000, 25_000_000),
        ("GB", "GBP", 4_000, 400_000),
    ],
)
def test_each_currency_has_bounds_of_its_own(zone: str, currency: str, plausible: int, slip: int) -> None:
    found = bounds(zone, currency)
    assert found.lowest < plausible < found.highest < slip


def test_intraday_auctions_reach_further_than_the_day_ahead() -> None:
    assert bounds("DE-LU", product="INTRADAY").lowest == -9999


def test_an_unknown_zone_has_no_time_of_its_own() -> None:
    assert timezone_of("XX-1") is None
    assert str(timezone_of("UA")) == "Europe/Brussels"


def test_a_feeds_file_moves_a_limit_of_every_coupled_zone_from_a_day_on() -> None:
    markets = told("[markets.SDAC]\nlimits = [{ since = 2027-03-01, lowest = -700, highest = 6000.5 }]")
    for zone in ("DE-LU", "BG", "elsewhere"):
        assert markets.of(zone).bounds("DAY_AHEAD", "EUR", date(2027, 2, 28)) == Bounds(Decimal(-600), Decimal(5000))
        assert markets.of(zone).bounds("DAY_AHEAD", "EUR", date(2027, 3, 1)).lowest == -700
    assert markets.of("AU-NSW") == market_of("AU-NSW")


@pytest.mark.parametrize("since", ["2020-01-01", "2026-05-29", "2026-10-11"])
def test_a_limit_of_the_file_counts_from_its_day_on_whatever_default_begins_later(since: str) -> None:
    markets = told(f"[markets.UA]\nlimits = [{{ since = {since}, lowest = 0, highest = 9999 }}]")
    assert markets.of("UA").bounds("DAY_AHEAD", "EUR", DAY) == Bounds(Decimal(0), Decimal(9999))
    assert markets.of("UA").bounds("DAY_AHEAD", "EUR", date(2019, 12, 31)).lowest == -500
    assert markets.of("DE-LU").bounds("DAY_AHEAD", "EUR", DAY).lowest == -600


def test_a_feeds_file_describes_a_zone_that_joins() -> None:
    markets = told(
        """[markets.GE]
        timezone = "Asia/Tbilisi"
        currency = "GEL"
        area = "10Y1001A1001B012"
        limits = [{ lowest = 0, highest = 900 }]
        currencies = [{ since = 2028-01-01, currency = "EUR" }]"""
    )
    market = markets.of("GE")
    assert (str(market.timezone), market.currency, markets.areas["GE"]) == ("Asia/Tbilisi", "GEL", "10Y1001A1001B012")
    assert market.bounds("DAY_AHEAD", "GEL", DAY) == Bounds(Decimal(0), Decimal(900))
    assert not markets.changes_to("EUR", "GE", date(2027, 12, 31))
    assert markets.changes_to("EUR", "GE", date(2028, 1, 1))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[markets.GE]\nfloor = 1", "markets.GE: expected timezone, currency"),
        ('[markets.GE]\ntimezone = "Asia"', "a time zone such as"),
        ("[markets.GE]\nlimits = [{ lowest = 5, highest = 1 }]", "lowest below highest"),
        ("[markets.GE]\nlimits = [{ lowest = 5 }]", "highest as a number"),
        ('[markets.GE]\nlimits = [{ since = "soon", lowest = 0, highest = 1 }]', "since as a day"),
        ('[markets.GE]\nlimits = [{ product = "SPOT", lowest = 0, highest = 1 }]', "a product of"),
        ('[markets.GE]\narea = "GE"', "an area code"),
        ("[markets.GE]\nlimits = 5", "limits: expected a list of tables"),
        ("markets = 5", "markets: expected a table"),
    ],
)
def test_a_mistake_in_a_market_names_it(text: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        Feeds.parse(text + "\n[zones]" if text.startswith("markets") else "[zones]\n" + text, {})


def test_the_quarantine_judges_by_the_limits_of_the_delivery_day() -> None:
    now = datetime(2026, 10, 10, 12, tzinfo=UTC)
    prices = [Decimal(-550), Decimal(10), Decimal(20), Decimal(30)]
    record = a_spot_price(starts_at=datetime(2026, 10, 10, 22, tzinfo=UTC), prices_per_mwh=prices)
    assert faults(record, None, now, FeedLimits(), None) == []
    floor = told("[markets.SDAC]\nlimits = [{ lowest = -100, highest = 100 }]")
    assert [r.code for r in faults(record, None, now, FeedLimits(markets=floor), None)] == ["out_of_bounds"]


def test_the_readme_s_feeds_file_is_read_with_its_markets() -> None:
    (example,) = re.findall(r"```toml\n(# feeds\.toml.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    feeds = Feeds.parse(example, {"GRIDSIGNAL_FEED_ENTSOE_TOKEN": "hush"})
    assert {feed.zone for feed in feeds.feeds} == {"DE-LU", "GB"}
    assert feeds.markets.of("DE-LU").bounds("DAY_AHEAD", "EUR", date(2027, 3, 1)).lowest == -700
    assert feeds.markets.changes_to("EUR", "MK", date(2028, 1, 1))
    assert not feeds.markets.changes_to("EUR", "MK", date(2027, 12, 31))
