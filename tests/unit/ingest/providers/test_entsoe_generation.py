"""A75: average carbon computed from generation per type, hour by hour."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridsignal_schemas.messages import CarbonIntensity
from gridsignal_services.ingest.feed import Malformed, Signal
from gridsignal_services.ingest.providers.entsoe_generation import FACTORS_VERSION
from tests.builders import utc
from tests.feed_documents import a_day_of_prices, generation_document, generation_series, megawatts
from tests.unit.ingest.asking import carbon, told

START = "2024-10-06T00:00Z"


def of_type(kind: str, *values: object, consumes: bool = False, resolution: str = "PT60M", start: str = START) -> str:
    return generation_series(kind, megawatts(start, values, resolution), consumes=consumes)


def lifecycle(*series: str) -> list[CarbonIntensity]:
    return [record for record in carbon("entsoe", generation_document(*series)) if record.scope == "LIFECYCLE"]


def test_gas_and_wind_are_weighted_by_their_power() -> None:
    records = carbon("entsoe", generation_document(of_type("B04", 100), of_type("B19", 300)))
    assert {r.scope: r.grams_per_kwh for r in records} == {
        "LIFECYCLE": [Decimal("130.75")],  # (100 x 490 + 300 x 11) / 400
        "DIRECT": [Decimal("92.5")],
    }
    (record, _) = records
    basis = (record.accounting, record.mix, record.status, record.factors_version, record.zone)
    assert basis == ("AVERAGE", "PRODUCTION", "MEASURED", FACTORS_VERSION, "BE")


def test_a_type_nobody_knows_yet_counts_as_unknown() -> None:
    (record,) = lifecycle(of_type("B99", 10))
    assert record.grams_per_kwh == [Decimal(700)]


def test_storage_is_left_out_both_ways() -> None:
    (record,) = lifecycle(
        of_type("B04", 100), of_type("B10", 500), of_type("B10", 400, consumes=True), of_type("B25", 9)
    )
    assert record.grams_per_kwh == [Decimal(490)]


def test_what_a_type_draws_is_subtracted_and_its_own_use_is_clamped() -> None:
    (record,) = lifecycle(of_type("B04", 100), of_type("B16", 50), of_type("B16", 20, consumes=True))
    assert record.grams_per_kwh == [(Decimal(100 * 490 + 30 * 45) / 130).quantize(Decimal("0.0001"))]
    (own_use,) = lifecycle(of_type("B04", 100), of_type("B16", -3))
    assert own_use.grams_per_kwh == [Decimal(490)]


def test_an_hour_that_lacks_a_type_of_the_last_day_is_an_estimate() -> None:
    records = lifecycle(of_type("B04", 100, 100, 100), of_type("B19", 100, 100))
    assert [(r.starts_at, r.status) for r in records] == [
        (utc("2024-10-06T00:00"), "MEASURED"),
        (utc("2024-10-06T01:00"), "MEASURED"),
        (utc("2024-10-06T02:00"), "ESTIMATED"),
    ]
    assert records[2].flags == ["computed", "late_types"]


def test_a_type_that_is_silent_for_longer_than_a_day_is_no_longer_waited_for() -> None:
    records = lifecycle(of_type("B04", *[100] * 26), of_type("B05", 100))
    assert [r.status for r in records] == ["MEASURED"] + ["ESTIMATED"] * 24 + ["MEASURED"]


def test_an_hour_is_told_in_the_coarsest_step_of_its_types() -> None:
    (record,) = lifecycle(of_type("B04", 100), of_type("B19", 100, 200, 300, 400, resolution="PT15M"))
    assert (record.resolution_s, record.grams_per_kwh) == (
        3600,
        [(Decimal(100 * 490 + 250 * 11) / 350).quantize(Decimal("0.0001"))],
    )


def test_quarter_hours_stay_quarter_hours_and_the_last_ones_may_be_missing() -> None:
    (record,) = lifecycle(of_type("B04", 1, 1, resolution="PT15M"), of_type("B19", 1, 0, resolution="PT15M"))
    assert (record.resolution_s, record.grams_per_kwh) == (900, [Decimal("250.5"), Decimal(490)])


def test_contradictions_and_series_without_a_type_are_refused() -> None:
    for series in ((of_type("B04", 1), of_type("B04", 2)), (of_type("", 1),)):
        with pytest.raises(Malformed):
            told("entsoe", generation_document(*series))


def test_prices_are_no_answer_to_a_question_for_carbon() -> None:
    with pytest.raises(Malformed, match="expected a document of type A75, got Publication_MarketDocument A44"):
        told("entsoe", a_day_of_prices(), signal=Signal.CARBON)
