"""Joint clearing: the published case to the digit, what holds of every answer, and what can't be divided."""

from __future__ import annotations

import json
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_services.joint.case import Case
from gridsignal_services.joint.clearing import Cleared, clear
from gridsignal_services.joint.program import NoAnswer, Status

CLOSE = 1e-4
ZONES, PERIODS = ("A", "B", "C"), (1, 2, 3)


def a_case(**lists: list[dict[str, Any]]) -> Case:
    return Case.parse(json.dumps({"supply": [], "demand": []} | lists).encode())


def a_bid(zone: str, period: int, quantity_mw: float, price: float, **more: Any) -> dict[str, Any]:
    return {"zone": zone, "period": period, "quantity_mw": quantity_mw, "price": price} | more


def a_link(since: tuple[str, int], until: tuple[str, int], capacity_mw: float, cost: float = 3) -> dict[str, Any]:
    ends = [{"zone": zone, "period": period} for zone, period in (since, until)]
    return {"from": ends[0], "to": ends[1], "capacity_mw": capacity_mw, "cost": cost}


def published(*links: tuple[int, int, float]) -> Cleared:
    """Zhang and Zavala's four hours with these links."""
    supply, demand = zip((10, 20, 10, 15), ((70, 30), (25, 60), (70, 40), (40, 50)), strict=True), range(1, 5)
    hours = list(zip(demand, supply, strict=True))
    return clear(
        a_case(
            supply=[a_bid("A", hour, 50, price) for hour, (price, _) in hours],
            demand=[a_bid("A", hour, *drawn) for hour, (_, drawn) in hours],
            ramps=[{"zone": "A", "mw_per_period": 15}],
            limits=[{"zone": "A", "period": hour, "load_mw": 70} for hour in (1, 2, 3)],
            links=[a_link(("A", since), ("A", until), most) for since, until, most in links],
        )
    )


@pytest.mark.parametrize(
    ("links", "welfare", "prices", "cleared", "shifts"),
    [
        ([], 4400, [30, -30, 40, 15], [40, 25, 40, 40], []),
        ([(1, 2, 8)], 4856, [30, -30, 40, 15], [56, 25, 48, 40], [8]),
        ([(1, 2, 10)], 4970, None, [60, 25, 50, 40], [10]),
        ([(1, 2, 21)], 5040, [23, 20, 40, 15], [70, 25, 50, 40], [20]),
        ([(1, 2, 21), (1, 3, 20)], 5040, [23, 20, 40, 15], [70, 25, 50, 40], [20, 0]),
        ([(1, 2, 11), (1, 4, 11)], 5090, [23, 20, 40, 20], [70, 25, 50, 40], [10, 10]),
    ],
)
def test_the_six_published_scenarios(
    links: list[tuple[int, int, float]],
    welfare: float,
    prices: list[float] | None,
    cleared: list[float],
    shifts: list[float],
) -> None:
    found = published(*links)
    assert (found.welfare, found.cleared, found.shifts) == (welfare, cleared, shifts)
    assert prices is None or list(found.prices.values()) == prices  # of the third many fit
    assert (found.status, found.gap, found.uplift) == (Status.OPTIMAL, 0, 0)


places = st.tuples(st.sampled_from(ZONES), st.sampled_from(PERIODS))
EVERYWHERE = [{"from": "A", "to": zone, "capacity_mw": 0} for zone in ("B", "C")]
"""So that whatever has a limit is somewhere."""
powers = st.integers(0, 80).map(float)
bids = st.lists(
    st.builds(lambda at, mw, price: a_bid(at[0], at[1], mw, price), places, powers, st.integers(-50, 150)), max_size=9
)
links = st.lists(
    st.builds(a_link, places, places, powers, st.integers(0, 40)).filter(lambda link: link["from"] != link["to"]),
    max_size=4,
)
lines = st.lists(
    st.fixed_dictionaries(
        {
            "from": st.just("A"),
            "to": st.sampled_from(("B", "C")),
            "capacity_mw": powers,
            "flow_cost": st.integers(0, 5).map(float),
        },
        optional={"susceptance": st.sampled_from((10.0, 100.0))},
    ),
    max_size=3,
)
cases = st.builds(
    lambda supply, demand, links, lines, ramp, limits: a_case(
        supply=supply, demand=demand, links=links, limits=limits, lines=lines + EVERYWHERE,
        ramps=[] if ramp is None else [{"zone": "A", "mw_per_period": ramp}],
    ),
    bids, bids, links, lines, st.none() | powers,
    st.dictionaries(places, powers, max_size=2).map(
        lambda limits: [{"zone": z, "period": p, "load_mw": mw} for (z, p), mw in limits.items()]
    ),
)  # fmt: skip


def drawn(case: Case, found: Cleared) -> dict[tuple[str, Any], float]:
    """What each place draws after load has moved."""
    loads = dict.fromkeys(found.prices, 0.0)
    for bid, power_mw in zip(case.demand, found.cleared, strict=True):
        loads[bid.zone, bid.period] += power_mw
    for link, power_mw in zip(case.links, found.shifts, strict=True):
        loads[link.from_.zone, link.from_.period] -= power_mw
        loads[link.to.zone, link.to.period] += power_mw
    return loads


@given(cases)
@settings(max_examples=60, deadline=None)
def test_every_place_is_in_balance_and_no_limit_is_passed(case: Case) -> None:
    found = clear(case)
    loads = drawn(case, found)
    supplied = dict.fromkeys(found.prices, 0.0)
    for bid, power_mw in zip(case.supply, found.supplied, strict=True):
        assert -CLOSE <= power_mw <= bid.quantity_mw + CLOSE
        supplied[bid.zone, bid.period] += power_mw
    inflow = dict.fromkeys(found.prices, 0.0)
    for (line, period), power_mw in found.flows.items():
        assert abs(power_mw) <= case.lines[line].capacity_mw + CLOSE
        inflow[case.lines[line].from_, period] -= power_mw
        inflow[case.lines[line].to, period] += power_mw
    for place, load in loads.items():
        assert load >= -CLOSE
        assert supplied[place] + inflow[place] == pytest.approx(load, abs=CLOSE)
    for limit in case.limits:
        assert loads[limit.zone, limit.period] <= limit.load_mw + CLOSE
    for ramp in case.ramps:
        powers = [supplied.get((ramp.zone, period), 0.0) for period in sorted({period for _, period in supplied})]
        for before, after in pairwise(powers):
            assert abs(after - before) <= ramp.mw_per_period + CLOSE


@given(cases)
@settings(max_examples=60, deadline=None)
def test_the_welfare_is_what_the_parts_add_up_to(case: Case) -> None:
    found = clear(case)
    parts = (
        sum(bid.price * mw for bid, mw in zip(case.demand, found.cleared, strict=True))
        - sum(bid.price * mw for bid, mw in zip(case.supply, found.supplied, strict=True))
        - sum(link.cost * mw for link, mw in zip(case.links, found.shifts, strict=True))
        - sum(case.lines[line].flow_cost * abs(mw) for (line, _), mw in found.flows.items())
    )
    assert found.welfare == pytest.approx(parts, abs=1e-2)


@given(bids, bids)
@settings(max_examples=60, deadline=None)
def test_who_can_be_divided_is_content_with_the_price_of_its_place(
    supply: list[dict[str, Any]], demand: list[dict[str, Any]]
) -> None:
    case = a_case(supply=supply, demand=demand)
    found = clear(case)
    for sign, bids_, powers in ((1, case.supply, found.supplied), (-1, case.demand, found.cleared)):
        for bid, power_mw in zip(bids_, powers, strict=True):
            gain = sign * (found.prices[bid.zone, bid.period] - bid.price)
            assert gain >= -CLOSE or power_mw <= CLOSE
            assert gain <= CLOSE or power_mw >= bid.quantity_mw - CLOSE


@given(cases)
@settings(max_examples=60, deadline=None)
def test_what_consumers_pay_covers_what_suppliers_and_links_get(case: Case) -> None:
    found = clear(case)
    paid = sum(found.prices[bid.zone, bid.period] * mw for bid, mw in zip(case.demand, found.cleared, strict=True))
    got = sum(found.prices[bid.zone, bid.period] * mw for bid, mw in zip(case.supply, found.supplied, strict=True))
    moved = sum(
        (found.prices[link.from_.zone, link.from_.period] - found.prices[link.to.zone, link.to.period]) * mw
        for link, mw in zip(case.links, found.shifts, strict=True)
    )
    carried = sum(case.lines[line].flow_cost * abs(mw) for (line, _), mw in found.flows.items())
    assert paid - got - moved >= carried - 0.05


def test_power_takes_both_ways_round_a_ring_by_its_susceptances() -> None:
    ring = [("A", "B", 100.0), ("B", "C", 100.0), ("A", "C", 100.0)]
    case = a_case(
        supply=[a_bid("A", 1, 90, 10)],
        demand=[a_bid("C", 1, 90, 50)],
        lines=[{"from": a, "to": b, "capacity_mw": 200.0, "susceptance": s} for a, b, s in ring],
    )
    assert list(clear(case).flows.values()) == [30, 30, 60]


def test_a_full_line_parts_the_prices() -> None:
    found = clear(
        a_case(
            supply=[a_bid("A", 1, 90, 10), a_bid("B", 1, 90, 40)],
            demand=[a_bid("B", 1, 50, 100)],
            lines=[{"from": "A", "to": "B", "capacity_mw": 20.0}],
        )
    )
    assert (found.prices, found.supplied) == ({("A", 1): 10, ("B", 1): 40}, [20, 30])


small = st.lists(
    st.builds(
        lambda mw, price, whole, group: a_bid("A", 1, mw, price, indivisible=whole, exclusive=group),
        st.integers(1, 9).map(float), st.integers(1, 30), st.booleans(), st.sampled_from((None, "one", "other")),
    ),
    max_size=5,
)  # fmt: skip


@given(small, st.integers(0, 30).map(float))
@settings(max_examples=60, deadline=None)
def test_whole_choices_are_the_best_of_all_there_are(supply: list[dict[str, Any]], wanted_mw: float) -> None:
    case = a_case(supply=supply, demand=[a_bid("A", 1, wanted_mw, 20)])
    found = clear(case)
    best = max(
        worth
        for taken in product((False, True), repeat=len(supply))
        if (worth := _best_with(supply, taken, wanted_mw)) is not None
    )
    assert found.welfare == pytest.approx(best, rel=2e-4, abs=CLOSE)
    groups = [
        bid["exclusive"] for bid, mw in zip(supply, found.supplied, strict=True) if mw > CLOSE and bid["exclusive"]
    ]
    assert len(groups) == len(set(groups))


def _best_with(supply: list[dict[str, Any]], taken: tuple[bool, ...], wanted_mw: float) -> float | None:
    """The welfare if these are taken: the whole ones first, then the others in merit order; None where it can't be."""
    bids_ = [bid for bid, is_taken in zip(supply, taken, strict=True) if is_taken]
    groups = [bid["exclusive"] for bid in bids_ if bid["exclusive"]]
    left = wanted_mw - sum(bid["quantity_mw"] for bid in bids_ if bid["indivisible"])
    if len(groups) > len(set(groups)) or left < 0:
        return None
    worth = sum((20 - bid["price"]) * bid["quantity_mw"] for bid in bids_ if bid["indivisible"])
    for bid in sorted(bids_, key=lambda bid: bid["price"]):
        if not bid["indivisible"] and bid["price"] < 20:
            power_mw = min(left, bid["quantity_mw"])
            worth, left = worth + (20 - bid["price"]) * power_mw, left - power_mw
    return worth


def test_who_is_taken_whole_and_loses_by_the_price_is_made_up_for() -> None:
    found = clear(
        a_case(
            supply=[a_bid("A", 1, 10, 10), a_bid("A", 1, 10, 40, indivisible=True), a_bid("A", 1, 5, 20)],
            demand=[a_bid("A", 1, 22, 100)],
        )
    )
    assert (found.supplied, found.prices) == ([10, 10, 2], {("A", 1): 20})
    assert found.uplift == 200


def test_no_time_is_no_answer() -> None:
    case = a_case(
        supply=[a_bid("A", period, 10 + period % 7, period % 13, indivisible=True) for period in range(400)],
        demand=[a_bid("A", period, 9, 50) for period in range(400)],
        ramps=[{"zone": "A", "mw_per_period": 3}],
    )
    with pytest.raises(NoAnswer, match="expected an answer within 1e-09 s, got none"):
        clear(case, 1e-9)


def test_nothing_offered_is_nothing_cleared(capfd: pytest.CaptureFixture[str]) -> None:
    assert clear(a_case()).welfare == 0
    assert capfd.readouterr().out == ""  # the solver has no banner of its own
