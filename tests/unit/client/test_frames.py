"""History as a data frame: every field of every point, in types that pandas computes with."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal

import pandas
import pytest

from gridsignal import CarbonPoint, PricePoint
from gridsignal.frames import history_frame
from gridsignal.history import Points
from tests.builders import utc

HOUR = timedelta(hours=1)
PRICE = PricePoint(
    zone="DE-LU",
    product="DAY_AHEAD",
    dataset="SDAC",
    provider="entsoe",
    currency="EUR",
    starts_at=utc("10:00"),
    ends_at=utc("11:00"),
    price_per_mwh=Decimal("-135.45"),
    status="FINAL",
    revision=1,
    issued_at=None,
    logged_at=utc("09:00"),
)
CARBON = CarbonPoint(
    zone="DE-LU",
    accounting="AVERAGE",
    scope="LIFE_CYCLE",
    mix="CONSUMPTION",
    dataset="X",
    provider="entsoe",
    starts_at=utc("10:00"),
    ends_at=utc("11:00"),
    grams_per_kwh=Decimal(120),
    status="ESTIMATED",
    revision=2,
    issued_at=utc("09:30"),
    logged_at=utc("09:31"),
)


@pytest.mark.parametrize(("point", "figure"), [(PRICE, "price_per_mwh"), (CARBON, "grams_per_kwh")])
def test_a_frame_holds_every_field_of_every_point(point: PricePoint | CarbonPoint, figure: str) -> None:
    points = [replace(point, starts_at=point.starts_at + n * HOUR, ends_at=point.ends_at + n * HOUR) for n in range(3)]
    frame = history_frame(points)  # type: ignore[arg-type]  # of one kind in each case
    assert [frame.index.name, *frame.columns] == [
        "starts_at",
        *(field.name for field in fields(point) if field.name != "starts_at"),
    ]
    assert list(frame.index) == [one.starts_at for one in points]
    for name in frame.columns:
        wanted = [getattr(one, name) for one in points]
        if name == figure:
            wanted = [float(value) for value in wanted]
        assert [None if pandas.isna(value) else value for value in frame[name]] == wanted, name
    assert frame[figure].dtype == "float64"
    assert all(str(frame[name].dt.tz) == "UTC" for name in ("ends_at", "issued_at", "logged_at"))
    assert str(frame.index.tz) == "UTC"


def test_a_gap_is_nan_and_figures_are_computed_with() -> None:
    later = PRICE.starts_at + HOUR
    gap = replace(PRICE, starts_at=later, ends_at=later + HOUR, price_per_mwh=None)
    prices = history_frame([PRICE, gap])["price_per_mwh"]
    assert prices.isna().tolist() == [False, True]
    assert prices.resample("1D").mean().tolist() == [-135.45]
    assert history_frame([gap])["price_per_mwh"].dtype == "float64"


@pytest.mark.parametrize("point", [PRICE, CARBON])
def test_a_frame_of_no_points_is_a_full_one_without_its_rows(point: PricePoint | CarbonPoint) -> None:
    full = history_frame([point])  # type: ignore[list-item]  # of one kind in each case
    empty = history_frame(Points(type(point), []))
    assert (len(empty), empty.index.name) == (0, full.index.name)
    assert (list(empty.columns), empty.index.dtype) == (list(full.columns), full.index.dtype)
    figures = [name for name in full.columns if name in ("price_per_mwh", "grams_per_kwh")]
    assert dict(empty.dtypes) == dict(full.dtypes)
    assert empty[figures].resample("1D").mean().empty


def test_a_list_that_nobody_asked_for_is_one_of_prices() -> None:
    assert list(history_frame([]).columns) == list(history_frame([PRICE]).columns)


def test_without_pandas_the_error_names_the_extra() -> None:
    code = "import sys; sys.modules['pandas'] = None; import gridsignal; gridsignal.frames.history_frame([])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert run.stderr.splitlines()[-1] == (
        "ImportError: history_frame needs pandas: pip install '.[pandas]' in the project's folder"
    )
