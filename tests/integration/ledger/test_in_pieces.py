"""However much one record moves, others have their turns in between, and what it comes to is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import DispatchRequest, OfferDecision, OrderState, Record
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.forgetting import A_RECORD
from gridsignal_services.ledger.pieces import A_PIECE, Steps, weighed
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOrder
from gridsignal_services.owning.due import AT_ONCE, due_records, owed_records
from tests.builders import REQUEST_ID, a_dispatch_order, a_dispatch_request, a_request_cancellation, an_option, utc
from tests.shown_book import shown_book
from tests.unit.ledger.cost import lines_of_each
from tests.unit.ledger.market import OPERATORS_NAME, OWNER, Market
from tests.unit.ledger.zone import entry_of

SITES, EACH = 60, 3
OFFERS = SITES * EACH


def crowded(power_w: int, **request: Any) -> Market:
    """A market in which 60 sites make 3 offers each."""
    market = Market()
    for number in range(SITES):
        market.site(f"p{number}")
    assert market.ask(min_quantity_w=0, step_w=None, **request).accepted
    for index in range(OFFERS):
        who, price = f"p{index % SITES}", Decimal(20) + Decimal(index) / 100
        assert market.offer(who, power_w, str(price), offer_id=f"o-{index}").accepted
    return market


Stood = dict[Any, tuple[Any, ...]]


def stands(ledger: Ledger) -> Stood:
    """What may be moved, and where each of it stands."""
    book = ledger.book
    offers: Stood = {key: (each.state, each.codes, each.request_revision) for key, each in book.offers.items()}
    orders: Stood = {name: (each.state, each.order.revision) for name, each in book.orders.items()}
    return offers | orders


def moved(before: Stood, after: Stood) -> int:
    return len(dict(before.items() ^ after.items()))


def in_pieces(market: Market, record: Record, principal: str) -> Iterator[int]:
    """Reduces a record as a replica does, somebody reading the book in between; how much moved in each piece."""
    entry, before = entry_of(market, record, principal), stands(market.ledger)
    steps = market.ledger.steps(entry)
    while True:
        try:
            next(steps)
        except StopIteration as over:
            yield moved(before, stands(market.ledger))
            outcome: Outcome = over.value
            assert outcome.accepted
            market.log.append((entry, outcome))
            return
        yield moved(before, before := stands(market.ledger))
        assert market.ledger.position == entry.offset
        if REQUEST_ID in market.ledger.requests:
            shown_book(market.ledger.book, REQUEST_ID)
        list(market.ledger.current(OWNER))


def one_award() -> tuple[Market, Record, str]:
    market = crowded(12 * MW)
    market.run_for(minutes=30)
    return market, market.by_hand(("p0", 12 * MW)), OPERATORS_NAME


def many_awards() -> tuple[Market, Record, str]:
    market = crowded(2)
    market.run_for(minutes=30)
    return market, market.by_hand(), OPERATORS_NAME


def an_amendment_that_changes_nothing() -> tuple[Market, Record, str]:
    market = crowded(MW)
    return market, DispatchRequest(**dict(market.request) | {"revision": 2, "text": "again"}), OPERATORS_NAME


def an_amendment_that_most_break() -> tuple[Market, Record, str]:
    market = crowded(MW)
    terms = {"revision": 2, "price_cap_per_mwh": Decimal(21)}
    return market, DispatchRequest(**dict(market.request) | terms), OPERATORS_NAME


def a_cancellation_of_many_orders() -> tuple[Market, Record, str]:
    market = crowded(2)
    market.close()
    assert len(market.ledger.orders) == OFFERS
    return market, a_request_cancellation(), OPERATORS_NAME


def a_cancellation_while_all_are_live() -> tuple[Market, Record, str]:
    return crowded(MW), a_request_cancellation(), OPERATORS_NAME


def at_the_gate() -> Market:
    market = crowded(MW)
    market.act()
    market.now = market.request.gate_closure_at
    (fired,) = due_records(market.ledger, market.now)
    assert market.add(fired).accepted
    return market


def nothing_awarded() -> tuple[Market, Record, str]:
    market = at_the_gate()
    return market, market.by_hand().model_copy(update={"awards": [], "standby": []}), OPERATORS_NAME


def undecided_in_time() -> tuple[Market, Record, str]:
    market = at_the_gate()
    market.now = market.request.decision_deadline
    (fired,) = due_records(market.ledger, market.now)
    return market, fired, "service:test"


LONG: list[Callable[[], tuple[Market, Record, str]]] = [
    one_award,
    many_awards,
    an_amendment_that_changes_nothing,
    an_amendment_that_most_break,
    a_cancellation_of_many_orders,
    a_cancellation_while_all_are_live,
    nothing_awarded,
    undecided_in_time,
]


@pytest.mark.parametrize("case", LONG)
def test_a_record_that_concerns_many_moves_few_at_a_time(case: Callable[[], tuple[Market, Record, str]]) -> None:
    market, record, principal = case()
    # a piece moves some offers, and an award or an order that is cancelled its offer and itself
    assert max(in_pieces(market, record, principal)) <= 2 * A_PIECE
    market.act()
    market.replayed()


def test_a_request_that_leaves_the_book_is_handed_over_before_anybody_misses_it() -> None:
    market = crowded(MW)
    market.cancel()
    market.act()
    market.now += market.ledger.book.kept + timedelta(minutes=1)
    steps = market.ledger.steps(entry_of(market, a_dispatch_request(request_id="another"), OPERATORS_NAME))
    looks = 0
    for _ in steps:
        looks += 1
        gone = [name for book in market.ledger.forgotten for name in book.requests]
        assert (REQUEST_ID in market.ledger.requests) == (gone != [REQUEST_ID])
    assert looks >= OFFERS  # each may have fifty revisions


def looked_at_again(options: int) -> list[int]:
    """What the steps of an amendment cost that sixty offers of so many options break."""
    market = Market("acme")
    for number in range(60):
        asked = [an_option(option=f"o-{option}", min_power_w=0) for option in range(options)]
        assert market.offer("acme", offer_id=f"o-{number}", options=asked).accepted
    terms = {"revision": 2, "price_cap_per_mwh": Decimal(21)}
    amended = DispatchRequest(**dict(market.request) | terms)
    return lines_of_each(market.ledger.steps(entry_of(market, amended, OPERATORS_NAME)))


def test_a_piece_holds_fewer_offers_where_each_has_more_options() -> None:
    assert max(looked_at_again(8)) < 1.2 * max(looked_at_again(1))


@given(st.lists(st.integers(0, 9)), st.integers(1, 20))
def test_rows_are_weighed_into_pieces_in_their_order(weights: list[int], most: int) -> None:
    made = list(weighed(weights, weights, most))
    assert [row for piece in made for row in piece] == weights
    assert all(len(piece) == 1 or sum(piece) <= most for piece in made)
    assert all(sum(piece) + following[0] > most for piece, following in pairwise(made))


def leaving(offers: int, beside: int) -> Steps[Outcome]:
    """A site's request with so many orders leaves the book; so many that it had before stay."""
    market = Market("acme", power_w=offers, step_w=None, min_quantity_w=0)
    for number in range(offers):
        assert market.offer("acme", 1, offer_id=f"o-{number}").accepted
    market.close()
    book, since = market.ledger.book, utc("17:00")
    for tracked in list(book.orders.values()):
        assert market.reply(tracked.order, "ACCEPTED").accepted
    assert market.ask(request_id="beside", gate_closure_at=utc("17:30"), decision_deadline=utc("17:40")).accepted
    for number in range(beside):
        since -= timedelta(minutes=1)
        name, until = f"b-{number}", since + timedelta(minutes=1)
        fields = {"order_id": name, "request_id": "beside", "starts_at": since, "ends_at": until}
        book.add_order(TrackedOrder(a_dispatch_order(participant="acme", site="acme-1", **fields), None, "before"))
    market.run_until(utc("19:00"))
    assert [tracked.state for tracked in book.orders.values()].count(OrderState.COMPLETED) == offers
    market.now += book.kept
    return market.ledger.steps(entry_of(market, a_dispatch_request(request_id="another"), OPERATORS_NAME))


def test_a_request_leaves_at_a_cost_that_grows_with_what_it_holds_and_in_short_pieces() -> None:
    small, large = (lines_of_each(leaving(offers, 10)) for offers in (16, 64))
    assert max(large) < max(small) + 20 * (64 - 16)
    assert sum(large) < 5 * sum(small)


def test_a_request_leaves_without_a_look_at_every_pair_of_its_site_s_orders() -> None:
    few, many = (sum(lines_of_each(leaving(40, beside))) for beside in (20, 220))
    assert many - few < 10 * 200


def test_one_record_lets_go_of_few_requests_and_the_next_ones_of_the_rest() -> None:
    market = Market(kept=timedelta(minutes=10))
    names = [f"r{number}" for number in range(300)]
    for name in names:
        assert market.ask(request_id=name).accepted
        market.cancel(name)
    market.act()
    market.run_for(minutes=11)
    left = [sum(name in market.ledger.requests for name in names)]
    while left[-1]:
        market.cancel("none")  # whatever comes next
        left.append(sum(name in market.ledger.requests for name in names))
    assert [before - after for before, after in pairwise(left)] == [
        A_RECORD // 16,
        A_RECORD // 16,
        300 % (A_RECORD // 16),
    ]
    market.replayed()


def crowd_over(offers: int, revisions: int) -> Market:
    """A request with so many offers of so many revisions, and another one with a few, that may leave the book."""
    market = Market("acme", kept=timedelta(minutes=10))
    assert market.ask(request_id="another").accepted
    assert market.offer("acme", MW, offer_id="o-another", request_id="another").accepted
    for number in range(offers):
        for revision in range(1, revisions + 1):
            assert market.offer("acme", MW, offer_id=f"o-{number}", revision=revision).accepted
    market.cancel()
    market.cancel("another")
    market.act()
    market.now += timedelta(minutes=11)
    return market


def test_a_request_of_many_revisions_leaves_over_several_records_and_a_repeat_is_known_all_the_time() -> None:
    offers, revisions = 60, 50
    market = crowd_over(offers, revisions)
    first = market.ledger.book.offers["acme", "o-3"].offer
    kept = [0]
    while market.ledger.requests:
        assert market.add(first, "participant:acme").duplicate
        kept.append(len(market.ledger.book.past.offers))
    assert max(after - before for before, after in pairwise(kept)) <= A_RECORD + revisions
    assert kept[-1] == offers * revisions + 1
    market.replayed()


def test_a_request_of_more_offers_than_a_record_lets_go_of_leaves_and_so_do_those_behind_it() -> None:
    names = [f"p{number}" for number in range(A_RECORD // 64 + 1)]
    market = Market(*names, kept=timedelta(minutes=10))
    assert market.ask(request_id="behind").accepted
    for name in names:
        for number in range(64):
            assert market.offer(name, MW, offer_id=f"{name}-{number}").accepted
    assert len(market.ledger.offers) > A_RECORD
    market.cancel()
    market.cancel("behind")
    market.act()
    market.now += timedelta(minutes=11)
    left = [len(market.ledger.requests)]
    while left[-1]:
        market.cancel("none")
        left.append(len(market.ledger.requests))
        assert len(left) < 6, left
    assert len(market.ledger.book.past.offers) == 64 * len(names)


def test_an_offer_that_is_amended_in_vain_while_its_request_leaves_is_remembered_whole() -> None:
    market = crowd_over(60, 50)
    market.cancel("none")
    assert market.ledger.requests, "it leaves over several records"
    late = market.ledger.book.offers["acme", "o-0"].offer.model_copy(update={"revision": 51})
    market.add(late, "participant:acme")
    market.act()
    while market.ledger.requests:
        market.now += timedelta(minutes=11)
        market.cancel("none")
        market.act()
    known = market.ledger.book.past.offers
    assert all(known.find(("acme", f"o-{at}", revision)) for at in range(60) for revision in range(1, 51))
    market.replayed()


def test_the_owner_puts_in_full_only_what_it_writes_next() -> None:
    market = crowded(MW)
    market.run_for(minutes=30)
    assert market.add(market.by_hand(("p0", MW)), OPERATORS_NAME).accepted
    owed = list(market.ledger.next_owed())
    assert len(owed) > AT_ONCE
    assert owed_records(market.ledger) == owed[:AT_ONCE]


def test_what_is_owed_is_the_same_each_time_it_is_put_in_full() -> None:
    market = crowded(MW)
    market.run_for(minutes=30)
    assert market.add(market.by_hand(("p0", MW)), OPERATORS_NAME).accepted
    first, again = list(market.ledger.next_owed()), list(market.ledger.next_owed())
    assert first == again
    assert all(isinstance(record, OfferDecision) for record in first[1:])
