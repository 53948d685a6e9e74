"""What is committed in an area over the next day, step by step."""

from __future__ import annotations

from datetime import timedelta

from gridsignal_schemas.values import MW
from gridsignal_services.cli.area import _line, _steps
from gridsignal_services.ledger.area_curve import zone_curve
from tests.builders import utc
from tests.unit.ledger.test_areas_are_kept import a_market, offered

AREA = ("DE-LU", "substation-east")


def test_a_curve_has_what_may_fall_and_rise_from_each_moment_on() -> None:
    market = a_market("acme", "volt")
    offered(market, "acme", "80")
    market.close()
    curve = zone_curve(market.ledger.book, AREA, market.now)
    by_start = {step.starts_at: step for step in curve.steps}

    assert curve.steps[0].starts_at == market.now
    assert (by_start[utc("17:59")].falls_w_per_min, by_start[utc("17:59")].falls_w) == (60 * MW, 60 * MW)
    assert (by_start[utc("18:01")].falls_w_per_min, by_start[utc("18:01")].falls_w) == (0, 60 * MW)
    assert by_start[utc("18:06")].falls_w == 0
    assert by_start[utc("18:45")].rises_w_per_min == 60 * MW
    assert by_start[utc("19:00")].above_baseline_w == 6 * MW
    assert curve.baseline_w == 180 * MW, "nothing is declared for tomorrow, so connections count"


def test_a_curve_of_another_day_is_empty() -> None:
    market = a_market("acme", "volt")
    offered(market, "acme", "80")
    market.close()
    (step,) = zone_curve(market.ledger.book, AREA, market.now + timedelta(days=3)).steps

    assert (step.falls_w, step.rises_w, step.above_baseline_w) == (0, 0, 0)


def test_a_curve_is_a_table_below_its_limits() -> None:
    market = a_market("acme", "volt")
    offered(market, "acme", "80")
    market.close()
    curve = zone_curve(market.ledger.book, AREA, market.now).model_dump(mode="json")
    allowed, first, *_ = _steps(curve)

    assert allowed == ("DE-LU allows", "-", "-", "100", "100", "-")
    assert first == ("2024-05-12 19:00+0200", "0", "0", "0", "0", "0")
    assert _line(curve["limits"])[:4] == ("substation-east", "DE-LU", "2", "100 %")
    assert _line(curve["limits"])[-2:] == ("100 MW in 300 s", "-")
