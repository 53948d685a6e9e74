"""Whatever orders, prices and readings there are: money is conserved, nothing is paid twice, nothing for a silence."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from tests.settling_cases import Line, a_case, settled, the_rule

START = datetime.fromisoformat("2024-05-12T18:00:00+00:00")
MINUTES = 90
MINUTE = timedelta(minutes=1)
WORDS = st.sampled_from


def between(since: int, minutes: int) -> Line:
    starts_at = START + timedelta(minutes=since)
    return {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(minutes=minutes)).isoformat()}


spans = st.tuples(st.integers(0, MINUTES - 1), st.integers(1, 45)).map(lambda span: between(*span))
prices = st.decimals(-300, 300, places=2).map(str)
rules = st.fixed_dictionaries(
    {
        "interval_s": WORDS([300, 900, 1800, 3600]),
        "time_zone": WORDS(["UTC", "Asia/Kathmandu"]),
        "ramp_in_s": WORDS([0, 0, 120]),
        "ramp_out_s": WORDS([0, 0, 300]),
        "missing": WORDS(["NOTHING", "ZERO", "ESTIMATE"]),
        "tolerance_share": st.decimals(0, 1, places=2).map(str),
        "minimum_interval_share": WORDS(["0", "0.5"]),
        "minimum_order_share": WORDS(["0", "0.3"]),
        "rounding": WORDS(["HALF_EVEN", "HALF_UP"]),
    }
)


@st.composite
def orders(draw: st.DrawFn, number: int) -> Line:
    meaning = draw(WORDS(["DELTA", "DELTA", "IMPORT_LIMIT"]))
    direction = "LOAD_DECREASE" if meaning == "IMPORT_LIMIT" else draw(WORDS(["LOAD_DECREASE", "LOAD_INCREASE"]))
    return draw(spans) | {
        "order_id": f"order-{number}",
        "participant": draw(WORDS(["acme", "volt"])),
        "operator": draw(WORDS(["tso", "dso"])),
        "meaning": meaning,
        "direction": direction,
        "power_w": draw(st.integers(0, 60_000)),
        "price_per_mwh": draw(prices),
        "deficiency_price_per_mwh": draw(st.integers(0, 300)),
        "activation_fee": draw(st.integers(0, 3)),
        "rule": draw(st.none() | rules.map(lambda rule: the_rule(**rule))),
    }


@st.composite
def readings(draw: st.DrawFn) -> list[Line]:
    """What one or two meters say, with silences, repeats and corrections, each with a `seq` of its own."""
    said: list[Line] = []
    for meter in draw(WORDS(["a", "ab"])):
        for quarter in range(MINUTES // 15 + 3):
            words = draw(st.lists(st.integers(0, 80_000), max_size=2))
            said += [{"meter": meter, "import_w": import_w} | between(quarter * 15, 15) for import_w in words]
    seqs = draw(st.permutations(range(len(said))))
    return [each | {"seq": seq} for each, seq in zip(said, seqs, strict=True)]


@st.composite
def cases(draw: st.DrawFn) -> Line:
    many = draw(st.integers(1, 4))
    baseline = [between(0, 2 * MINUTES) | {"power_w": draw(st.integers(0, 120_000))}]
    baseline += [draw(spans) | {"power_w": draw(st.integers(0, 120_000))}]
    return a_case(
        [draw(orders(number)) for number in range(many)],
        baseline,
        draw(readings()),
        rule=the_rule(**draw(rules)),
        currency=draw(WORDS(["EUR", "JPY", "KWD"])),
    )


def at_minute(lines: list[Line], minute: int) -> list[Line]:
    when = START + timedelta(minutes=minute)
    return [
        each
        for each in lines
        if datetime.fromisoformat(each["starts_at"]) <= when < datetime.fromisoformat(each["ends_at"])
    ]


def moved_w(case: Line, minute: int) -> int | None:
    """The slow way: the later baseline less each meter's newest word; None where there is none."""
    baseline = at_minute(case["baseline"], minute)
    net_w = 0
    for meter in {each["meter"] for each in case["readings"]}:
        said = at_minute([each for each in case["readings"] if each["meter"] == meter], minute)
        if not said:
            return None
        net_w += max(said, key=lambda each: each["seq"])["import_w"]
    return baseline[-1]["power_w"] - net_w if baseline and case["readings"] else None


def edges_of(case: Line, direction: str) -> list[int]:
    """Minutes at which one of the orders, its paid time, or a period of its rule begins or ends."""
    minutes = {0, 2 * MINUTES}
    for order in (each for each in case["orders"] if each["direction"] == direction):
        rule = order["rule"] or case["rule"]
        starts_at, ends_at = ((datetime.fromisoformat(order[at]) - START) // MINUTE for at in ("starts_at", "ends_at"))
        minutes |= {starts_at, ends_at, starts_at + rule["ramp_in_s"] // 60, ends_at - rule["ramp_out_s"] // 60}
        local = START.astimezone(ZoneInfo(rule["time_zone"]))
        since_midnight = local.hour * 60 + local.minute
        minutes |= {at for at in range(2 * MINUTES) if (since_midnight + at) % (rule["interval_s"] // 60) == 0}
    return sorted(minutes)


@given(cases())
def test_money_is_conserved_and_lines_add_up_to_their_total(case: Line) -> None:
    result = settled(case)
    assert sum(result.flows.values()) == 0
    for each in result.settled:
        assert each.activation_fee + sum(line.amount or 0 for line in each.lines) == each.total
        assert all(one.ends_at == after.starts_at for one, after in pairwise(each.lines))
    places = {"EUR": -2, "JPY": 0, "KWD": -3}[case["currency"]]
    assert all(each.total.as_tuple().exponent == places for each in result.settled)


@st.composite
def sharing(draw: st.DrawFn) -> Line:
    """Orders that hold at the same time under rules of their own, and a site that moves far and not for long."""
    own = rules.map(lambda rule: the_rule(**rule | {"minimum_interval_share": "0", "minimum_order_share": "0"}))
    told = [
        draw(orders(number)) | between(draw(st.integers(0, 20)), draw(st.integers(60, 90)))
        | {"meaning": "DELTA", "direction": "LOAD_DECREASE", "power_w": 20_000, "rule": draw(own)}
        for number in range(draw(st.integers(2, 3)))
    ]  # fmt: skip
    moved = draw(st.sets(st.integers(0, 17), max_size=4))  # for some five minutes by more than all orders together
    said = [
        between(5 * at, 5) | {"meter": "a", "seq": at, "import_w": 0 if at in moved else 100_000} for at in range(36)
    ]
    return a_case(told, [between(0, 2 * MINUTES) | {"power_w": 100_000}], said, rule=the_rule(**draw(rules)))


def assert_nothing_is_paid_twice(case: Line) -> None:
    result = settled(case)
    for sign, direction in ((1, "LOAD_DECREASE"), (-1, "LOAD_INCREASE")):
        told = [
            (order, each)
            for order, each in zip(result.case.orders, result.settled, strict=True)
            if order.direction == direction
        ]
        delivered_wh = sum(line.delivered_wh or 0 for _, each in told for line in each.lines)
        moved_wm = 0
        for since, until in pairwise(edges_of(case, direction)):
            moves = [moved_w(case, minute) for minute in range(since, until)]
            known = [move for move in moves if move is not None]
            if len(known) == len(moves):
                moved_wm += max(0, sign * sum(known))
        assert delivered_wh <= moved_wm / 60 + len(told)  # each order is rounded by itself


@given(cases())
def test_what_overlapping_orders_delivered_is_never_more_than_the_site_moved(case: Line) -> None:
    assert_nothing_is_paid_twice(case)


@given(sharing())
def test_nor_is_it_under_rules_of_different_periods_time_zones_and_ramps(case: Line) -> None:
    assert_nothing_is_paid_twice(case)


@given(cases(), st.randoms())
def test_the_order_of_readings_does_not_matter_beyond_their_seq(case: Line, chance: random.Random) -> None:
    before = settled(case).settled
    chance.shuffle(case["readings"])
    assert settled(case).settled == before


@given(cases())
def test_what_is_missing_never_earns(case: Line) -> None:
    for order, each in zip(case["orders"], settled(case).settled, strict=True):
        unearned = [line for line in each.lines if line.gap is not None]
        assert all((line.amount or 0) <= 0 for line in unearned)
        if all(line.gap is not None for line in each.lines):
            assert each.total <= 0, order


@given(cases())
def test_a_reading_said_twice_is_said_once(case: Line) -> None:
    before = settled(case).settled
    case["readings"] += case["readings"]
    assert settled(case).settled == before
