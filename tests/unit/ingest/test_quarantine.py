"""What is set aside, and with which reason."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from gridsignal_schemas.messages import CarbonIntensity, Record, SpotPrice
from gridsignal_services.ingest.intake import Intake
from gridsignal_services.ingest.markets import Bounds
from gridsignal_services.ingest.quarantine import FeedLimits, QuarantinedRecord, faults
from gridsignal_services.ingest.revisions import RevisionVerdict
from tests.builders import a_carbon_intensity, a_grid_alert, a_spot_price, utc

NOW = utc("22:30")


def codes(
    record: Record, *, zone: str | None = None, good: Record | None = None, limits: FeedLimits | None = None
) -> list[str]:
    return [reason.code for reason in faults(record, zone, NOW, limits or FeedLimits(), good)]


def prices(*values: str) -> SpotPrice:
    return a_spot_price(prices_per_mwh=[Decimal(value) for value in values])


def carbon(value: str, **changes: object) -> CarbonIntensity:
    return a_carbon_intensity(grams_per_kwh=[Decimal(value)] * 24, **changes)


def test_a_negative_price_and_a_spike_are_prices() -> None:
    assert codes(prices("-500", "4000", "0")) == []


def test_a_price_beyond_the_market_s_limits_is_set_aside_with_the_figure() -> None:
    reasons = faults(prices("10", "-501", "9999"), None, NOW, FeedLimits(), None)
    assert [reason.code for reason in reasons] == ["out_of_bounds"]
    assert reasons[0].text == "expected -500..5000 price per MWh, got -501 at 2024-05-11T23:00:00Z (2 of 3)"


def test_bounds_are_settings_per_zone_and_product() -> None:
    limits = FeedLimits(price_bounds={("DE-LU", "DAY_AHEAD"): Bounds(Decimal(-10), Decimal(10))})
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
    assert isinstance(intake.judge(bad, "DE-LU", NOW), QuarantinedRecord)
    assert intake.revisions.last(bad) == a_spot_price()
    assert [aside.record for aside in intake.quarantine] == [bad]


def judged(intake: Intake, record: Record) -> list[str]:
    """The reasons a record was set aside for; published, and known from then on, where there are none."""
    verdict = intake.judge(record, None, utc("2024-05-14T23:00"))
    if isinstance(verdict, QuarantinedRecord):
        return [reason.code for reason in verdict.reasons]
    if verdict.publish is not None:
        intake.learn(verdict.publish)
    return []


def a_day(day: int, *values: str, read_at: int = 0, **changes: object) -> SpotPrice:
    """Prices of a day of May; `read_at` counts minutes."""
    starts_at = utc("2024-05-10T22:00") + timedelta(days=day)
    observed_at = utc("2024-05-11T12:00") + timedelta(minutes=read_at)
    curve = [Decimal(value) for value in values] * (24 // len(values))
    return a_spot_price(starts_at=starts_at, observed_at=observed_at, prices_per_mwh=curve, **changes)


def test_a_few_values_out_of_bounds_are_gaps_and_the_rest_is_published() -> None:
    intake = Intake()
    verdict = intake.judge(prices(*["50"] * 90, *["-600.01"] * 6), None, NOW)
    assert isinstance(verdict, RevisionVerdict)
    assert isinstance(verdict.publish, SpotPrice)
    assert verdict.publish.prices_per_mwh == [Decimal(50)] * 90 + [None] * 6
    assert set(verdict.publish.flags) >= {"gap", "out_of_bounds"}
    assert verdict.outliers is not None
    assert verdict.outliers.reasons[0].text.endswith("got -600.01 at 2024-05-15T16:00:00Z (6 of 96)")
    assert list(intake.quarantine) == [verdict.outliers]


def test_of_a_curve_that_is_mostly_out_of_bounds_nothing_is_published_and_of_a_forecast_neither() -> None:
    assert judged(Intake(), prices(*["50"] * 60, *["85123"] * 36)) == ["out_of_bounds"]
    spike = [Decimal(300)] * 23 + [Decimal(5935)]
    assert judged(Intake(), a_carbon_intensity(grams_per_kwh=spike, status="FORECAST")) == ["out_of_bounds"]
    assert judged(Intake(), a_carbon_intensity(grams_per_kwh=spike)) == []


def test_another_currency_is_how_it_is_now_once_a_later_answer_says_so_again() -> None:
    intake = Intake()
    assert judged(intake, a_day(0, "90", currency="PLN")) == []
    assert judged(intake, a_day(1, "20", read_at=60)) == ["currency_changed"]
    assert judged(intake, a_day(1, "20", read_at=60)) == ["currency_changed"]
    assert judged(intake, a_day(1, "20", read_at=120)) == []
    assert judged(intake, a_day(2, "21", read_at=121)) == []
    assert judged(intake, a_day(0, "90", currency="PLN", read_at=122)) == []


def test_one_answer_in_another_currency_does_not_open_the_door_for_a_third() -> None:
    intake = Intake()
    judged(intake, a_day(0, "90", currency="PLN"))
    assert judged(intake, a_day(1, "20", read_at=1)) == ["currency_changed"]
    assert judged(intake, a_day(1, "20", read_at=2, currency="CZK")) == ["currency_changed"]
    assert judged(intake, a_day(1, "20", read_at=3)) == ["currency_changed"]


def test_a_land_that_changes_its_currency_on_a_known_day_is_read_from_the_first_day() -> None:
    now, start = utc("2025-12-31T13:30"), utc("2025-12-30T23:00")
    old = a_spot_price(zone="BG", currency="BGN", starts_at=start - timedelta(days=1))
    for starts_at, codes in ((start, ["currency_changed"]), (start + timedelta(days=1), [])):
        new = a_spot_price(zone="BG", currency="EUR", starts_at=starts_at)
        assert [reason.code for reason in faults(new, None, now, FeedLimits(), old)] == codes


def test_a_new_level_is_how_it_is_now_once_another_day_has_it_too() -> None:
    intake = Intake()
    judged(intake, a_day(0, "80", "90", "100"))
    assert judged(intake, a_day(1, "0.80", "0.90", "1", read_at=1)) == ["unit_flip"]
    assert judged(intake, a_day(1, "0.80", "0.90", "1", read_at=99)) == ["unit_flip"]
    assert judged(intake, a_day(2, "0.81", "0.9", "1.1", read_at=100)) == []
    assert judged(intake, a_day(1, "0.80", "0.90", "1", read_at=101)) == []


def test_windy_days_are_days() -> None:
    dear = a_day(0, "80", "90", "100")
    assert codes(a_day(1, "-0.8", "-0.9", "-1"), good=dear) == []
    assert codes(a_day(1, "8", "9", "10"), good=dear) == []
    assert codes(a_day(1, "0.01", "0.5", "1"), good=dear) == []


def test_water_and_nuclear_stand_still_and_a_sensor_does_not() -> None:
    early = utc("2024-05-11T00:00")
    assert codes(carbon("24", starts_at=early, scope="LIFECYCLE")) == []
    assert codes(carbon("240", starts_at=early, scope="LIFECYCLE")) == ["stuck"]
