"""A completed request stands as the settlements of all its orders do, whichever of them moves, and when."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from gridsignal_schemas.messages import RuleName, SettlementStatus
from gridsignal_schemas.rules.lifecycle import RequestState, SettlementState
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.settlements import settlement_id_of
from gridsignal_services.ledger.tracked import TrackedSettlement
from gridsignal_services.settlement.pinned import pinned
from tests.builders import REQUEST_ID, a_dispute_rejected, a_settlement, a_settlement_dispute
from tests.unit.ledger.market import OPERATORS_NAME, Market
from tests.unit.ledger.test_settlements import END, RULE

_WHO = ("acme", "blue", "volt")
_STEPS = 40


@pytest.mark.parametrize("seed", range(20))
def test_a_request_stands_as_its_settlements_do(seed: int) -> None:
    chance, market = random.Random(seed), _over()
    for _ in range(_STEPS):
        tracked = chance.choice(list(market.ledger.book.settlements.values()))
        match chance.randrange(5):
            case 0 | 1:
                status = tracked.owed or chance.choice(list(SettlementStatus))
                _add(market, tracked, a_settlement, "service:dispatch", status=status)
            case 2:
                reason = chance.choice(["meter", "baseline"])
                principal = f"participant:{market.ledger.orders[tracked.order_id].order.participant}"
                _add(market, tracked, a_settlement_dispute, principal, reason_code=reason)
            case 3:
                _add(
                    market,
                    tracked,
                    a_dispute_rejected,
                    OPERATORS_NAME,
                    reason_code=chance.choice(["meter", "baseline"]),
                )
            case _:
                market.run_until(market.now + timedelta(minutes=chance.choice([5, 60])))
        states = {each.state for each in market.ledger.book.settlements.values()}
        if SettlementState.DISPUTED in states:
            expected = RequestState.DISPUTED
        else:
            expected = RequestState.SETTLED if states == {SettlementState.SETTLED} else RequestState.COMPLETED
        assert market.ledger.requests[REQUEST_ID].state is expected


def _over() -> Market:
    """An order of each, all over."""
    market = Market(*_WHO, settlement=pinned(RULE))
    for who in _WHO:
        assert market.offer(who, 4 * MW).accepted
    market.close()
    for who in _WHO:
        assert market.answer(who).accepted
    market.run_until(END)
    assert len(market.ledger.book.settlements) == len(_WHO)
    return market


def _add(market: Market, tracked: TrackedSettlement, make: Any, principal: str, **changes: Any) -> None:
    order = market.ledger.orders[tracked.order_id].order
    fields = {name: getattr(order, name) for name in ("zone", "request_id", "participant", "site", "order_id")}
    fields |= {"settlement_id": settlement_id_of(order.order_id), "version": tracked.version} | changes
    if make is a_settlement:
        rule = pinned(RULE)
        fields |= {"version": tracked.version + 1, "supersedes": tracked.version or None}
        fields["rule"] = RuleName(name=rule.name, version=rule.version, sha256=rule.sha256)
    elif not tracked.version:
        return
    market.add(make(**fields), principal)
