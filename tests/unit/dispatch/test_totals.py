"""Totals and orders are rounded by one rule: whatever is shown is a sum of watt-seconds, rounded once."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.values import MW
from gridsignal_services.dispatch.totals import Sum
from gridsignal_services.dispatch.views import Metered, order_view, with_metered
from gridsignal_services.ledger.delivered import OrderTotals, ordered_ws, terms_of, totals
from tests.builders import utc
from tests.metered import delivery
from tests.unit.ledger.test_delivered import a_zone, ordered, quarter

START = utc("18:00")
ENERGIES = st.integers(0, 20_000)
"""In watt-seconds: of a few watt-hours, where rounding is all."""


@given(power_w=st.integers(1, 12 * MW), metered_us=st.integers(1, 2_700_000_000), actual_w=st.integers(0, 40 * MW))
def test_an_order_alone_in_totals_is_what_it_is_among_orders(power_w: int, metered_us: int, actual_w: int) -> None:
    zone = a_zone()
    order = ordered(zone, 12 * MW)
    tracked = zone.ledger.orders[order.order_id]
    tracked.order = order.model_copy(update={"power_w": power_w})
    terms = terms_of(zone.ledger.book, tracked)
    assert terms is not None
    assert order.ends_at is not None
    reading = quarter(0, actual_w, ends_at=START + timedelta(microseconds=metered_us))
    metered = totals(terms, delivery(zone.ledger.book, tracked, [reading]))

    alone = Sum(0)
    alone.add_ordered(ordered_ws(tracked, order.ends_at), 2700)
    alone.add_metered(metered)

    line = alone.line(order.site, "EUR")
    view = with_metered(order_view(zone.ledger.book, tracked), Metered(metered, []))
    assert (line.ordered_wh, line.delivered_wh, line.amount) == (view.ordered_wh, view.delivered_wh, view.amount)


@given(st.lists(st.tuples(ENERGIES, ENERGIES), min_size=1, max_size=50))
def test_totals_show_what_was_delivered_rounded_once_and_never_more_than_was_ordered(
    energies: list[tuple[int, int]],
) -> None:
    together = Sum(0)
    for pair in energies:
        together.add_ordered(max(pair), 900)
        together.add_metered(OrderTotals(min(pair), None, 900))

    line = together.line("fra-1", "EUR")
    delivered = sum(min(pair) for pair in energies)
    assert line.delivered_wh is not None
    assert abs(3600 * line.delivered_wh - delivered) <= 1800
    assert line.delivered_wh <= line.ordered_wh
