"""Why an order has no settlement so far, as its parties are told."""

from __future__ import annotations

from typing import Any

import pytest

from gridsignal_services.dispatch.settlements import why_unsettled
from gridsignal_services.settlement.pinned import pinned
from gridsignal_services.settlement.rules import SettlementRule
from tests.builders import utc
from tests.unit.ledger.market import Market

RULE = pinned(SettlementRule(name="half-hour", version=1, provisional_after_s=1800))


def told(market: Market) -> str:
    order = market.order("acme")
    return why_unsettled(market.request, order, market.ledger.book.settlements.get(order.order.order_id))


@pytest.mark.parametrize(
    ("changes", "answer", "when", "said"),
    [
        (
            {},
            "ACCEPTED",
            "17:30",
            "is not over yet: the first version of its settlement is due at 2024-05-12T19:15:00Z.",
        ),
        ({}, "ACCEPTED", "19:00", "is over, and not settled yet: the first version of its settlement is due at "),
        ({}, "REFUSED", "19:00", "is not settled: it never took effect."),
        ({"settlement": None}, "ACCEPTED", "17:30", "is not settled: its request names no rule."),
        ({"run_mode": "DRY_RUN"}, "ACCEPTED", "19:00", "is not settled: it is a dry run."),
    ],
)
def test_it_is_said_when_the_first_version_is_due_or_why_there_will_be_none(
    changes: dict[str, Any], answer: str, when: str, said: str
) -> None:
    market = Market("acme", **{"settlement": RULE} | changes)
    market.offer("acme")
    market.close()
    market.answer("acme", answer, **({"reason_code": "OTHER"} if answer == "REFUSED" else {}))
    market.run_until(utc(when))
    assert told(market).startswith(f"This order {said}")


def test_of_an_order_without_an_end_it_is_said_how_long_after_it() -> None:
    market = Market("acme", settlement=RULE)
    market.offer("acme")
    market.close()
    endless = market.order("acme")
    endless.order = endless.order.model_copy(update={"ends_at": None})
    assert told(market).endswith("is due 1800 seconds after its end.")
