"""What was known at a moment: status before vintage before log, and no curve completes another."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gridsignal_schemas.rules.vintages import Logged, carbon, prices
from tests.builders import a_carbon_intensity, a_spot_price, utc

FROM, TO = utc("18:00"), utc("20:00")


def a_forecast(*grams: str | None, **changes: Any) -> Any:
    values = [None if value is None else Decimal(value) for value in grams]
    given = {"starts_at": FROM, "resolution_s": 3600, "status": "FORECAST", "issued_at": utc("12:00")}
    return a_carbon_intensity(**given | {"grams_per_kwh": values} | changes)


def known(*logged: tuple[str, Any], as_of: str = "23:00") -> list[list[str | None]]:
    """The values of each curve."""
    curves = carbon([Logged(utc(at), series) for at, series in logged], FROM, TO, utc(as_of))
    return [[None if p.grams_per_kwh is None else str(p.grams_per_kwh) for p in curve.points] for curve in curves]


def test_a_later_vintage_replaces_an_earlier_one_where_it_has_something_to_say() -> None:
    later = a_forecast("20", starts_at=utc("19:00"), issued_at=utc("13:00"))
    assert known(("12:00", a_forecast("10", "11")), ("13:00", later)) == [["10", "20"]]
    assert known(("12:00", a_forecast("10", "11")), ("13:00", later), as_of="12:59") == [["10", "11"]]


def test_a_forecast_never_replaces_what_was_measured() -> None:
    measured = a_forecast("10", status="MEASURED", issued_at=None)
    assert known(("19:00", measured), ("21:00", a_forecast("99", "98", issued_at=utc("21:00")))) == [["10", "98"]]


def test_a_gap_that_was_published_is_a_gap() -> None:
    assert known(("12:00", a_forecast("10", "11")), ("12:30", a_forecast(None, "12"))) == [[None, "12"]]


def test_other_bases_and_resolutions_are_other_curves() -> None:
    marginal, direct = a_forecast("1", accounting="MARGINAL"), a_forecast("2", scope="DIRECT")
    finer = a_forecast("4", resolution_s=900)
    assert known(*[("12:00", series) for series in (marginal, direct, a_forecast("3"), finer)]) == [
        ["1"],
        ["2"],
        ["3"],
        ["4"],
    ]


def test_only_intervals_that_touch_the_period_are_told() -> None:
    (curve,) = prices([Logged(utc("10:00"), a_spot_price())], utc("18:30"), utc("19:00"), utc("12:00"))
    assert [(point.starts_at, point.ends_at) for point in curve.points] == [(utc("18:00"), utc("19:00"))]
    assert prices([Logged(utc("10:00"), a_spot_price())], utc("2024-05-20T18:00"), TO, utc("12:00")) == []
