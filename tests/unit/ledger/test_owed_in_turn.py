"""What is owed to one waits for nothing that is owed to another: announcements, and clearings."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import islice

import pytest

from gridsignal_schemas.messages import Clearing, Decision, DispatchOrder, OfferDecision, TimerFired
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.announcements import Announcement, Announcements, Decided
from gridsignal_services.owning.due import AT_ONCE, next_step, owed_records
from tests.builders import REQUEST_ID, a_dispatch_order, a_dispatch_request, a_flex_offer
from tests.unit.ledger.market import OPERATORS_NAME, Market

_SEEDS = range(20)


def decided(who: str, offer_id: str, decision: Decision = Decision.REJECTED) -> Decided:
    offer = a_flex_offer(participant=who, site=f"{who}-1", offer_id=offer_id)
    return Decided(offer, decision, (), "", None, None)


def ordered(who: str, offer_id: str) -> DispatchOrder:
    return a_dispatch_order(participant=who, site=f"{who}-1", offer_id=offer_id, order_id=f"order-{offer_id}")


def written(announcements: Announcements, at_once: int = 3) -> list[Announcement]:
    """All that is owed, as an owner writes it."""
    said: list[Announcement] = []
    while batch := list(islice(announcements.next_owed(), at_once)):
        assert all(announcements.announced(each) for each in batch)
        said += batch
    return said


@pytest.mark.parametrize("seed", _SEEDS)
def test_each_is_told_in_turn_and_a_decision_before_the_order_on_its_offer(seed: int) -> None:
    chance, announcements = random.Random(seed), Announcements()
    crowd = {"acme": chance.randrange(20, 60), "volt": chance.randrange(1, 6), "core": chance.randrange(1, 6)}
    names = [(who, f"{who}-{number}") for who, count in crowd.items() for number in range(count)]
    chance.shuffle(names)
    called = {name for name in names if chance.random() < 0.2}
    for name in names:
        announcements.owe(decided(*name, Decision.ACCEPTED_FOR_CLEARING))
    for name in called:
        announcements.owe(ordered(*name))
    said = written(announcements)
    assert len(said) == len(names) + len(called)
    orders = [at for at, each in enumerate(said) if isinstance(each, DispatchOrder)]
    for at in orders:  # its site heard of the offer first
        before = [(each.participant, each.offer_id) for each in said[:at] if isinstance(each, OfferDecision)]
        assert (said[at].participant, said[at].offer_id) in before
    assert max(orders, default=0) < 2 * len(called) + 1  # and of nothing else
    for who in ("volt", "core"):  # what is owed to the modest is not behind what is owed to the crowd
        last = max(at for at, each in enumerate(said) if each.participant == who)
        assert last < 2 * len(called) + 3 * crowd[who] + 3


def test_thousands_of_rejected_offers_hold_up_nobodys_order() -> None:
    market = Market("acme", "volt")
    assert market.offer("volt").accepted
    for number in range(4 * AT_ONCE):
        assert market.offer("acme", offer_id=f"lost-{number}", request_id="nowhere").accepted
    market.run_for(minutes=1)
    for number in range(4 * AT_ONCE):
        assert market.offer("acme", offer_id=f"more-{number}", request_id="nowhere").accepted
    assert market.add(market.by_hand(("volt", MW)), OPERATORS_NAME).accepted
    assert isinstance(owed_records(market.ledger)[0], DispatchOrder)
    market.act()
    assert not list(market.ledger.next_owed())
    market.replayed()


@pytest.mark.parametrize("seed", _SEEDS)
def test_an_order_waits_for_no_crowd_of_timers_of_one_moment(seed: int) -> None:
    chance = random.Random(seed)
    market, crowd = Market("volt"), chance.randrange(AT_ONCE + 1, 2 * AT_ONCE)
    moment = market.now + timedelta(minutes=chance.randrange(1, 50))
    for number in range(crowd):
        asked = a_dispatch_request(request_id=f"theirs-{number}", operator="rival", gate_closure_at=moment)
        assert market.add(asked, "operator:rival").accepted
    assert market.offer("volt").accepted
    market.run_for(seconds=1)
    assert market.add(market.by_hand(("volt", MW)), OPERATORS_NAME).accepted
    step = next_step(market.ledger, moment, has_told=True)
    fired = [isinstance(each, TimerFired) for each in step.records]
    assert sum(fired) >= crowd
    ordered = next(at for at, each in enumerate(step.records) if isinstance(each, DispatchOrder))
    assert not any(fired[:ordered])


def test_operators_requests_are_cleared_in_turn_and_each_operators_by_the_longest_wait() -> None:
    market = Market("acme")
    theirs = [f"theirs-{number}" for number in range(5)]
    gate = market.request.gate_closure_at
    for number, request_id in enumerate(theirs):
        at = gate - timedelta(microseconds=5 - number)
        asked = a_dispatch_request(request_id=request_id, operator="rival", gate_closure_at=at)
        assert market.add(asked, "operator:rival").accepted
    market.now = gate
    waiting = [record.request_id for record in market.act() if isinstance(record, Clearing)]
    assert waiting.index(REQUEST_ID) <= 1
    assert [request_id for request_id in waiting if request_id != REQUEST_ID] == theirs
    market.replayed()


def test_what_is_owed_to_each_is_counted_by_itself() -> None:
    announcements = Announcements()
    for number in range(3):
        announcements.owe(decided("acme", f"acme-{number}"))
    announcements.owe(decided("volt", "volt-0"))
    assert (announcements.decisions_owed("acme"), announcements.decisions_owed("volt")) == (3, 1)
