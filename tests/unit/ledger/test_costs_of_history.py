"""What an order is settled from costs by the orders beside it, however many its site has had."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import OrderState
from gridsignal_services.ledger.delivered import terms_of
from gridsignal_services.ledger.tracked import TrackedOrder
from tests.builders import REQUEST_ID, utc
from tests.unit.ledger.market import Market
from tests.unit.ledger.test_limits import counted_work

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = utc("18:00")


def with_orders(spans: list[tuple[timedelta, timedelta | None]]) -> tuple[Market, TrackedOrder]:
    """An order that is over, beside others of its site: how long after it they begin, and how long they take."""
    market = Market("acme")
    market.offer("acme")
    market.close()
    market.answer("acme")
    one = market.order("acme")
    book = market.ledger.book
    for number, (after, span) in enumerate(spans):
        starts_at = START + after
        times = {"starts_at": starts_at, "ends_at": None if span is None else starts_at + span}
        order = one.order.model_copy(update={"order_id": f"other-{number}", **times})
        other = replace(one, order=order, state=OrderState.COMPLETED, history=[], ahead=[], derated=[])
        book.add_order(other)
        book.end_order(other)
    market.run_until(utc("18:45"))
    return market, one


@pytest.mark.parametrize("span", [HOUR, 3 * DAY])
def test_the_terms_of_an_order_cost_the_same_after_ten_orders_and_after_a_thousand(span: timedelta) -> None:
    costs = set[int]()
    for count in (10, 1000):
        market, one = with_orders([(-(number + 5) * DAY, span) for number in range(count)])
        with counted_work() as lines:
            assert terms_of(market.ledger.book, one) is not None
            costs.add(lines())
    assert len(costs) == 1


hours = st.integers(-72, 72).map(lambda hours: hours * HOUR)
spans = st.one_of(st.none(), st.integers(1, 100).map(lambda hours: hours * HOUR))


@given(st.lists(st.tuples(hours, spans), max_size=8), hours, st.integers(1, 60).map(lambda hours: hours * HOUR))
def test_no_order_that_has_a_moment_in_common_is_passed_over(
    others: list[tuple[timedelta, timedelta | None]], after: timedelta, span: timedelta
) -> None:
    market, _ = with_orders(others)
    book, starts_at, ends_at = market.ledger.book, START + after, START + after + span

    found = {each.order.order_id for each in book.beside("acme-1", starts_at, ends_at)}

    for name, tracked in book.orders.items():
        order = tracked.order
        if order.starts_at < ends_at and (order.ends_at is None or starts_at < order.ends_at):
            assert name in found
    for name in list(book.orders):
        book.drop_order(book.orders[name].order)
    assert not book.days_of_site
    assert REQUEST_ID in book.requests
