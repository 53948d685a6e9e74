"""What an order would come to now is the same whether it is in the ledger's memory or has left it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gridsignal_schemas.messages import SettlementStatus
from gridsignal_services.audit.previewing import Preview, previews
from gridsignal_services.bus import PRINCIPAL, LogRecord
from tests.unit.ledger.market import Market
from tests.unit.ledger.test_settlements import (
    CORRECTED,
    DAY,
    END,
    LONG,
    a_settlement_of,
    dispute,
    final,
    left,
    settle_as,
)
from tests.unit.ledger.zone import CODEC


def previewed(market: Market, order_id: str | None = None) -> list[Preview]:
    records = [
        LogRecord(
            "dispatch",
            0,
            entry.offset,
            getattr(entry.record, "zone", ""),
            CODEC.encode(entry.record),
            entry.appended_us,
            {PRINCIPAL: entry.principal},
        )
        for entry, _ in market.log
    ]
    return list(previews(0, CODEC, records, [], order_id))


def figures(preview: Preview) -> tuple[object, ...]:
    """Without the root of the tree, which grows."""
    new = preview.settlement
    assert new is not None
    return preview.order_id, preview.newest, new.version, new.status, new.intervals, new.missing, new.total


def test_an_order_that_has_left_memory_is_previewed_as_before_it_left() -> None:
    (before,) = previewed(final(LONG, kept=timedelta(minutes=1)))
    (after,) = previewed(left())
    assert after.settlement is not None
    assert (after.settlement.version, after.settlement.status) == (3, SettlementStatus.CORRECTED)
    assert figures(before) == figures(after)


def test_one_order_is_asked_for_by_its_id() -> None:
    market = left()
    (found,) = previewed(market)
    assert previewed(market, found.order_id) == [found]
    assert previewed(market, "another") == []


@pytest.mark.parametrize("is_disputed", [True, False])
def test_a_correction_that_has_come_since_is_the_version_on_the_log(*, is_disputed: bool) -> None:
    market = left()
    market.now = END + 60 * DAY
    corrected = a_settlement_of(market, "CORRECTED")
    assert settle_as(market, corrected).accepted
    if is_disputed:
        assert dispute(market).accepted
    (found,) = previewed(market)
    assert found.newest == corrected
    market.now = END + CORRECTED + DAY
    market.baseline("acme", 40_000_000)
    assert previewed(market) == [], "nothing corrects it any more"
