"""One voice per answer."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import permutations

from gridsignal_schemas.messages import CarbonIntensity, Record, SpotPrice
from gridsignal_services.ingest.left_out import LeftOutRows
from gridsignal_services.ingest.overlaps import distinct
from tests.builders import a_carbon_intensity, a_grid_alert, a_spot_price, utc

HOUR = timedelta(hours=1)


def test_repeats_are_dropped_and_the_order_stays() -> None:
    price, alert = a_spot_price(), a_grid_alert()
    assert distinct([alert, price, a_spot_price(), a_grid_alert()], LeftOutRows()) == [alert, price]


def values(record: Record) -> list[Decimal | None]:
    assert isinstance(record, SpotPrice | CarbonIntensity)
    return record.prices_per_mwh if isinstance(record, SpotPrice) else record.grams_per_kwh


def test_what_two_curves_of_one_kind_tell_in_two_ways_is_a_gap() -> None:
    first = a_spot_price(prices_per_mwh=[Decimal(n) for n in (1, 2, 3)])
    second = a_spot_price(starts_at=first.starts_at + HOUR, prices_per_mwh=[Decimal(n) for n in (2, 9, 4)])
    third = a_spot_price(starts_at=first.starts_at + 2 * HOUR, prices_per_mwh=[Decimal(3)])
    for order in permutations((first, second, third)):
        left_out = LeftOutRows()
        (record,) = distinct(order, left_out)
        assert (record.starts_at, values(record)) == (first.starts_at, [1, 2, None, 4])  # type: ignore[attr-defined]  # a series
        assert len(left_out) == 2
        assert left_out.texts[0].startswith("two series of SDAC for DE-LU")


def test_of_two_that_count_differently_the_better_one_stays() -> None:
    estimate = a_carbon_intensity(status="ESTIMATED", grams_per_kwh=[Decimal(300)])
    measured = a_carbon_intensity(status="MEASURED", grams_per_kwh=[Decimal(310)])
    for order in ((estimate, measured), (measured, estimate)):
        assert distinct(order, LeftOutRows()) == [measured]


def test_of_an_hour_told_in_two_ways_nothing_is_left() -> None:
    one, other = (a_carbon_intensity(grams_per_kwh=[Decimal(value)]) for value in (300, 310))
    left_out = LeftOutRows()
    assert distinct([one, other], left_out) == []
    assert left_out


def test_other_datasets_bases_and_vintages_are_other_kinds() -> None:
    records = [
        a_spot_price(),
        a_spot_price(dataset="EXAA"),
        a_spot_price(zone="FR"),
        a_carbon_intensity(),
        a_carbon_intensity(scope="DIRECT"),
        a_carbon_intensity(status="FORECAST", issued_at=utc("10:00")),
        a_carbon_intensity(status="FORECAST", issued_at=utc("11:00")),
    ]
    assert distinct(records, LeftOutRows()) == records
