"""A head is due some time after the first news that none covers, sooner after a clearing, and never without news."""

from __future__ import annotations

import pytest

from gridsignal_schemas.messages import TreeHead
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.owning.heads import Heads
from tests.builders import utc
from tests.unit.ledger.stages import closed
from tests.unit.ledger.test_tree_heads import a_signer
from tests.unit.ledger.zone import Zone


def heads_of(every_s: float = 60, after_clearing_s: float = 1) -> Heads:
    return Heads("log", a_signer(), every_s, after_clearing_s, lambda: utc("18:00"))


def cover(heads: Heads, zone: Zone) -> TreeHead:
    head = heads.head_of(zone.ledger)
    assert zone.add(head, "service:dispatch").accepted
    return head


def test_without_news_none_is_due() -> None:
    heads, empty = heads_of(), Ledger(0)
    assert heads.due_s(empty, 100.0) is None
    market = closed()
    cover(heads, market)
    assert heads.due_s(market.ledger, 100.0) is None


def test_news_wait_no_longer_than_the_first_of_them_may() -> None:
    heads, market = heads_of(), closed()
    cover(heads, market)
    market.site("volt-9")
    assert heads.due_s(market.ledger, 100.0) == 160.0
    market.site("volt-10")
    assert heads.due_s(market.ledger, 130.0) == 160.0
    cover(heads, market)
    assert heads.due_s(market.ledger, 161.0) is None
    market.site("volt-11")
    assert heads.due_s(market.ledger, 170.0) == 230.0


@pytest.mark.parametrize("seen_s", [0.0, 100.0])
def test_after_a_clearing_one_is_due_soon(seen_s: float) -> None:
    heads, market = heads_of(), closed()
    assert market.ledger.tree.has_clearing
    assert heads.due_s(market.ledger, seen_s) == seen_s + 1
    assert heads.due_s(market.ledger, seen_s + 0.5) == seen_s + 1
    cover(heads, market)
    assert heads.due_s(market.ledger, seen_s + 2) is None


def test_one_that_did_not_hold_is_tried_again_as_after_first_news() -> None:
    heads, market = heads_of(), closed()
    assert heads.due_s(market.ledger, 100.0) == 101.0
    heads.begin_again(market.ledger)
    assert heads.due_s(market.ledger, 101.0) == 102.0


def test_a_head_covers_all_that_is_reduced() -> None:
    heads, market = heads_of(), closed()
    head = cover(heads, market)
    assert (head.size, head.log, head.signed_at) == (market.ledger.position - 1, "log", utc("18:00"))
