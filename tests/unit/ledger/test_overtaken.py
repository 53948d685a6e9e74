"""Clearings that do not hold any more when they are logged: who can put the next one off, and what it does without."""

from __future__ import annotations

import pytest

from gridsignal_schemas.messages import Clearing, ClearingTrigger
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.overtaken import NOTHING, Overtaken
from tests.builders import an_offer_withdrawal
from tests.unit.ledger.market import OPERATORS_NAME, Market

OFFERS = 8


def an_aggregator_and_another() -> Market:
    """Of 12 MW, acme offers 8 at the lower price, one offer each, and volt 8."""
    market = Market("acme", "volt", min_quantity_w=0, step_w=None)
    for number in range(OFFERS):
        assert market.offer("acme", MW, "70", offer_id=f"acme-{number}").accepted
    assert market.offer("volt", 8 * MW, "90").accepted
    market.act()
    return market


def awarded(clearing: Clearing) -> list[str]:
    return [award.offer_id for award in clearing.awards]


def overtaken_by(market: Market, before: Overtaken) -> Clearing:
    """The next clearing, whose first award acme takes back before it is logged."""
    clearing = market.decided(ClearingTrigger.BY_HAND, left_out=before.left_out())
    market.add(an_offer_withdrawal(offer_id=awarded(clearing)[0], participant="acme", site="acme-1"))
    refused = market.add(clearing, OPERATORS_NAME)
    assert [broken.code for broken in refused.faults] == ["OFFER_NOT_CALLABLE"]
    before.add(clearing, refused.faults)
    return clearing


def test_who_takes_back_two_offers_is_called_for_the_others_and_who_goes_on_for_none() -> None:
    market, overtaken = an_aggregator_and_another(), Overtaken()
    said = [awarded(overtaken_by(market, overtaken))[:1] for _ in range(2)]
    assert said == [["acme-0"], ["acme-1"]]
    third = market.decided(ClearingTrigger.BY_HAND, left_out=overtaken.left_out())
    assert awarded(third) == [*(f"acme-{number}" for number in range(2, OFFERS)), "volt-offer"]
    for _ in range(2):
        overtaken_by(market, overtaken)
    fifth = market.decided(ClearingTrigger.BY_HAND, left_out=overtaken.left_out())
    assert awarded(fifth) == ["volt-offer"]
    assert market.add(fifth, OPERATORS_NAME).accepted
    market.replayed()


@pytest.mark.parametrize("code", ["OVERCOMMITTED", "REST", "TOO_LATE", "EXCEEDS_SHORTFALL", "NOT_AS_OFFERED"])
def test_what_others_may_have_done_costs_an_offer_and_nobody_all_of_theirs(code: str) -> None:
    """Each clearing after the second leaves out one more, until nothing is in the way of it."""
    market, overtaken = an_aggregator_and_another(), Overtaken()
    offers = {f"acme-{number}" for number in range(OFFERS)} | {"volt-offer"}
    for number in range(2 + OFFERS):
        clearing = market.decided(ClearingTrigger.BY_HAND, left_out=overtaken.left_out())
        left_out = {f"acme-{each}" for each in range(number - 1)} if number >= 2 else set()
        assert set(awarded(clearing)) == offers - left_out
        overtaken.add(clearing, [fault(code, "/awards/0", "expected something else")])
    assert overtaken.left_out().participants == frozenset()


def test_what_is_wrong_with_the_request_leaves_out_nothing() -> None:
    market, overtaken = an_aggregator_and_another(), Overtaken()
    clearing = market.decided(ClearingTrigger.BY_HAND)
    for _ in range(4):
        overtaken.add(clearing, [fault("REQUEST_REVISION", "/request_revision", "expected the current one")])
    assert overtaken.left_out() == NOTHING
