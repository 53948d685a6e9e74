"""The book is put together while it goes on: what is written is how it was at one moment, the same as all at once."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st

from gridsignal_schemas.messages import ClearingTrigger, DispatchRequest
from gridsignal_schemas.values import MW
from gridsignal_services.dispatch.book import head, line
from gridsignal_services.dispatch.book_answer import texts
from gridsignal_services.ledger.clearing import decide
from gridsignal_services.ledger.excerpt import excerpt
from gridsignal_services.ledger.ranking import call_order
from gridsignal_services.owning.due import due_records, next_undecided
from tests.builders import utc
from tests.shown_book import shown_book
from tests.unit.ledger.market import OPERATORS_NAME, Market

STEPS = st.lists(
    st.tuples(st.sampled_from(["offer", "withdraw", "close", "answer", "amend", "ask", "cancel"]), st.integers(0, 9)),
    max_size=25,
)


_SOONER = utc("16:30")


def lived(steps: list[tuple[str, int]]) -> Iterator[Market]:
    """A market after each of these steps, as far as they are possible."""
    market = Market(*(f"p{number}" for number in range(4)))
    offers = 0
    for step, number in steps:
        who = f"p{number % 4}"
        if step == "offer":
            offers += 1
            price, power_w = str(20 + number), (1 + number) * MW
            asked = list(market.ledger.requests)[-1 - number % 2 :][0]
            market.offer(who, power_w, price, offer_id=f"offer-{offers}", option=f"o{number}", request_id=asked)
        elif step == "withdraw":
            market.withdraw(who)
        elif step == "close":
            market.run_until(market.request.gate_closure_at if number < 3 else _SOONER)
        elif step == "answer" and market.ledger.orders:
            order = list(market.ledger.orders.values())[number % len(market.ledger.orders)].order
            market.reply(order, "REFUSED" if number % 3 == 0 else "ACCEPTED")
        elif step == "amend":
            changed = dict(market.request) | {"revision": market.request.revision + 1, "power_w": (9 + number) * MW}
            market.add(DispatchRequest(**changed), OPERATORS_NAME)
        elif step == "ask":
            market.ask(request_id=f"another-{number}", gate_closure_at=_SOONER)
        elif step == "cancel" and number == 0:
            market.cancel()
        yield market


@given(STEPS)
def test_an_excerpt_shows_the_same_book_and_goes_on_no_more(steps: list[tuple[str, int]]) -> None:
    earlier = []
    for market in lived(steps):
        request_id = market.request.request_id
        held, shown = excerpt(market.ledger.book, request_id), shown_book(market.ledger.book, request_id)
        assert shown_book(held, request_id) == shown
        earlier.append((held, request_id, shown))
    for held, request_id, shown in earlier:
        assert shown_book(held, request_id) == shown


@given(STEPS)
def test_an_excerpt_is_cleared_as_the_book_would_be(steps: list[tuple[str, int]]) -> None:
    for market in lived(steps):
        ledger, request_id = market.ledger, market.request.request_id
        now, trigger = ledger.book.now, ClearingTrigger.BY_HAND
        held = excerpt(ledger.book, request_id)
        decided, other = (
            decide(book, request_id, now=now, position=ledger.position, trigger=trigger, actor=OPERATORS_NAME)
            for book in (ledger.book, held)
        )
        assert decided == other


@given(STEPS)
@example([("offer", 1), ("offer", 2), ("close", 0), ("answer", 0)])
def test_the_owner_decides_on_an_excerpt_as_on_the_book(steps: list[tuple[str, int]]) -> None:
    for market in lived(steps):
        ledger, undecided = market.ledger, next_undecided(market.ledger, market.now)
        if undecided is not None:
            held = excerpt(ledger.book, undecided.request_id)
            assert undecided.decided(held) == undecided.decided(ledger.book)


@given(STEPS)
def test_what_a_closed_gate_brings_is_decided_on_an_excerpt_as_on_the_book(steps: list[tuple[str, int]]) -> None:
    (*_, market) = lived([("offer", 1), *steps])
    market.now = max(market.now, market.request.gate_closure_at)
    for record in due_records(market.ledger, market.now):
        market.add(record)
    undecided = next_undecided(market.ledger, market.now)
    if undecided is not None:
        held = excerpt(market.ledger.book, undecided.request_id)
        assert undecided.decided(held) == undecided.decided(market.ledger.book)


@given(STEPS)
def test_a_book_in_pieces_is_the_same_text(steps: list[tuple[str, int]]) -> None:
    for market in lived(steps):
        book, request_id = market.ledger.book, market.request.request_id
        offers = [line(book, key, place) for place, key in enumerate(call_order(book, request_id), 1)]
        rows = {"offers": offers, "clearings": list(book.requests[request_id].clearings)}
        assert "".join(texts(book, request_id)) == head(book, request_id).model_copy(update=rows).model_dump_json()


def test_a_piece_holds_a_few_offers() -> None:
    market = Market("p0", "p1")
    for number in range(60):
        assert market.offer("p0", offer_id=f"offer-{number}").accepted
    pieces = list(texts(market.ledger.book, market.request.request_id))
    assert sum(piece.count('"offer_id"') for piece in pieces) == 60
    assert max(piece.count('"offer_id"') for piece in pieces) <= 8
