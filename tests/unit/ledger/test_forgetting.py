"""A ledger that lets go of what is over says the same as one that keeps everything."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from gridsignal_schemas.messages import DispatchRequest, FlexOffer, OrderResponse, OrderState
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.announcements import Announcement
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.delivered import terms_of
from gridsignal_services.ledger.entry import Entry, Outcome
from gridsignal_services.ledger.past import Revisions
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.settled import settled
from gridsignal_services.settlement.rules import SettlementRule
from gridsignal_services.settlement.settling import Line
from tests.builders import (
    REQUEST_ID,
    a_meter_reading,
    a_request_cancellation,
    utc,
)
from tests.effort import examples
from tests.metered import delivery
from tests.shown_book import shown_book
from tests.unit.ledger.days import REQUESTS, SITES
from tests.unit.ledger.market import OPERATORS_NAME, Market
from tests.unit.ledger.stages import opened, running
from tests.unit.ledger.test_laws import Day
from tests.unit.ledger.watched import MINUTE, Watched

LATER = {
    "gate_closure_at": utc("21:00"),
    "decision_deadline": utc("21:10"),
    "starts_at": utc("22:00"),
    "ends_at": utc("22:45"),
}
SHORT, FOR_EVER = timedelta(minutes=10), timedelta(days=36_500)


class TwoLedgers(Watched):
    """Beside the market's ledger one that keeps everything, and both say the same of each record."""

    def __init__(self) -> None:
        super().__init__(kept=SHORT)
        self.whole = Ledger(0, FOR_EVER)

    @property
    def remembered(self) -> Ledger:
        return self.whole

    def add(self, record: Any, principal: str = "service:test") -> Outcome:
        outcome = super().add(record, principal)
        entry, _ = self.log[-1]
        late, forgotten = is_late(self.ledger.book, entry), list(self.ledger.forgotten)
        for alone in forgotten:
            shows_the_same(alone, self.whole, replace(entry, record=record))
        said = self.whole.apply(entry)
        if late:
            says_no_more_than(outcome, said, record)
        else:
            assert outcome == said
        assert list(map(decided, self.ledger.next_owed())) == list(map(decided, self.whole.next_owed()))
        return outcome


def is_late(book: Book, entry: Entry) -> bool:
    """Whether a record is about a request that the book has let go of."""
    key = (getattr(entry.record, "participant", ""), getattr(entry.record, "offer_id", ""))
    return getattr(entry.record, "request_id", None) in book.past.audiences or book.past.knows_offer(key)


def says_no_more_than(outcome: Outcome, whole: Outcome, record: Any) -> None:
    """What was logged once gets its first receipt; of an order that is over nothing more is taken."""
    if isinstance(record, OrderResponse):
        assert not outcome.accepted
        return
    assert outcome.accepted == whole.accepted
    if isinstance(record, FlexOffer | DispatchRequest):
        assert (outcome.duplicate, outcome.receipt) == (whole.duplicate, whole.receipt)


def decided(announcement: Announcement) -> Announcement:
    words: dict[str, Any] = {"reason": ""}
    if "codes" in type(announcement).model_fields:
        words |= {"codes": []}
    return announcement.model_copy(update=words)


def shows_the_same(alone: Book, whole: Ledger, entry: Entry) -> None:
    """A request that leaves is read as it would be, had it stayed."""
    before, whole.book.now = whole.book.now, alone.now
    for request_id in alone.requests:
        assert shown_book(alone, request_id) == shown_book(whole.book, request_id)
    for order_id, tracked in alone.orders.items():
        kept = whole.orders[order_id]
        assert (tracked.state, tracked.order, tracked.history) == (kept.state, kept.order, kept.history)
        readings = [
            a_meter_reading(
                site=tracked.order.site,
                participant=tracked.order.participant,
                meter="main",
                starts_at=utc("17:00") + quarter * 15 * MINUTE,
                ends_at=utc("17:15") + quarter * 15 * MINUTE,
                import_w=(20 + 3 * (quarter % 5)) * MW,
                seq=quarter,
            )
            for quarter in range(16)
        ]
        assert delivery(alone, tracked, readings) == delivery(whole.book, kept, readings)
    whole.book.now = before


class ForgetfulDay(Day):
    """Any day, told again to one that remembers; and whoever is late is late."""

    market_class = TwoLedgers

    @rule(who=st.sampled_from(SITES), request_id=st.sampled_from(REQUESTS), how=st.sampled_from("abcd"))
    def speak_of_what_may_be_over(self, who: str, request_id: str, how: str) -> None:
        whole = self.market.remembered
        offer = whole.offers.get((who, f"{who}-{request_id}"))
        asked = whole.requests[request_id].request
        later: dict[str, Any] = {"revision": asked.revision + 1} if how == "a" else {}
        if how in "ab":
            self.market.add(asked.model_copy(update={"power_w": 7 * MW, **later}), OPERATORS_NAME)
        elif offer is not None:
            later = {"revision": offer.offer.revision + 1} if how == "c" else {}
            expires_at = offer.offer.expires_at + MINUTE
            self.market.add(offer.offer.model_copy(update={"expires_at": expires_at, **later}))

    @rule(request_id=st.sampled_from(REQUESTS))
    def ask_again(self, request_id: str) -> None:
        asked = (entry.record for entry, _ in self.market.log if isinstance(entry.record, DispatchRequest))
        self.market.add(next(record for record in asked if record.request_id == request_id), OPERATORS_NAME)

    @rule(who=st.sampled_from(SITES), at=st.integers(0, 3))
    def answer_late(self, who: str, at: int) -> None:
        orders = [order for order in self.market.remembered.orders.values() if order.order.participant == who]
        if orders:
            self.market.reply(orders[at % len(orders)].order, "COMPLETED")

    @rule()
    def a_request_is_called_off(self) -> None:
        self.market.run_until(max(self.market.now, utc("17:30")))
        self.market.add(a_request_cancellation(request_id=REQUESTS[0]), OPERATORS_NAME)
        self.market.run_for(minutes=15)

    def _everyone_knows_where_they_stand(self) -> None:
        """The market's own ledger lets go of it all with the next record; what was said is compared one by one."""
        self.market.add(a_request_cancellation(request_id="none"), OPERATORS_NAME)
        book = self.market.ledger.book
        assert [book.requests, book.offers, book.orders, book.responses] == [{}, {}, {}, {}]
        assert not any(book.orders_of_site.values())


ForgetfulDay.TestCase.settings = settings(
    max_examples=examples(60),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAnyForgetfulDay = ForgetfulDay.TestCase


def test_a_repeat_is_known_by_its_identity_and_its_content() -> None:
    """However many there are, and whatever order they came in."""
    known = Revisions()
    moments = [utc("16:00") + timedelta(microseconds=number) for number in range(3000)]
    for number, moment in enumerate(moments):
        known.add(("acme", f"o-{number}", 1), f"{number:064x}"[::-1], moment)
        known.add(("acme", f"o-{number}", 1), "f" * 64, utc("23:00"))
    assert len(known) == 3000
    for number, moment in enumerate(moments):
        found = known.find(("acme", f"o-{number}", 1))
        assert found is not None
        assert found.received_at == moment
        assert found.is_of(f"{number:064x}"[::-1])
        assert not found.is_of("f" * 64)
    assert known.find(("acme", "o-1", 2)) is None
    assert known.find(("volt", "o-1", 1)) is None


def test_names_that_run_together_are_two_identities() -> None:
    known = Revisions()
    known.add(("acme", "a-1", 11), "0" * 64, utc("16:00"))
    assert known.find(("acme-a", "1", 11)) is None


def test_a_site_rests_after_an_order_that_the_book_has_let_go_of() -> None:
    market = running(kept=SHORT)
    market.run_until(utc("20:00"))
    market.baseline("acme", 40 * MW, starts_at=utc("20:00"))
    assert market.ask(request_id="next", **LATER).accepted
    assert REQUEST_ID not in market.ledger.requests
    period = {"starts_at": utc("22:00"), "ends_at": utc("22:45"), "expires_at": utc("23:00")}
    market.offer("acme", 5 * MW, "60", offer_id="again", request_id="next", rest_s=4 * 3600, **period)
    market.run_until(utc("21:00"))
    (rejection,) = market.ledger.requests["next"].clearings[0].rejected
    assert rejection.code == "REST"


@pytest.mark.parametrize("says", ["RECEIVED", "COMPLETED", "ACCEPTED"])
def test_an_answer_to_an_order_long_over_finds_no_order(says: str) -> None:
    market = running(kept=SHORT)
    order = market.order("acme").order
    market.run_until(utc("20:00"))
    outcome = market.reply(order, says)
    assert (outcome.accepted, outcome.code) == (False, "ORDER_UNKNOWN")


def test_what_the_log_s_clock_has_not_reached_stays() -> None:
    market = running(kept=SHORT)
    market.run_until(utc("18:45"))
    market.run_for(minutes=9)
    market.ask(
        request_id="other",
        gate_closure_at=utc("21:00"),
        decision_deadline=utc("21:10"),
        starts_at=utc("22:00"),
        ends_at=utc("22:45"),
    )
    assert REQUEST_ID in market.ledger.requests
    market.run_for(minutes=2)
    market.cancel("other")
    assert REQUEST_ID not in market.ledger.requests
    assert [list(book.requests) for book in market.ledger.forgotten] == [[REQUEST_ID]]


BY_THE_HOUR = SettlementRule(name="hours", version=1, interval_s=3600)


@pytest.mark.parametrize("first", ["long", "short"])
def test_what_was_delivered_is_shared_with_orders_that_are_gone(first: str) -> None:
    """6 MW of a site that two orders of 5 MW share: 5 for the one it accepted first, 1 for the other."""
    market = Market(kept=SHORT)
    market.site("acme")
    for name, ends_at in (("short", utc("18:45")), ("long", utc("19:30"))):
        assert market.ask(request_id=name, ends_at=ends_at).accepted
        market.offer("acme", 5 * MW, offer_id=name, request_id=name, ends_at=ends_at, max_duration_s=5400)
    market.run_until(utc("17:00"))
    orders = {tracked.order.request_id: tracked for tracked in market.ledger.orders.values()}
    for name in sorted(orders, key=lambda name: name != first):
        assert market.reply(orders[name].order, "ACCEPTED").accepted
    market.act()
    metered = a_meter_reading(
        site="acme-1", participant="acme", starts_at=utc("18:00"), ends_at=utc("18:15"), import_w=34 * MW
    )

    def delivered_w(book: Book, name: str) -> int | None:
        (interval,) = delivery(book, orders[name], [metered])
        return interval.delivered_w

    def lines(book: Book, name: str) -> tuple[Line, ...]:
        terms = terms_of(book, orders[name])
        assert terms is not None
        said = [metered, metered.model_copy(update={"starts_at": utc("18:15"), "ends_at": utc("18:45"), "seq": 2})]
        said += [metered.model_copy(update={"starts_at": utc("18:45"), "ends_at": utc("19:30"), "import_w": 40 * MW})]
        return settled(terms, said, BY_THE_HOUR, "EUR").lines

    market.run_until(utc("18:50"))
    worth = {name: lines(market.ledger.book, name) for name in orders}
    expected = {name: delivered_w(market.ledger.book, name) for name in orders}
    assert expected == {name: 5 * MW if name == first else MW for name in orders}
    market.run_for(minutes=10)
    market.cancel("none")  # whatever comes next
    (gone,) = market.ledger.forgotten
    assert list(gone.requests) == ["short"]
    assert {"short": delivered_w(gone, "short"), "long": delivered_w(market.ledger.book, "long")} == expected
    assert {"short": lines(gone, "short"), "long": lines(market.ledger.book, "long")} == worth
    market.run_for(minutes=60)
    market.cancel("none")
    (gone,) = market.ledger.forgotten
    assert delivered_w(gone, "long") == expected["long"]


def test_what_still_runs_or_is_still_owed_stays_however_long_its_owner_is_away() -> None:
    market = running(kept=SHORT)
    market.cancel()
    market.now += timedelta(hours=5)
    market.cancel("none")  # whatever comes next
    assert market.ledger.forgotten == []
    assert market.order("acme").state is OrderState.ACTIVE
    market.act()
    assert market.order("acme").state is OrderState.COMPLETED
    market.run_for(hours=1)
    market.cancel("none")
    assert [list(book.requests) for book in market.ledger.forgotten] == [[REQUEST_ID]]


def test_an_announcement_that_is_owed_keeps_its_request() -> None:
    market = opened(kept=SHORT)
    market.cancel()
    assert list(market.ledger.next_owed())
    market.now += timedelta(hours=5)
    market.cancel("none")
    assert REQUEST_ID in market.ledger.requests
