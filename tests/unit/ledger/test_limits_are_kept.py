"""A product whose rule has a limit kept: the order tells its site the limit, and is settled by it, like any other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridsignal_schemas.messages import DispatchOrder, MeterReading, QuantityKind
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.delivered import measured, terms_of, totals
from gridsignal_services.ledger.settled import settled
from gridsignal_services.ledger.standing import announced_order
from gridsignal_services.settlement.pinned import pinned
from gridsignal_services.settlement.rules import STANDARD, shipped_rule
from tests.builders import REQUEST_ID, a_dispatch_request, a_flex_offer, an_option, utc
from tests.unit.ledger.market import Market
from tests.unit.ledger.test_delivered import quarter

LIMIT = shipped_rule("import-limit")
PINNED = pinned(LIMIT)


def an_ordered_limit(**changes: Any) -> Market:
    """12 MW below 40: a limit of 28 MW."""
    market = Market("acme", settlement=PINNED)
    market.offer("acme")
    market.close()
    market.answer("acme", **changes)
    return market


def settled_wh(market: Market, *actual_mw: int) -> list[tuple[int | None, int | None, int | None]]:
    """Ordered, delivered and lacking, of each quarter hour, in watt-hours."""
    terms = terms_of(market.ledger.book, market.order("acme"))
    assert terms is not None
    lines = settled(terms, said(*actual_mw), LIMIT, "EUR").lines
    return [(line.ordered_wh, line.delivered_wh, line.deficiency_wh) for line in lines]


def said(*actual_mw: int) -> list[MeterReading]:
    return [quarter(15 * number, power * MW).model_copy(update={"site": "acme-1", "participant": "acme"})
            for number, power in enumerate(actual_mw)]  # fmt: skip


def test_the_order_says_the_limit_that_lies_as_far_below_the_highest_baseline_as_was_awarded() -> None:
    order = an_ordered_limit().order("acme").order
    assert (order.quantity_kind, order.power_w, order.import_limit_w) == (QuantityKind.IMPORT_LIMIT, 12 * MW, 28 * MW)


def test_it_is_paid_for_what_lies_between_baseline_and_limit_and_lacks_what_was_drawn_above() -> None:
    market = an_ordered_limit()
    quarters = settled_wh(market, 28, 32, 20)
    assert quarters == [(3 * MW, 3 * MW, 0), (3 * MW, 2 * MW, MW), (3 * MW, 3 * MW, 0)]
    terms = terms_of(market.ledger.book, market.order("acme"))
    assert terms is not None
    result = settled(terms, said(28, 32, 20), LIMIT, "EUR")
    assert result.total == 8 * Decimal(90) - 44
    assert totals(terms, measured(terms, said(28, 32, 20))).amount == result.total


def test_who_accepts_less_or_can_keep_less_has_a_higher_limit() -> None:
    market = an_ordered_limit(accepted_w=8 * MW)
    shown = announced_order(market.ledger.book, market.order("acme"))
    assert shown is not None
    assert (shown.power_w, shown.import_limit_w) == (8 * MW, 32 * MW)
    assert settled_wh(market, 32, 32, 32)[0] == (2 * MW, 2 * MW, 0)

    market.run_until(utc("18:15"))
    assert market.answer("acme", "UNAVAILABLE", available_w=4 * MW).accepted
    assert market.order("acme").order.import_limit_w == 36 * MW
    assert settled_wh(market, 32, 36, 36) == [(2 * MW, 2 * MW, 0), (MW, MW, 0), (MW, MW, 0)]


def test_a_limit_and_an_amount_share_one_deviation_in_the_order_of_acceptance() -> None:
    market = an_ordered_limit()
    request = a_dispatch_request(
        request_id="r2", power_w=6 * MW, min_quantity_w=0, gate_closure_at=utc("17:05"), settlement=pinned(STANDARD)
    )
    assert market.add(request, "operator:tso-north").accepted
    offer = a_flex_offer(
        offer_id="o2", request_id="r2", participant="acme", site="acme-1", options=[an_option(power_w=6 * MW)]
    )
    assert market.add(offer, "participant:acme").accepted
    market.run_until(utc("17:05"))
    second: DispatchOrder = market.ledger.orders[market.ledger.requests["r2"].orders[0]].order
    assert market.reply(second, "ACCEPTED").accepted
    terms = terms_of(market.ledger.book, market.ledger.orders[second.order_id])
    assert terms is not None

    lines = settled(terms, said(24, 28, 20), STANDARD, "EUR").lines

    assert [line.delivered_wh for line in lines] == [MW, 0, 3 * MW // 2]
    shown = measured(terms, said(24, 28, 20))
    assert [each.delivered_wh for each in shown] == [MW, 0, 3 * MW // 2]


@pytest.mark.parametrize("direction", ["LOAD_INCREASE"])
def test_a_limit_on_more_load_would_never_be_settled_and_is_refused(direction: str) -> None:
    market = Market()
    refused = market.ask(settlement=PINNED, direction=direction)
    assert refused.code == "RULE"
    expected = "expected LOAD_DECREASE, for its product's rule has a limit kept, got LOAD_INCREASE"
    assert [(fault.pointer, fault.message) for fault in refused.faults] == [("/direction", expected)]
    assert REQUEST_ID not in market.ledger.requests
