"""What is set aside, and with which reason."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from gridsignal_schemas.messages import CarbonIntensity, Record, SpotPrice
from gridsignal_services.ingest.intake import Intake, SetAside
from gridsignal_services.ingest.quarantine import Bounds, Limits, faults
from tests.builders import a_carbon_intensity, a_grid_alert, a_spot_price, utc

NOW = utc("22:30")


def codes(
    record: Record, *, zone: str | None = None, good: Record | None = None, limits: Limits | None = None
) -> list[str]:
    return [reason.code for reason in faults(record, zone, NOW, limits or Limits(), good)]


def prices(*values: str) -> SpotPrice:
    return a_spot_price(prices_per_mwh=[Decimal(value) for value in values])


def carbon(value: str, **changes: object) -> CarbonIntensity:
    return a_carbon_intensity(grams_per_kwh=[Decimal(value)] * 24, **changes)


def test_a_negative_price_and_a_spike_are_prices() -> None:
    assert codes(prices("-500", "4000", "0")) == []


def test_a_price_beyond_the_market_s_limits_is_set_aside_with_the_figure() -> None:
    reasons = faults(prices("10", "-501", "9999"), None, NOW, Limits(), None)
    assert [reason.code for reason in reasons] == ["out_of_bounds"]
    assert reasons[0].text == "expected -500..5000 price per MWh, got -501 (2 of 3)"


def test_bounds_are_settings_per_zone_and_product() -> None:
    limits = Limits(price_bounds={("DE-LU", "DAY_AHEAD"): Bounds(Decimal(-10), Decimal(10))})
    assert codes(prices("11"), limits=limits) == ["out_of_bounds"]
    assert codes(a_spot_price(zone="AU-NSW1", currency="AUD", prices_per_mwh=[Decimal(-1000), Decimal(20_000)])) == []


def test_another_zone_than_asked_for_is_set_aside() -> None:
    assert codes(a_spot_price(zone="FR"), zone="DE-LU") == ["wrong_zone"]
    assert codes(a_spot_price(zone="FR")) == []


def test_final_prices_of_next_week_and_measurements_of_tonight_are_from_the_future() -> None:
    assert codes(a_spot_price(starts_at=NOW + timedelta(days=3))) == ["future"]
    assert codes(a_carbon_intensity(starts_at=NOW)) == ["future"]
    assert codes(a_carbon_intensity(starts_at=NOW, status="FORECAST")) == []


def test_a_curve_a_hundred_times_larger_than_before_has_another_unit() -> None:
    good = prices(*["80"] * 24)
    assert codes(prices(*["0.81"] * 24), good=good) == ["unit_flip"]
    assert codes(prices(*["2400"] * 24), good=good) == []
    windless, windy = prices(*["200"] * 23, "300"), prices(*["2"] * 23, "40")
    assert codes(windy, good=windless) == []


def test_another_currency_than_before_is_set_aside() -> None:
    assert codes(a_spot_price(currency="PLN"), good=a_spot_price()) == ["currency_changed"]


def test_carbon_that_does_not_move_for_half_a_day_is_stuck_and_ten_hours_of_zeros_too() -> None:
    early = utc("2024-05-11T00:00")
    assert codes(carbon("300", starts_at=early)) == ["stuck"]
    zeros = a_carbon_intensity(grams_per_kwh=[Decimal(0)] * 150, resolution_s=300, starts_at=early)
    assert codes(zeros) == ["stuck"]
    assert codes(a_carbon_intensity(grams_per_kwh=[Decimal(0)], starts_at=early)) == []


def test_a_batch_without_a_single_value_is_set_aside() -> None:
    assert codes(a_spot_price(prices_per_mwh=[None, None])) == ["empty"]


def test_negative_carbon_is_set_aside() -> None:
    assert "out_of_bounds" in codes(a_carbon_intensity(grams_per_kwh=[Decimal(-1)]))


def test_an_alert_that_ends_before_it_starts_is_set_aside() -> None:
    alert = a_grid_alert(starts_at=utc("18:00"), ends_at=utc("17:00"), issued_at=utc("16:00"))
    assert codes(alert) == ["ends_first"]


def test_every_reason_is_given_at_once() -> None:
    assert codes(prices(*["9000"] * 24), zone="FR", good=prices(*["90"] * 24)) == [
        "wrong_zone",
        "out_of_bounds",
        "unit_flip",
    ]


def test_the_last_good_figures_stay_when_a_batch_is_set_aside() -> None:
    intake = Intake()
    intake.learn(a_spot_price())
    bad = a_spot_price(prices_per_mwh=[Decimal(99_999)] * 24)
    assert isinstance(intake.judge(bad, "DE-LU", NOW), SetAside)
    assert intake.revisions.last(bad) == a_spot_price()
    assert [aside.record for aside in intake.quarantine] == [bad]
