"""An order's CO2 is by what was known when it ended, whatever came later; the page's example comes to its figures."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import Accounting, CarbonIntensity, Direction
from gridsignal_schemas.messages.settlements import SettledInterval
from gridsignal_schemas.reports import OrderCarbon
from gridsignal_schemas.rules.vintages import Best, Logged
from gridsignal_services.carbon.emissions import CarbonSums, Over, Sweep
from gridsignal_services.carbon.known import chosen, known_of
from gridsignal_services.settlement.carry import rounded
from tests.builders import a_carbon_intensity, utc

PAGE = (Path(__file__).parents[3] / "docs" / "carbon.md").read_text("utf-8")
TEN = utc("10:00")
HALF = timedelta(minutes=30)
MWH = 1_000_000


def interval(place: int, actual_wh: int | None, delivered_wh: int | None) -> SettledInterval:
    return SettledInterval(
        starts_at=TEN + place * HALF,
        ends_at=TEN + (place + 1) * HALF,
        ordered_wh=20 * MWH,
        actual_wh=actual_wh,
        delivered_wh=delivered_wh,
        qualities=[],
    )


def an_order(place: int, length: int, energies: list[int | None], direction: str = "LOAD_DECREASE") -> Over:
    lines = [interval(place + n, wh, wh) for n, wh in zip(range(length), energies, strict=False)]
    ends = TEN + place * HALF, TEN + (place + length) * HALF
    return Over(f"order-{place}-{length}", Direction(direction), *ends, lines)


def carbon(minutes: int, place: int, grams: list[int | None], **changes: Any) -> Logged:
    values = [None if each is None else Decimal(each) for each in grams]
    said = {"starts_at": TEN + place * HALF, "resolution_s": 1800, "grams_per_kwh": values, "accounting": "AVERAGE"}
    series: CarbonIntensity = a_carbon_intensity(**said | changes)
    return Logged(TEN + timedelta(minutes=minutes), series)


def test_the_example_of_the_page_comes_to_its_figures() -> None:
    (said,) = re.findall(r"<!-- example: order -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    order = Over("o1", Direction.LOAD_DECREASE, TEN, TEN + 3 * HALF, [
        interval(0, 6 * MWH, 4 * MWH), interval(1, 7 * MWH, 3 * MWH), interval(2, None, None),
    ])  # fmt: skip
    logged = [
        carbon(-60, 0, [300, 320, 340]),
        carbon(-60, 0, [700, None, 650], accounting="MARGINAL", status="FORECAST", issued_at=utc("08:55")),
        carbon(100, 0, [900, 900, 900], revision=2),
    ]
    for expected in json.loads(said):
        (found,) = (each for each in Sweep(logged).of(order) if each.accounting == expected["accounting"])
        shown = json.loads(found.model_dump_json())
        assert {name: shown[name] for name in expected} == expected


series = st.builds(
    carbon,
    st.integers(-120, 240),
    st.integers(0, 6),
    st.lists(st.none() | st.integers(0, 900), min_size=1, max_size=4),
    accounting=st.sampled_from(["AVERAGE", "MARGINAL"]),
    provider=st.sampled_from(["one", "other"]),
    status=st.sampled_from(["FORECAST", "MEASURED"]),
)
orders = st.builds(
    an_order,
    st.integers(0, 6),
    st.integers(1, 3),
    st.lists(st.none() | st.integers(0, 20 * MWH), min_size=3, max_size=3),
    st.sampled_from(["LOAD_DECREASE", "LOAD_INCREASE"]),
)


@given(st.lists(series, max_size=8), st.lists(orders, min_size=1, max_size=5))
def test_each_order_is_by_what_was_known_when_it_ended(logged: list[Logged], over: list[Over]) -> None:
    logged.sort(key=lambda each: each.at)
    over.sort(key=lambda each: each.ended_at)
    sweep = Sweep(logged)
    for order in over:
        assert sweep.of(order) == [plainly(logged, order, each) for each in (Accounting.AVERAGE, Accounting.MARGINAL)]


def plainly(logged: list[Logged], order: Over, accounting: Accounting) -> OrderCarbon:
    """The same from all that was published, by the means of a report of one moment."""
    best = Best(order.starts_at, order.ended_at, order.ended_at)
    for each in logged:
        best.take(each)
    known = chosen(known_of(best), accounting, order.starts_at, order.ended_at)
    of = [(line, None if known is None else known.over(line.starts_at, line.ends_at)) for line in order.intervals]
    sign = 1 if order.direction is Direction.LOAD_DECREASE else -1
    both = [
        (line.delivered_wh, each.grams_per_kwh)
        for line, each in of
        if line.delivered_wh is not None and each is not None
    ]
    grams = sum((Fraction(wh, 1000) * intensity for wh, intensity in both), Fraction(0))
    sources = {id(source): source for _, each in of if each is not None for source in each.sources}.values()
    (found,) = (each for each in Sweep(logged).of(order) if each.accounting is accounting)
    assert len(found.vintages) == len(sources)
    return OrderCarbon(
        accounting=accounting,
        basis=None if known is None else known.basis,
        known_at=order.ended_at,
        emitted_grams=rounded(grams) if both else None,
        avoided_grams=rounded(sign * grams) if both else None,
        known_wh=sum(wh for wh, _ in both),
        unknown_wh=sum(line.delivered_wh or 0 for line, each in of if each is None),
        intervals_unknown=len(of) - len(both),
        vintages=found.vintages,
    )


def test_orders_are_added_by_basis_and_what_is_unknown_stays_so() -> None:
    logged = [carbon(0, 0, [100, 100])]
    known, unknown = an_order(0, 1, [MWH]), an_order(4, 1, [MWH])
    sweep, sums = Sweep(logged), CarbonSums("DE-LU")
    for order in (known, unknown):
        sums.add(sweep.of(order))
    totals = list(sums.totals())
    said = ("orders", "avoided_grams", "unknown_wh")
    assert [(each.accounting, each.basis is None, *(getattr(each, name) for name in said)) for each in totals] == [
        ("AVERAGE", True, 1, None, MWH),
        ("AVERAGE", False, 1, 100_000, 0),
        ("MARGINAL", True, 2, None, 2 * MWH),
    ]  # fmt: skip
