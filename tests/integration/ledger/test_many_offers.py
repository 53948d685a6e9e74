"""However many offers there are: each clearing can be written, and each loser is told the rule that stopped it."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from gridsignal_schemas.messages import Clearing, Record
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.values import MW
from gridsignal_services.bus.codec import Codec
from tests.unit.ledger.market import OPERATORS_NAME, Market

CODEC = Codec.from_lock()


def long_name(kind: str, number: int, length: int = 64) -> str:
    return f"{kind}-{number}-".ljust(length, "x")


def crowded(participants: int, each: int, *, power_w: int = MW, **request: object) -> Market:
    """A market in which so many participants make so many offers each, under names as long as names can be."""
    market = Market()
    names = [long_name("p", number, 62) for number in range(participants)]
    for who in names:
        market.site(who)
    assert market.ask(**request).accepted
    for index in range(participants * each):
        who, price = names[index % participants], Decimal(20) + Decimal(index) / 1000
        offer_id = long_name("o", index)
        offered = market.offer(who, power_w, str(price), offer_id=offer_id, site=f"{who}-1")
        assert offered.accepted
    return market


def cleared(market: Market) -> list[Clearing]:
    """What the owner decides until it rests, each record written as it would be on the log."""
    records: list[Record] = market.run_until(market.request.gate_closure_at)
    for record in records:
        CODEC.encode(record)
    return [record for record in records if isinstance(record, Clearing)]


def test_ten_thousand_and_one_offers_are_cleared_in_one_record() -> None:
    market = crowded(1251, 8)
    (clearing,) = cleared(market)
    assert len(CODEC.encode(clearing)) < 1_000_000
    states = Counter(offer.state for offer in market.ledger.offers.values())
    assert states == {OfferState.TENTATIVE: 12, OfferState.STANDBY: 1251 * 8 - 12}
    codes = Counter(offer.codes for offer in market.ledger.offers.values() if offer.state is OfferState.STANDBY)
    assert codes == {("OUTBID",): 1251 * 8 - 12}


def test_awards_that_fill_a_record_go_on_in_the_next() -> None:
    market = crowded(300, 8, power_w=2, min_quantity_w=0)
    clearings = cleared(market)
    assert [len(clearing.awards) for clearing in clearings] == [1000, 1000, 400]
    assert all(len(CODEC.encode(clearing)) < 1_000_000 for clearing in clearings)
    assert len(market.ledger.orders) == 2400
    assert market.state is RequestState.PARTIALLY_AWARDED
    market.replayed()


@pytest.mark.parametrize("more", [0, 1, 40])
def test_beyond_the_list_the_reason_is_the_same_as_on_it(more: int) -> None:
    market = crowded(130, 8, power_w=MW)
    for index in range(more):  # taken whole or not at all, and more than was lacking
        who = long_name("p", index, 62)
        late = {"divisible": False, "offer_id": f"whole-{index}", "site": f"{who}-1"}
        assert market.offer(who, 13 * MW, "119", **late).accepted
    (clearing,) = cleared(market)
    assert len(clearing.rejected) == LIMITS.losers_of_clearing
    codes = Counter(offer.codes for offer in market.ledger.offers.values() if offer.state is OfferState.STANDBY)
    assert codes == Counter({("OUTBID",): 130 * 8 - 12, ("INDIVISIBLE",): more}) + Counter()
    market.replayed()


def test_an_offer_that_came_while_it_was_decided_is_told_so() -> None:
    market = crowded(130, 8)
    market.run_for(minutes=30)
    clearing = market.by_hand()
    who = long_name("p", 0, 62)
    assert market.offer(who, MW, "119", offer_id="late", site=f"{who}-1").accepted
    assert market.add(clearing, OPERATORS_NAME).accepted
    assert market.ledger.offers[who, "late"].codes == ("NOT_CONSIDERED",)
