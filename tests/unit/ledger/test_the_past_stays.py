"""What was ordered, delivered and missing until now is not changed by what anybody says of an order now."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import MeterReading, OrderState
from gridsignal_schemas.values import MW
from gridsignal_services.dispatch.views import order_view
from gridsignal_services.ledger.delivered import DeliveryInterval, ordered_ws, terms_of, totals
from gridsignal_services.ledger.tracked import TrackedOrder
from tests.builders import a_meter_reading, utc
from tests.metered import delivery
from tests.unit.ledger.market import Market

BEGIN = utc("18:00")
MINUTE = timedelta(minutes=1)
_PERIOD = 45

words = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from(["derate", "abort", "complete", "end now", "longer", "late"])),
    min_size=1,
    max_size=4,
)


def readings(imports_mw: list[int], step: timedelta = 5 * MINUTE) -> list[MeterReading]:
    return [
        a_meter_reading(
            site="acme-1", participant="acme", starts_at=BEGIN + n * step, ends_at=BEGIN + (n + 1) * step,
            seq=n + 1, import_w=power_mw * MW,
        )
        for n, power_mw in enumerate(imports_mw)
    ]  # fmt: skip


def by_minute(intervals: list[DeliveryInterval], until: datetime) -> list[tuple[int, int | None, int | None]]:
    """Ordered, delivered and missing in each minute before a moment, in watts."""
    return [
        (each.ordered_w, each.delivered_w, each.deficiency_w)
        for each in intervals
        for minute in range((min(each.ends_at, until) - each.starts_at) // MINUTE)
    ]


def say(market: Market, word: str, number: int) -> None:
    """One word about the order; what does not fit its state is refused, and changes nothing either."""
    order = market.order("acme")
    fields = {"response_id": f"r{number}", "revision": order.order.revision}
    match word:
        case "derate":
            market.answer("acme", "UNAVAILABLE", available_w=order.power_w // 2, **fields)
        case "abort":
            market.answer("acme", "UNAVAILABLE", available_w=0, **fields)
        case "complete":
            market.answer("acme", "COMPLETED", **fields)
        case "end now":
            market.change("acme", ends_at=market.now)
        case "longer":
            market.change("acme", ends_at=BEGIN + (_PERIOD + 10) * MINUTE)
        case "late":
            market.offer("volt", 12 * MW, "91", offer_id=f"late-{number}")


@given(words, st.lists(st.integers(20, 40), min_size=11, max_size=11))
def test_no_word_changes_what_was_before_it(said: list[tuple[int, str]], imports_mw: list[int]) -> None:
    market, metered = Market("acme", "volt"), readings(imports_mw)
    assert market.offer("acme", 12 * MW, "80", max_duration_s=7200).accepted
    market.close()
    assert market.answer("acme").accepted
    market.run_until(BEGIN)
    for number, (minutes, word) in enumerate(said):
        market.run_for(minutes=minutes)
        order = market.order("acme")
        before = by_minute(delivery(market.ledger.book, order, metered), market.now)
        say(market, word, number)
        market.act()
        after = by_minute(delivery(market.ledger.book, order, metered), market.now)
        assert after[: len(before)] == before
    market.replayed()


def broken_off(available_w: int) -> tuple[Market, TrackedOrder, list[MeterReading]]:
    """12 MW for 45 minutes at 90 EUR, delivered for 15 minutes; then a quarter of it, or nothing."""
    market = Market("acme", deficiency_price_per_mwh=Decimal(200))
    assert market.offer("acme", 12 * MW, "90").accepted
    market.close()
    assert market.answer("acme").accepted
    market.run_until(BEGIN + 15 * MINUTE)
    assert market.answer("acme", "UNAVAILABLE", available_w=available_w, reason="too hot").accepted
    market.act()
    return market, market.order("acme"), readings([28, 37, 37], 15 * MINUTE)


@pytest.mark.parametrize(
    ("available_w", "state", "each_w", "worth"),
    [
        (3 * MW, OrderState.ACTIVE, [(12, 12, 0), (3, 3, 0), (3, 3, 0)], "405"),
        (0, OrderState.ABORTED, [(12, 12, 0), (0, 0, 0), (0, 0, 0)], "270"),
    ],
    ids=["less", "nothing"],
)
def test_a_derating_counts_from_when_it_was_said(
    available_w: int, state: OrderState, each_w: list[tuple[int, int, int]], worth: str
) -> None:
    market, order, metered = broken_off(available_w)
    intervals = delivery(market.ledger.book, order, metered)
    assert order.state is state
    assert by_minute(intervals, BEGIN + 45 * MINUTE) == [
        tuple(power_mw * MW for power_mw in quarter) for quarter in each_w for _ in range(15)
    ]
    terms = terms_of(market.ledger.book, order)
    assert terms is not None
    assert totals(terms, intervals).amount == Decimal(worth)
    expected_wh = sum(ordered_mw for ordered_mw, _, _ in each_w) * MW // 4
    assert ordered_ws(order, BEGIN + 45 * MINUTE) == expected_wh * 3600
    assert order_view(market.ledger.book, order).ordered_wh == expected_wh


def test_what_was_missing_stays_missing_when_the_site_says_so_afterwards() -> None:
    market, order, _ = broken_off(3 * MW)
    missed = delivery(market.ledger.book, order, readings([37], 15 * MINUTE))
    assert by_minute(missed, BEGIN + 15 * MINUTE) == [(12 * MW, 3 * MW, 9 * MW)] * 15


def test_a_derating_before_the_period_is_all_that_was_ordered() -> None:
    market = Market("acme")
    assert market.offer("acme", 12 * MW, "90").accepted
    market.close()
    assert market.answer("acme").accepted
    assert market.answer("acme", "UNAVAILABLE", available_w=3 * MW).accepted
    market.run_until(BEGIN + 15 * MINUTE)
    intervals = delivery(market.ledger.book, market.order("acme"), readings([28], 15 * MINUTE))
    assert by_minute(intervals, BEGIN + 15 * MINUTE) == [(3 * MW, 3 * MW, 0)] * 15
