"""Whose request a participant's word is about is known for as long as the word may count."""

from __future__ import annotations

from datetime import timedelta

from gridsignal_schemas.messages import BaselineDeclaration, Record, SettlementDispute
from gridsignal_schemas.records import row_of
from gridsignal_services.ledger.about import operator_of
from tests.builders import OPERATOR
from tests.unit.ledger.market import Market
from tests.unit.ledger.test_settlements import DAY, END, a_settlement_of, dispute, left, settle_as


def test_an_operator_s_request_stays_its_own_after_it_has_left_memory() -> None:
    market = left()
    market.now = END + 60 * DAY
    assert settle_as(market, a_settlement_of(market, "CORRECTED")).accepted
    said = words(market)
    assert dispute(market).accepted
    assert not market.ledger.orders
    assert not market.ledger.requests

    disputed = words(market)[-1]
    assert isinstance(disputed, SettlementDispute)
    elsewhere = disputed.model_copy(update={"request_id": "another"})
    about = {each.record_name: operator_of(market.ledger.book, each) for each in [*said, disputed, elsewhere]}
    assert about == dict.fromkeys(("FlexOffer", "OrderResponse", "SettlementDispute"), OPERATOR)


def test_a_request_that_never_was_is_nobody_s() -> None:
    market = Market("acme", kept=timedelta(minutes=1))
    market.offer("acme", request_id="another")
    assert [operator_of(market.ledger.book, each) for each in words(market)] == [None]


def words(market: Market) -> list[Record]:
    """What participants have said of requests."""
    records = [entry.record for entry, _ in market.log]
    return [
        each for each in records if row_of(each).word_of == "participant" and not isinstance(each, BaselineDeclaration)
    ]
