"""Orders of several sites that share what these moved: a law, held against the page's formulas computed plainly."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.settling_cases import a_case, order, power, reading, settled, the_rule

QUARTER = "18:00-18:15"
SITES = ("fra-1", "fra-2", "fra-3")
WATTS = st.integers(0, 100).map(lambda kw: kw * 4000)
"""Whole kilowatt-hours in a quarter of an hour: nothing is rounded."""

moves = st.dictionaries(st.sampled_from(SITES), st.tuples(WATTS, WATTS), min_size=1)
asked = st.tuples(st.sampled_from(["DELTA", "IMPORT_LIMIT"]), st.sampled_from((None, *SITES)), WATTS)


def ordered(meaning: str, baseline: int, power_w: int) -> int:
    return max(0, baseline - power_w) if meaning == "IMPORT_LIMIT" else power_w


def expected(moved: dict[str, tuple[int, int]], orders: list[tuple[str, str | None, int]], number: int) -> list[int]:
    """What an order is said to have ordered and delivered, and what it lacks, in watts of the one quarter."""
    meaning, site, power_w = orders[number]
    own = [moved[name] for name in moved if site in (None, name)]
    baseline, actual = sum(before for before, _ in own), sum(after for _, after in own)
    deviation = baseline - actual
    if meaning == "DELTA" and len(own) > 1:
        deviation = sum(max(0, before - after) for before, after in own)
    ahead = sum(
        ordered(kind, sum(before for name, (before, _) in moved.items() if where in (None, name)), watts)
        for kind, where, watts in orders[:number]
        if where == site or None in (where, site)
    )
    wanted = ordered(meaning, baseline, power_w)
    delivered = min(max(deviation - ahead, 0), wanted)
    if meaning == "IMPORT_LIMIT":
        return [wanted, delivered, max(0, actual - power_w)]
    return [wanted, delivered, wanted - delivered if ahead else max(0, wanted - deviation)]


def told(moved: dict[str, tuple[int, int]], orders: list[tuple[str, str | None, int]]) -> Any:
    return a_case(
        [
            order(QUARTER, power_w, order_id=f"o-{number}", meaning=meaning, **({} if site is None else {"site": site}))
            for number, (meaning, site, power_w) in enumerate(orders)
        ],
        [power(QUARTER, before, site=name) for name, (before, _) in moved.items()],
        [reading(QUARTER, after, site=name) for name, (_, after) in moved.items()],
        rule=the_rule(),
    )


@given(moves, st.lists(asked, min_size=1, max_size=4))
def test_each_order_gets_what_those_before_it_left_by_their_own_baselines(
    moved: dict[str, tuple[int, int]], orders: list[tuple[str, str | None, int]]
) -> None:
    orders = [each for each in orders if each[1] in (None, *moved)]
    for number, each in enumerate(settled(told(moved, orders)).settled):
        (line,) = each.lines
        figures = [line.ordered_wh, line.delivered_wh, line.deficiency_wh]
        assert figures == [watts // 4 for watts in expected(moved, orders, number)]
        assert each.total == Fraction(line.delivered_wh or 0, 10_000)  # 100 EUR/MWh


def test_a_limit_of_two_sites_pays_what_both_stayed_below_their_baselines_together() -> None:
    """One fell by 30 kW, the other rose by 20: under a limit of 40 they drew 90 of 100, so 10 of 60 was kept."""
    (each,) = settled(
        told({"fra-1": (50_000, 20_000), "fra-2": (50_000, 70_000)}, [("IMPORT_LIMIT", None, 40_000)])
    ).settled
    (line,) = each.lines
    assert (line.ordered_wh, line.delivered_wh, line.deficiency_wh) == (15_000, 2_500, 12_500)
