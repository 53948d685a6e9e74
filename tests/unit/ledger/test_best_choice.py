"""Where offers can only be taken whole or exclude each other, a solver's choice counts if it is better; anybody checks
that from the log, without a solver."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridsignal_schemas.messages import Clearing, ClearingTrigger
from gridsignal_schemas.rules.lifecycle import RequestState
from gridsignal_schemas.values import MW
from gridsignal_services.audit.checking import check
from gridsignal_services.audit.explaining import OfferStory
from gridsignal_services.joint.program import NoAnswer, Program, Solution, Status
from gridsignal_services.ledger.overtaken import NOTHING
from gridsignal_services.owning.best import Solver, decide_best, gap_of
from gridsignal_services.owning.solver import solver_of
from tests.builders import an_option, utc
from tests.unit.audit.test_decided_again import checked, records_of
from tests.unit.ledger.market import Market
from tests.unit.ledger.test_merit_order import lost
from tests.unit.ledger.zone import CODEC

HIGHS = solver_of(10)


def a_market(*sites: str, solver: Solver | None = HIGHS, **request: Any) -> Market:
    market = Market(*sites, min_quantity_w=0, **request)
    market.solver = solver
    return market


def cleared(market: Market) -> Clearing:
    """The clearing at gate closure, which held, and which another node and an audit find to be right."""
    (clearing,) = [record for record in market.close() if isinstance(record, Clearing)]
    market.replayed()
    assert checked(records_of(market)).faults == []
    return clearing


def three_whole(market: Market) -> None:
    """The cheapest first leaves the third no room, and the second costs more."""
    market.offer("acme", 7 * MW, "50", divisible=False)
    market.offer("volt", 5 * MW, "60", divisible=False)
    market.offer("site", 12 * MW, "52", divisible=False)


def test_the_cheapest_first_is_not_always_the_cheapest_together() -> None:
    market = a_market("acme", "volt", "site")
    three_whole(market)
    clearing = cleared(market)
    assert market.ordered() == {"site": 12 * MW}
    assert (clearing.algorithm, clearing.gap) == ("mixed-integer", 0)
    assert lost(market) == {"acme": "COVERED", "volt": "OUTBID"}


def test_what_is_asked_for_is_covered_before_it_is_cheap() -> None:
    market = a_market("acme", "volt")
    market.offer("acme", 8 * MW, "50", divisible=False)
    market.offer("volt", 12 * MW, "90", divisible=False)
    assert cleared(market).algorithm == "mixed-integer"
    assert market.ordered() == {"volt": 12 * MW}
    assert market.state is RequestState.AWARDED


def test_of_options_that_exclude_each_other_it_finds_those_that_fit_together() -> None:
    market = a_market("acme", "volt")
    early, late = {"ends_at": utc("18:25")}, {"starts_at": utc("18:25")}
    option = {"power_w": 12 * MW, "min_power_w": 0, "ramp_down_w_per_min": 20 * MW, "ramp_up_w_per_min": 20 * MW}
    either = [
        an_option(option="early", price_per_mwh=Decimal(40), **option, **early),
        an_option(option="late", price_per_mwh=Decimal(41), **option, **late),
    ]
    market.offer("acme", options=either)
    market.offer("volt", 12 * MW, "50", **early)
    clearing = cleared(market)
    assert [(award.participant, award.option) for award in clearing.awards] == [("acme", "late"), ("volt", "all")]
    assert market.state is RequestState.AWARDED


@pytest.mark.parametrize("fee", [None, Decimal(20)])
def test_where_the_merit_order_is_the_best_it_stays_and_says_so(fee: Decimal | None) -> None:
    market = a_market("acme", "volt")
    market.offer("acme", 6 * MW, "50", divisible=False, activation_fee=fee)
    market.offer("volt", 12 * MW, "60")
    clearing = cleared(market)
    assert market.ordered() == {"acme": 6 * MW, "volt": 6 * MW}
    assert (clearing.algorithm, clearing.gap) == ("merit-order", 0)


def test_nobody_is_asked_where_every_offer_is_a_price_for_each_megawatt() -> None:
    market = a_market("acme", "volt", solver=Solver(never, 10))
    market.offer("acme", 8 * MW, "50")
    market.offer("volt", 8 * MW, "60")
    assert cleared(market).gap is None
    assert market.ordered() == {"acme": 8 * MW, "volt": 4 * MW}


def never(program: Program, limit_s: float) -> Solution:
    pytest.fail("expected not to be asked")


def no_answer(program: Program, limit_s: float) -> Solution:
    raise NoAnswer("none in time")


def everything(program: Program, limit_s: float) -> Solution:
    """More than can be: as if it had lost its mind."""
    return Solution(1e12, [1.0] * len(program.gain), [], Status.TIME_LIMIT, 1.0, float("inf"))


def broken(program: Program, limit_s: float) -> Solution:
    raise RuntimeError("it is broken")


def no_numbers(program: Program, limit_s: float) -> Solution:
    return Solution(0.0, [math.nan] * len(program.gain), [], Status.OPTIMAL, 0.0, 0.0)


@pytest.mark.parametrize("solve", [no_answer, everything, broken, no_numbers])
def test_without_a_good_answer_the_merit_order_decides(solve: Any) -> None:
    market = a_market("acme", "volt", "site", solver=Solver(solve, 10))
    three_whole(market)
    clearing = cleared(market)
    assert (clearing.algorithm, clearing.gap) == ("merit-order", None)
    assert market.ordered() == {"acme": 7 * MW, "volt": 5 * MW}


def test_offers_that_together_cost_nothing_leave_a_request_decidable() -> None:
    """Of almost nothing the distance to a bound is a share with more digits than the record holds."""

    def far(program: Program, limit_s: float) -> Solution:
        return Solution(0.0, [0.0] * len(program.gain), [], Status.TIME_LIMIT, 1.0, 1e5)

    market = a_market("acme", "volt", solver=Solver(far, 10))
    market.offer("acme", 12 * MW - 1, "-66.6667", activation_fee=Decimal("600.0003"))
    market.offer("volt", 1, "-66.6666")
    assert cleared(market).gap is None
    assert market.ordered() == {"acme": 12 * MW - 1, "volt": 1}


@pytest.mark.parametrize(
    ("cost", "least", "gap"),
    [
        (100.0, 98.0, "0.02"),
        (100.0, 101.0, "0"),
        (-100.0, -102.0, "0.02"),
        (3.0, 2.0, "0.3334"),
        (100.0, -999_800.0, "9999"),
        (100.0, -999_900.0, None),
        (7.5e-11, -1e5, None),
        (0.0, 0.0, None),
        (math.nan, 1.0, None),
        (1.0, -math.inf, None),
    ],
)
def test_a_gap_is_a_share_of_the_cost_or_nothing(cost: float, least: float, gap: str | None) -> None:
    assert gap_of(cost, least) == (None if gap is None else Decimal(gap))


def test_a_quarter_of_the_time_that_is_left_is_the_solvers_by_its_own_clock() -> None:
    told = list[float]()

    def listening(program: Program, limit_s: float) -> Solution:
        told.append(limit_s)
        raise NoAnswer("none in time")

    left_s = 0.0
    for pace in (1, 60):
        market = a_market("acme", "volt", "site", solver=Solver(listening, 1000, pace))
        three_whole(market)
        left_s = (market.request.decision_deadline - market.request.gate_closure_at).total_seconds()
        cleared(market)
    assert told == [left_s / 4, left_s / 240]


def test_who_had_to_wait_past_half_of_the_time_is_decided_in_merit_order() -> None:
    told = list[float]()

    def listening(program: Program, limit_s: float) -> Solution:
        told.append(limit_s)
        raise NoAnswer("none in time")

    market = a_market("acme", "volt", "site")
    three_whole(market)
    gate, due = market.request.gate_closure_at, market.request.decision_deadline
    for share in (0.5, 0.51):
        decided = decide_best(
            market.ledger.book,
            market.request.request_id,
            Solver(listening, 1000),
            now=gate + share * (due - gate),
            left_out=NOTHING,
            position=market.ledger.position,
            trigger=ClearingTrigger.GATE_CLOSURE,
            actor="ledger",
        )
        assert decided.algorithm == "merit-order"
        assert {award.participant for award in decided.awards} == {"acme", "volt"}
    assert told == [(due - gate).total_seconds() / 8]


def test_a_choice_that_would_cost_the_operator_more_is_none() -> None:
    algorithms = dict[str, str]()
    for pricing in ("PAY_AS_BID", "PAY_AS_CLEARED"):
        market = a_market("acme", "volt", "site", "last", pricing=pricing)
        market.offer("acme", 7 * MW, "50", divisible=False)
        market.offer("volt", 5 * MW, "60", divisible=False)
        market.offer("site", 11 * MW, "51", divisible=False)
        market.offer("last", 1 * MW, "70")
        algorithms[pricing] = cleared(market).algorithm
    assert algorithms == {"PAY_AS_BID": "mixed-integer", "PAY_AS_CLEARED": "merit-order"}


powers = st.integers(1, 12).map(lambda mw: mw * MW)
kinds = st.one_of(
    st.just({}),
    st.just({"divisible": False}),
    st.builds(lambda fee: {"activation_fee": Decimal(fee)}, st.integers(0, 200)),
)
offers = st.lists(st.tuples(powers, st.integers(1, 90), kinds, st.booleans()), min_size=1, max_size=4)


@given(offers)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_choice_of_any_offers_is_better(made: list[tuple[int, int, dict[str, Any], bool]]) -> None:
    market = a_market(*(f"s{number}" for number in range(len(made))))
    rows = []
    for number, (power_w, price, kind, has_floor) in enumerate(made):
        floor = power_w if has_floor or kind.get("divisible") is False else 0
        market.offer(f"s{number}", power_w, str(price), min_power_w=floor, **kind)
        rows.append((power_w, price, float(kind.get("activation_fee", 0)), floor))
    clearing = cleared(market)
    mwh = [award.power_w / MW * 0.75 for award in clearing.awards]
    cost = sum(float(award.price_per_mwh) * each for award, each in zip(clearing.awards, mwh, strict=True))
    cost += sum(rows[int(award.participant[1:])][2] for award in clearing.awards)
    best = min(each for taken in product((False, True), repeat=len(rows)) if (each := whole_of(rows, taken)))
    assert (9 - sum(mwh), cost) == (pytest.approx(best[0], abs=1e-6), pytest.approx(best[1], rel=2e-4, abs=1e-6))


def whole_of(rows: list[tuple[int, int, float, int]], taken: tuple[bool, ...]) -> tuple[float, float] | None:
    """(MWh lacking, cost) if these are called, floors first and then the cheapest; None where it can't be."""
    called = sorted((row for row, is_taken in zip(rows, taken, strict=True) if is_taken), key=lambda row: row[1])
    left_w = 12 * MW - sum(floor for *_, floor in called)
    if left_w < 0:
        return None
    cost = 0.0
    for power_w, price, fee, floor in called:
        more_w = min(left_w, power_w - floor)
        left_w -= more_w
        if not floor + more_w:
            return None
        cost += price * 0.75 * (floor + more_w) / MW + fee
    return left_w * 0.75 / MW, cost


def test_a_choice_that_is_no_better_than_the_merit_order_is_told_of() -> None:
    market = a_market("acme", "volt", "site", solver=None)
    three_whole(market)
    market.close()
    records = records_of(market)
    (at,) = [at for at, (entry, _) in enumerate(market.log) if isinstance(entry.record, Clearing)]
    honest = market.log[at][0].record
    assert isinstance(honest, Clearing)
    records[at] = replace(records[at], value=CODEC.encode(honest.model_copy(update={"algorithm": "mixed-integer"})))
    (fault,) = check(0, CODEC, lambda: records).faults[:1]
    assert "is another" in fault


def test_the_story_of_an_offer_says_how_it_was_decided() -> None:
    market = a_market("acme", "volt", "site")
    three_whole(market)
    cleared(market)
    story = OfferStory(("acme", "acme-offer"), for_operator=True)
    check(0, CODEC, lambda: records_of(market), heard=story.hear)
    told = list(story.lines())
    assert "  a solver chose: together those who were called are better than the merit order" in told
    assert "  the best would be at most 0.00% cheaper, says the solver" in told
    assert not any("would have been awarded" in line for line in told)


def test_no_seconds_are_no_solver() -> None:
    assert solver_of(0) is None
