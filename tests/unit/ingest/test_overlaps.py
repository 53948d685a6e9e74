"""One voice per answer."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridsignal_services.ingest.overlaps import Overlap, distinct
from tests.builders import a_carbon_intensity, a_grid_alert, a_spot_price, utc


def test_repeats_are_dropped_and_the_order_stays() -> None:
    price, alert = a_spot_price(), a_grid_alert()
    assert distinct([alert, price, a_spot_price(), a_grid_alert()]) == [alert, price]


def test_two_curves_of_one_kind_that_share_an_instant_are_refused() -> None:
    later = a_spot_price(starts_at=utc("10:00"), prices_per_mwh=[Decimal(1)])
    with pytest.raises(Overlap, match="two series of SDAC for DE-LU"):
        distinct([later, a_spot_price()])
    assert len(distinct([a_spot_price(prices_per_mwh=[Decimal(1)]), later])) == 2


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
    assert distinct(records) == records
