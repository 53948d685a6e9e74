"""Whatever number the ledger has accepted, its operator's views show it: one line never takes a page with it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Context, Decimal

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.values import MAX_POWER_W
from gridsignal_services.dispatch.views import Metered, order_view, with_metered
from gridsignal_services.ledger.delivered import terms_of, totals
from gridsignal_services.ledger.ranking import price_of_whole
from tests.builders import a_dispatch_request, an_option, utc
from tests.metered import delivery
from tests.shown_book import shown_book
from tests.unit.ledger.test_delivered import a_zone, ordered, quarter

WIDE = Context(prec=60)
MONEY = st.decimals(Decimal("-99999999999999.9999"), Decimal("99999999999999.9999"), places=4)


@given(
    price=MONEY,
    fee=st.none() | MONEY,
    power_w=st.sampled_from([1, 12_000_000, MAX_POWER_W]),
    seconds=st.integers(1, 2700),
)
def test_every_price_and_fee_has_an_effective_price(
    price: Decimal, fee: Decimal | None, power_w: int, seconds: int
) -> None:
    starts_at = utc("18:00")
    ends_at = starts_at + timedelta(seconds=seconds)
    option = an_option(power_w=power_w, min_power_w=0, starts_at=starts_at, ends_at=ends_at)
    option = option.model_copy(update={"price_per_mwh": price, "activation_fee": fee})  # as older logs hold them
    shown = price_of_whole(a_dispatch_request(), option, utc("16:00"))
    assert shown is not None
    assert shown == shown.quantize(Decimal("0.0001"), context=WIDE)


@given(price=MONEY, deficiency=MONEY, power_w=st.integers(1, 12_000_000))
def test_every_amount_is_shown(price: Decimal, deficiency: Decimal, power_w: int) -> None:
    zone = a_zone()
    order = ordered(zone, 12_000_000)
    tracked = zone.ledger.orders[order.order_id]
    tracked.order = order.model_copy(update={"price_per_mwh": price, "power_w": power_w})
    asked = zone.ledger.requests[order.request_id]
    asked.request = asked.request.model_copy(update={"deficiency_price_per_mwh": deficiency})
    intervals = delivery(zone.ledger.book, tracked, [quarter(0, 34_000_000)])
    terms = terms_of(zone.ledger.book, tracked)
    assert terms is not None
    view = with_metered(order_view(zone.ledger.book, tracked), Metered(totals(terms, intervals), intervals))
    assert Decimal(view.model_dump(mode="json")["amount"]) == view.amount
    assert shown_book(zone.ledger.book, order.request_id).model_dump_json()
