"""Orders of the log are settled by the arithmetic of settlement: by the period, once, in the order of acceptance."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal import MW
from gridsignal_schemas.messages import DispatchOrder, MeterReading, OrderState
from gridsignal_services.ledger.delivered import Terms, measured, terms_of, totals
from gridsignal_services.ledger.settled import settled
from gridsignal_services.ledger.tracked import Step
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.settlement.pinned import pinned
from gridsignal_services.settlement.rules import STANDARD, SettlementRule
from tests.builders import a_site_registration, utc
from tests.unit.ledger.test_delivered import a_zone, ordered, quarter, two_orders
from tests.unit.ledger.zone import Zone

HOURS = SettlementRule(name="hours", version=1, interval_s=3600)


def terms(zone: Zone, order: DispatchOrder) -> Terms:
    found = terms_of(zone.ledger.book, zone.ledger.orders[order.order_id])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("actual", "amount"), [(7, "14.00"), (8, "14.00"), (9, "-4.00"), (10, "-22.00"), (11, "-33.00")]
)
def test_the_worked_example_of_uftp(actual: int, amount: str) -> None:
    zone = a_zone(10 * MW)
    zone.ledger.book.sites["fra-1"] = a_site_registration(minimum_load_w=0)
    told = replace(
        terms(zone, ordered(zone, 2 * MW)), bid_per_mwh=Decimal(28), deficiency_price_per_mwh=Decimal(44)
    )  # fmt: skip
    first, *others = settled(told, [quarter(0, actual * MW)], STANDARD, "EUR").lines
    assert str(first.amount) == amount
    assert [(line.amount, line.gap) for line in others] == [(None, Gap.METER_MISSING)] * 2


@given(st.lists(st.integers(0, 60), min_size=3, max_size=3))
def test_by_quarters_an_order_comes_to_what_the_door_shows(powers: list[int]) -> None:
    zone = a_zone()
    told = terms(zone, ordered(zone, 12 * MW))
    said = [quarter(15 * number, power * MW) for number, power in enumerate(powers)]
    shown, result = totals(told, measured(told, said)), settled(told, said, STANDARD, "EUR")
    assert sum(line.delivered_wh or 0 for line in result.lines) == shown.delivered_wh
    assert result.total == shown.amount


def test_within_a_period_what_is_too_much_makes_up_for_what_is_too_little() -> None:
    zone = a_zone()
    told = terms(zone, ordered(zone, 12 * MW))
    said = [quarter(0, 24 * MW), quarter(15, 32 * MW), quarter(30, 28 * MW)]
    (line,) = settled(told, said, HOURS, "EUR").lines
    assert (line.delivered_wh, line.deficiency_wh) == (9_000_000, 0)
    assert settled(told, said, HOURS, "EUR").total == 810


def shares(zone: Zone, orders: tuple[DispatchOrder, ...], said: list[MeterReading]) -> list[int]:
    lines = [settled(terms(zone, order), said, HOURS, "EUR").lines for order in orders]
    return [sum(line.delivered_wh or 0 for line in each) for each in lines]


def test_two_orders_share_what_the_site_moved_by_the_parts_in_which_both_hold() -> None:
    zone = a_zone()
    orders = _, second = two_orders(zone)
    tracked = zone.ledger.orders[second.order_id]
    tracked.state = OrderState.ABORTED
    tracked.history.append(Step(utc("18:20"), OrderState.ABORTED, "planner"))
    said = [quarter(0, 20 * MW), quarter(15, 40 * MW), quarter(30, 40 * MW)]
    # until 18:20 the site moved by 5 MWh of which the first has ordered 4; from then on by nothing
    assert shares(zone, orders, said) == [4_000_000, 1_000_000]


def test_two_orders_whose_rules_have_other_periods_are_paid_for_the_deviation_of_one_part_once() -> None:
    zone = a_zone()
    first, second = two_orders(zone)
    for order, rule in ((first, HOURS), (second, STANDARD)):
        tracked = zone.ledger.requests[order.request_id]
        tracked.request = tracked.request.model_copy(update={"settlement": pinned(rule)})
    said = [quarter(0, 0), quarter(15, 40 * MW), quarter(30, 40 * MW)]
    own = [settled(terms(zone, order), said, rule, "EUR") for order, rule in ((first, HOURS), (second, STANDARD))]
    # the site moved by 10 MWh in one quarter, of which 3 are the first order's and 2.5 the second's
    assert [[line.delivered_wh for line in each.lines] for each in own] == [[3_000_000], [2_500_000, 0, 0]]


def test_what_the_connection_carries_later_changes_nothing_of_an_order_that_is_over() -> None:
    zone = a_zone()
    order = ordered(zone, 12 * MW)
    assert terms(zone, order).capacity_w == 60 * MW
    zone.add(a_site_registration(revision=2, capacity_w=50 * MW))
    zone.add(a_site_registration(revision=3, capacity_w=70 * MW))
    assert terms(zone, order).capacity_w == 70 * MW  # it still runs
    zone.run_until(utc("18:45"))
    zone.add(a_site_registration(revision=4, capacity_w=90 * MW))
    assert terms(zone, order).capacity_w == 70 * MW


def test_more_readings_than_are_added_up_are_said_to_be_too_many() -> None:
    zone = a_zone()
    (line, *_) = settled(terms(zone, ordered(zone, 12 * MW)), None, STANDARD, "EUR").lines
    assert (line.amount, line.gap) == (None, Gap.TOO_MANY_READINGS)


def test_a_fee_is_paid_once() -> None:
    zone = a_zone()
    told = terms(zone, ordered(zone, 12 * MW))
    said = [quarter(15 * number, 28 * MW) for number in range(3)]
    result = settled(told, said, STANDARD, "EUR", Decimal("7.505"))
    assert (str(result.activation_fee), str(result.total)) == ("7.51", "817.51")


def test_while_readings_are_awaited_a_silence_costs_nothing() -> None:
    zone = a_zone()
    told = replace(terms(zone, ordered(zone, 12 * MW)), deficiency_price_per_mwh=Decimal(44))
    strict = SettlementRule.of({"name": "strict", "version": 1, "missing": "ZERO"})
    assert settled(told, [], strict, "EUR", is_awaited=True).total == 0
    assert settled(told, [], strict, "EUR").total == -9 * 44
