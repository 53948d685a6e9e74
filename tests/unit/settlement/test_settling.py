"""What orders come to: the field's worked figures to the last digit, and every parameter of a rule."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from gridsignal_schemas.messages import Quality
from gridsignal_services.case_files import CaseFault
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.settlement.periods import Grid
from gridsignal_services.settlement.rules import SHIPPED, Missing, SettlementRule, shipped_rule
from gridsignal_services.settlement.settling import Line
from tests.settling_cases import a_case, india, order, power, reading, revenue_by_meter, settled, the_rule, totals, uftp

KW = 1000
HOUR, QUARTERS = "18:00-19:00", ("18:00-18:15", "18:15-18:30", "18:30-18:45", "18:45-19:00")


def an_hour(actual_kw: list[int | None], *, rule: object = "standard", currency: str = "EUR", **more: object) -> Any:
    """100 kW were expected, 40 kW less ordered at 100 a MWh, a shortfall at 50; what a meter said by the quarter."""
    terms = {"deficiency_price_per_mwh": "50"} | more
    readings = [reading(at, kw * KW) for at, kw in zip(QUARTERS, actual_kw, strict=True) if kw is not None]
    return a_case(
        [order(HOUR, 40 * KW, **terms)], [power(HOUR, 100 * KW)], readings, rule=rule, currency=currency
    )  # fmt: skip


def lines(case: Any, number: int = 0) -> tuple[Line, ...]:
    return settled(case).settled[number].lines


def amounts(case: Any) -> list[str | None]:
    return [None if line.amount is None else str(line.amount) for line in lines(case)]


@pytest.mark.parametrize(
    ("actual", "delivered", "deficiency", "amount"),
    [(7, 2, 0, "14"), (8, 2, 0, "14"), (9, 1, 1, "-4"), (10, 0, 2, "-22"), (11, 0, 3, "-33")],
)
def test_the_worked_example_of_uftp(actual: int, delivered: int, deficiency: int, amount: str) -> None:
    (line,) = lines(uftp(actual))
    assert (line.baseline_wh, line.actual_wh, line.ordered_wh) == (2_500_000, actual * 250_000, 500_000)
    assert (line.delivered_wh, line.deficiency_wh) == (delivered * 250_000, deficiency * 250_000)
    assert line.amount == Decimal(amount)


@pytest.mark.parametrize("meters", [{"m": (10, 95)}, {"north": (4, 90), "south": (6, 5)}])
def test_india_s_two_slots_with_their_penalties(meters: dict[str, tuple[int, int]]) -> None:
    case = india(**meters)
    assert [line.delivered_wh for number in (0, 1) for line in lines(case, number)] == [70_000, 52_500]
    assert totals(case) == [Decimal("237.50"), Decimal("198.75")]
    assert settled(case).flows == {"buyer": Decimal("-436.25"), "seller": Decimal("436.25")}


@pytest.mark.parametrize(
    ("hours", "moves", "revenue"),
    [
        (2, [(45, 20), (38, 15), (52, 25)], "525"),
        (2, [(30, 40), (50, 20)], "210"),
        (3, [(40, 20)], "210"),
    ],
)
def test_india_s_revenue_by_meter(hours: int, moves: list[tuple[int, int]], revenue: str) -> None:
    assert totals(revenue_by_meter(hours, *moves) | {"rule": the_rule(deficiency_price_per_mwh="0")}) == [
        Decimal(revenue)
    ]


def test_twelve_megawatts_for_45_minutes_are_worth_810_euros() -> None:
    at, mw = "18:00-18:45", 1_000_000
    assert totals(a_case([order(at, 12 * mw, 90)], [power(at, 40 * mw)], [reading(at, 28 * mw)])) == [Decimal(810)]


def test_an_hourly_reading_is_split_with_carry() -> None:
    case = a_case([order(HOUR, 1)], [power(HOUR, 2003)], [reading(HOUR, 2003)])
    assert [line.actual_wh for line in lines(case)] == [501, 501, 500, 501]


def test_what_minutes_say_is_netted_within_the_period() -> None:
    minutes = [reading(f"18:{minute:02}-18:{minute + 1:02}", (50 + 20 * (minute % 2)) * KW) for minute in range(14)]
    minutes += [reading("18:14-18:15", 60 * KW)]
    case = a_case([order("18:00-18:15", 40 * KW)], [power(HOUR, 100 * KW)], minutes)
    (line,) = lines(case)
    assert (line.delivered_wh, line.deficiency_wh, line.amount) == (10_000, 0, Decimal("1.00"))


def test_amounts_carry_what_rounding_took() -> None:
    case = an_hour([60, 60, 60, 60], price_per_mwh="0.5")
    assert amounts(case) == ["0.01", "0.00", "0.01", "0.00"]
    assert totals(case) == [Decimal("0.02")]


@pytest.mark.parametrize(("currency", "expected"), [("EUR", "0.61"), ("JPY", "1"), ("KWD", "0.613")])
def test_money_has_its_currency_s_places(currency: str, expected: str) -> None:
    case = an_hour([60] * 4, currency=currency, price_per_mwh="15.325")
    assert [str(total) for total in totals(case)] == [expected]
    assert sum(line.amount or 0 for line in lines(case)) == Decimal(expected)


def test_negative_prices_are_paid_by_the_site_for_less_and_for_more() -> None:
    assert totals(an_hour([60] * 4, price_per_mwh="-30")) == [Decimal("-1.20")]
    more = a_case(
        [order(HOUR, 40 * KW, "-30", direction="LOAD_INCREASE")],
        [power(HOUR, 100 * KW)],
        [reading(HOUR, 140 * KW)],
    )
    assert totals(more) == [Decimal("-1.20")]
    assert settled(more).flows == {"acme-ai": Decimal("-1.20"), "operator": Decimal("1.20")}


@pytest.mark.parametrize(
    ("pricing", "rule", "expected"),
    [
        ({"clearing_price_per_mwh": 200}, {}, "8"),
        ({"pricing": "PAY_AS_CLEARED", "clearing_price_per_mwh": "200"}, {}, "8"),
        ({"clearing_price_per_mwh": 200}, {"pricing": "PAY_AS_BID"}, "4"),
        ({"pricing": "REGULATED"}, {}, "4"),
        ({"pricing": "REGULATED"}, {"regulated_price_per_mwh": "25"}, "1"),
        ({"pricing": "UNPAID", "price_per_mwh": None, "activation_fee": 7}, {}, "0"),
        ({"activation_fee": "7.5"}, {}, "11.5"),
        ({"activation_fee": "7.5"}, {"pays_activation_fee": False}, "4"),
    ],
)
def test_each_pricing_pays_its_own_price(pricing: dict[str, object], rule: dict[str, object], expected: str) -> None:
    assert totals(an_hour([60] * 4, rule=the_rule(**rule), **pricing)) == [Decimal(expected)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, "3.00 - 0.50"),
        ({"deficiency_price_per_mwh": "0"}, "3.00 - 0.00"),
        ({"deficiency_multiplier": "1.5"}, "3.00 - 1.50"),
        ({"tolerance_share": "0.1"}, "3.00 - 0.45"),
        ({"tolerance_w": 40_000}, "3.00 - 0.00"),
        ({"minimum_interval_share": "0.5"}, "3.00 - 0.50"),
        ({"minimum_order_share": "0.75"}, "3.00 - 0.50"),
        ({"minimum_order_share": "0.76"}, "0.00 - 0.50"),
    ],
)
def test_a_shortfall_costs_what_the_rule_says(rule: dict[str, object], expected: str) -> None:
    """Nothing came in the last quarter, 10 kWh short."""
    paid, charged = map(Decimal, expected.split(" - "))
    assert totals(an_hour([60, 60, 60, 100], rule=the_rule(**rule))) == [paid - charged]


@pytest.mark.parametrize("said", ["PAY_AS_BID", "PAY_AS_CLEARED", "REGULATED", "UNPAID"])
@pytest.mark.parametrize("own", [{}, {"pricing": "UNPAID"}, {"pricing": "REGULATED", "regulated_price_per_mwh": "0"}])
@pytest.mark.parametrize("charge", [{"deficiency_multiplier": "1.5"}, {"deficiency_price_per_mwh": "50"}])
def test_a_rule_that_charges_does_so_or_is_refused(said: str, own: Any, charge: dict[str, str]) -> None:
    case = an_hour([100] * 4, rule=the_rule(**own | charge), pricing=said, clearing_price_per_mwh="90")
    if "deficiency_multiplier" in charge and (own or said == "UNPAID"):
        with pytest.raises(CaseFault, match=r"expected a .*price"):
            settled(case)
    else:
        assert totals(case)[0] < 0


def test_too_little_of_a_period_is_paid_nothing() -> None:
    case = an_hour([60, 60, 60, 90], rule=the_rule(minimum_interval_share="0.3", deficiency_price_per_mwh="0"))
    assert amounts(case) == ["1.00", "1.00", "1.00", "0.00"]
    assert lines(case)[3].delivered_wh == 2500


def test_ramps_are_neither_paid_nor_charged() -> None:
    case = an_hour([100, 60, 60, 100], rule=the_rule(ramp_in_s=900, ramp_out_s=900))
    assert amounts(case) == ["1.00", "1.00"]


def test_a_fee_is_paid_for_what_was_delivered_alone() -> None:
    assert totals(an_hour([100] * 4, activation_fee=5, deficiency_price_per_mwh=0)) == [Decimal(0)]
    assert totals(an_hour([None] * 4, activation_fee=5)) == [Decimal(0)]


@pytest.mark.parametrize(
    ("rule", "amount", "short"),
    [({}, None, None), ({"missing": "ZERO"}, "-0.50", 10_000), ({"missing": "ESTIMATE"}, None, None)],
)
def test_what_is_missing_is_said_and_the_others_are_settled(
    rule: dict[str, object], amount: str | None, short: int | None
) -> None:
    case = an_hour([60, None, 60, 60], rule=the_rule(**rule))
    (result,) = settled(case).settled
    assert amounts(case) == ["1.00", amount, "1.00", "1.00"]
    gap = result.lines[1]
    assert (gap.actual_wh, gap.delivered_wh, gap.deficiency_wh) == (None, None if amount is None else 0, short)
    assert (gap.qualities, [line.gap for line in result.missing]) == ((Quality.MISSING,), [Gap.METER_MISSING])
    assert result.total == Decimal("3.00") + Decimal(amount or 0)


def test_an_operator_s_estimate_stands_in_and_says_so() -> None:
    case = an_hour([60, None, 60, 60], rule=the_rule(missing="ESTIMATE"))
    case["estimates"] = [power(HOUR, 80 * KW)]
    line = lines(case)[1]
    assert (line.delivered_wh, line.amount, line.gap) == (5000, Decimal("0.25"), Gap.METER_MISSING)
    assert line.qualities == (Quality.ESTIMATED, Quality.MISSING)


def test_without_a_baseline_there_is_no_figure() -> None:
    case = an_hour([60] * 4)
    case["baseline"] = [power("18:00-18:30", 100 * KW)]
    assert amounts(case) == ["1.00", "1.00", None, None]
    assert [line.gap for line in settled(case).settled[0].missing] == [Gap.NO_BASELINE, Gap.NO_BASELINE]


@pytest.mark.parametrize(
    ("actual_kw", "delivered", "short", "amount"),
    [(60, 10_000, 0, "1.00"), (50, 10_000, 0, "1.00"), (75, 6250, 3750, "0.44"), (120, 0, 15_000, "-0.75")],
)
def test_a_limit_kept_is_delivered_and_what_goes_beyond_it_is_short(
    actual_kw: int, delivered: int, short: int, amount: str
) -> None:
    case = a_case(
        [order("18:00-18:15", 60 * KW, meaning="IMPORT_LIMIT", deficiency_price_per_mwh=50)],
        [power(HOUR, 100 * KW)],
        [reading("18:00-18:15", actual_kw * KW)],
    )
    (line,) = lines(case)
    assert (line.ordered_wh, line.delivered_wh, line.deficiency_wh) == (10_000, delivered, short)
    assert line.amount == Decimal(amount)


def test_a_limit_above_the_baseline_orders_nothing_and_is_broken_all_the_same() -> None:
    case = a_case(
        [order("18:00-18:15", 120 * KW, meaning="IMPORT_LIMIT", deficiency_price_per_mwh=40)],
        [power(HOUR, 100 * KW)],
        [reading("18:00-18:15", 140 * KW)],
    )
    (line,) = lines(case)
    assert (line.ordered_wh, line.delivered_wh, line.deficiency_wh, line.amount) == (0, 0, 5000, Decimal("-0.20"))


def test_overlapping_orders_share_a_deviation_in_the_order_of_acceptance() -> None:
    orders = [order(HOUR, 40 * KW, order_id="first"), order("18:20-19:10", 40 * KW, 200, "second")]
    case = a_case(orders, [power("18:00-20:00", 100 * KW)], [reading("18:00-20:00", 50 * KW)])
    first, second = settled(case).settled
    assert sum(line.delivered_wh or 0 for line in first.lines) == 40_000
    assert [line.delivered_wh for line in second.lines] == [1667, 2500, 2500, 6666]
    assert [str(line.starts_at)[11:16] for line in second.lines] == ["18:20", "18:30", "18:45", "19:00"]


def test_orders_under_rules_of_different_periods_are_paid_for_one_deviation_once() -> None:
    """40 kW in the first quarter alone: the hour's order has its 10 of it, the quarters' order the other 30."""
    orders = [
        order(HOUR, 10 * KW, order_id="first", rule=the_rule(interval_s=3600)),
        order(HOUR, 30 * KW, order_id="second", rule=the_rule(interval_s=900)),
    ]
    readings = [reading(at, kw * KW) for at, kw in zip(QUARTERS, (60, 100, 100, 100), strict=True)]
    first, second = settled(a_case(orders, [power(HOUR, 100 * KW)], readings)).settled
    assert [line.delivered_wh for line in first.lines] == [2_500]
    assert [line.delivered_wh for line in second.lines] == [7_500, 0, 0, 0]


def test_a_rule_s_ramp_cuts_the_periods_of_those_who_share_the_deviation() -> None:
    """20 kW for the last ten minutes: the first order takes 15 of them over the quarter, as it is cut at the ramp."""
    orders = [
        order("18:00-18:15", 15 * KW, order_id="first"),
        order("18:00-18:15", 15 * KW, order_id="second", rule=the_rule(ramp_in_s=300)),
    ]
    said = [reading("18:00-18:05", 100 * KW), reading("18:05-18:15", 80 * KW)]
    first, second = settled(a_case(orders, [power(HOUR, 100 * KW)], said)).settled
    assert [line.delivered_wh for line in (*first.lines, *second.lines)] == [2_500, 833]


def test_what_a_later_order_shares_is_not_netted_with_what_it_does_not() -> None:
    """Nothing for five minutes, then 40 kW for ten, of which the later order takes what the first has not ordered."""
    orders = [order("18:00-18:15", 20 * KW, order_id="first"), order("18:05-18:15", 40 * KW, order_id="second")]
    said = [reading("18:00-18:05", 100 * KW), reading("18:05-18:15", 60 * KW)]
    first, second = settled(a_case(orders, [power(HOUR, 100 * KW)], said)).settled
    assert [line.delivered_wh for line in first.lines] == [3333]
    assert [line.delivered_wh for line in second.lines] == [3333]
    (alone,) = settled(a_case(orders[:1], [power(HOUR, 100 * KW)], said)).settled
    assert [line.delivered_wh for line in alone.lines] == [5000]


def test_a_dry_run_is_paid_nothing_and_takes_nothing_and_a_test_is_real() -> None:
    case = an_hour([60] * 4, run_mode="DRY_RUN")
    case["orders"].append(order(HOUR, 40 * KW, order_id="b", run_mode="TEST_ACTIVATION"))
    assert totals(case) == [Decimal(0), Decimal(4)]
    assert lines(case) == ()


def test_the_day_the_clocks_change_has_46_or_50_half_hours() -> None:
    grid = Grid.of(shipped_rule("half-hour-gb"))

    def many(starts_at: str, ends_at: str) -> int:
        return len(list(grid.periods(datetime.fromisoformat(starts_at), datetime.fromisoformat(ends_at))))

    assert many("2026-03-29T00:00:00+00:00", "2026-03-29T23:00:00+00:00") == 46
    assert many("2026-10-24T23:00:00+00:00", "2026-10-26T00:00:00+00:00") == 50


def test_periods_are_counted_from_midnight_there() -> None:
    grid = Grid.of(SettlementRule.of(the_rule(interval_s=3600, time_zone="Asia/Kolkata")))
    since, until = datetime(2026, 6, 1, 4, 10, tzinfo=UTC), datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
    assert [(at.strftime("%H:%M"), to.strftime("%H:%M")) for at, to in grid.periods(since, until)] == [
        ("04:10", "04:30"), ("04:30", "05:30"), ("05:30", "06:00"),
    ]  # fmt: skip


@pytest.mark.parametrize("rule", [rule.name for rules in SHIPPED.values() for rule in rules])
@pytest.mark.parametrize("has_baseline", [True, False])
@pytest.mark.parametrize("has_readings", [True, False])
def test_without_a_baseline_nothing_is_short_and_without_readings_no_more_than_the_rule_has_it(
    rule: str, has_baseline: bool, has_readings: bool
) -> None:
    case = an_hour([100] * 4, rule=rule)
    case |= {} if has_baseline else {"baseline": []}
    case |= {} if has_readings else {"readings": []}
    found = settled(case).settled[0]
    is_known = has_baseline and (has_readings or shipped_rule(rule).missing is Missing.ZERO)
    assert all((line.deficiency_wh is not None) is is_known for line in found.lines)
    assert (found.total < 0) is is_known
    gap = None if has_baseline and has_readings else Gap.NO_BASELINE if has_readings else Gap.METER_MISSING
    assert {line.gap for line in found.missing} == ({gap} if gap else set())
