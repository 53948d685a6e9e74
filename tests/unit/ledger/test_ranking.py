"""The order of the book is the order of the clearing: who is shown first is called first."""

from __future__ import annotations

from decimal import Decimal

from gridsignal_schemas.values import MW
from gridsignal_services.ledger.ranking import call_order
from tests.builders import REQUEST_ID
from tests.unit.ledger.market import OPERATORS_NAME, Market


def shown(market: Market) -> list[str]:
    return [participant for participant, _ in call_order(market.ledger.book, REQUEST_ID)]


def test_a_fee_is_spread_over_what_the_option_can_serve_alone() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "80", activation_fee=Decimal(100), max_duration_s=900)  # 113.33 over 3 MWh
    market.offer("volt", 12 * MW, "95")
    assert shown(market) == ["volt", "acme"]
    market.close()
    assert market.ordered() == {"volt": 12 * MW}
    assert shown(market) == ["volt", "acme"]


def test_a_fee_is_spread_over_what_would_be_left_for_it() -> None:
    market = Market("acme", "volt", "hyper")
    market.offer("acme", 8 * MW, "80")
    market.offer("volt", 12 * MW, "90", activation_fee=Decimal(100))  # 101.11 for all of it, 123.33 for the last 4 MW
    market.offer("hyper", 4 * MW, "105")
    assert shown(market) == ["acme", "hyper", "volt"]
    market.close()
    assert market.ordered() == {"acme": 8 * MW, "hyper": 4 * MW}
    assert shown(market) == ["acme", "hyper", "volt"]


def test_whoever_was_called_stays_first_and_the_next_follow_in_their_order() -> None:
    market = Market("acme", "volt", "hyper")
    market.offer("acme", 12 * MW, "80")
    market.offer("volt", 12 * MW, "110")
    market.offer("hyper", 12 * MW, "90")
    market.close()
    market.answer("acme", "REFUSED")
    market.act()
    assert shown(market) == ["acme", "hyper", "volt"]
    assert market.ordered() == {"hyper": 12 * MW}


def test_a_pick_by_hand_is_called_before_what_was_cheaper() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 6 * MW, "90")
    market.offer("volt", 6 * MW, "100")
    assert market.add(market.by_hand(("volt", 6 * MW)), OPERATORS_NAME).accepted
    assert shown(market) == ["volt", "acme"]


def test_what_can_not_be_called_stands_last() -> None:
    market = Market("acme", "volt", "hyper")
    market.offer("acme", 6 * MW, "70")
    market.offer("volt", 6 * MW, "60")
    market.offer("hyper", 6 * MW, "90")
    market.withdraw("acme")
    market.withdraw("volt")
    assert shown(market) == ["hyper", "volt", "acme"]
    market.cancel()
    assert shown(market) == ["volt", "acme", "hyper"]
