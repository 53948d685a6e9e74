"""Laws of the ledger, whatever happens in whatever order: random days in a zone, checked after every record."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gridsignal_schemas.messages import ClearingTrigger, Decision, OfferDecision, OrderState, RunMode
from gridsignal_schemas.rules.lifecycle import (
    OFFER_CALLABLE,
    ORDER_NEVER_HELD,
    ORDER_OVER,
    ORDER_UNANSWERED,
    REQUEST_OVER,
    OfferState,
)
from gridsignal_schemas.values import MW
from gridsignal_services.bus.codec import Codec
from gridsignal_services.ledger.ranking import call_order
from gridsignal_services.ledger.rests import Activations
from gridsignal_services.ledger.tracked import TrackedOrder
from tests.builders import a_request_cancellation, a_timer_fired, an_offer_withdrawal, utc
from tests.effort import examples
from tests.owning import next_records
from tests.unit.ledger.days import REQUESTS, SITES, an_offered_option, terms, watts
from tests.unit.ledger.market import OPERATORS_NAME
from tests.unit.ledger.watched import MINUTE, Watched

CODEC = Codec.from_lock()
SAID = {
    OfferState.LIVE: Decision.ACCEPTED_FOR_CLEARING,
    OfferState.REJECTED: Decision.REJECTED,
    OfferState.WITHDRAWN: Decision.WITHDRAWN,
    OfferState.EXPIRED: Decision.EXPIRED,
    OfferState.RELEASED: Decision.RELEASED,
    OfferState.STANDBY: Decision.STANDBY,
    OfferState.NOT_SELECTED: Decision.NOT_SELECTED,
    OfferState.FAILED_AWARD: Decision.FAILED_AWARD,
    OfferState.AWARDED: Decision.AWARDED,
    OfferState.DELIVERED: Decision.AWARDED,
    OfferState.DEFAULTED: Decision.AWARDED,
}
ANSWERS = ("ACCEPTED", "REFUSED", "RECEIVED", "STARTED", "SUSTAINING", "COMPLETED")
NEVER_HEARD_OF = {OrderState.CANCELLED, OrderState.VOIDED, OrderState.REFUSED, OrderState.ABORTED}

sites = st.sampled_from(SITES)
requests = st.sampled_from(REQUESTS)
seldom = st.integers(0, 9).map(lambda number: number == 7)


class Day(RuleBasedStateMachine):
    """Operators, sites, owners and clocks do what they like."""

    market_class: type[Watched] = Watched

    @initialize(
        baselines=st.lists(st.integers(14, 40), min_size=3, max_size=3),
        asked=st.lists(terms, min_size=2, max_size=2),
        offered=st.lists(st.none() | an_offered_option(), min_size=6, max_size=6),
        expires=st.lists(st.integers(59, 300), min_size=6, max_size=6),
    )
    def open(self, baselines: list[int], asked: list[Any], offered: list[Any], expires: list[int]) -> None:
        self.market = self.market_class()
        for who, baseline in zip(SITES, baselines, strict=True):
            self.market.site(who, baseline_w=baseline * MW)
        for request_id, fields in zip(REQUESTS, asked, strict=True):
            assert self.market.ask(request_id=request_id, **fields).accepted
        pairs = [(who, request_id) for who in SITES for request_id in REQUESTS]
        for (who, request_id), options, minutes in zip(pairs, offered, expires, strict=True):
            if options is not None:
                self._offer(who, request_id, options, 1, minutes)
        self.market.run_until(utc("16:50"))

    def _offer(self, who: str, request_id: str, options: list[Any], revision: int, expires: int) -> None:
        self.market.offer(
            who,
            offer_id=f"{who}-{request_id}",
            options=options,
            request_id=request_id,
            request_revision=self.market.remembered.requests[request_id].request.revision,
            revision=revision,
            expires_at=utc("16:00") + expires * MINUTE,
        )

    def _order(self, who: str, at: int) -> list[TrackedOrder]:
        """One of the orders to the site, if there are any; mostly one that is not over."""
        orders = [order for order in self.market.remembered.orders.values() if order.order.participant == who]
        live = [order for order in orders if order.state not in ORDER_OVER] or orders
        return [(live if at else orders)[at % len(live)]] if live else []

    # --- operators -----------------------------------------------------------------------------------------------

    @rule(request_id=requests, power=watts)
    def amend(self, request_id: str, power: int) -> None:
        request = self.market.remembered.requests[request_id].request
        changes = {"revision": request.revision + 1, "power_w": power, "step_w": None, "min_quantity_w": 0}
        self.market.add(type(request)(**dict(request) | changes))

    @precondition(lambda self: self.market.now > utc("17:00"))
    @rule(request_id=requests, really=seldom)
    def cancel(self, request_id: str, really: bool) -> None:
        if really:
            self.market.add(a_request_cancellation(request_id=request_id), OPERATORS_NAME)

    @rule(request_id=requests, picks=st.dictionaries(sites, watts, max_size=3))
    def award_by_hand(self, request_id: str, picks: dict[str, int]) -> None:
        if request_id not in self.market.ledger.requests:
            return
        try:
            clearing = self.market.by_hand(*picks.items(), request_id=request_id)
        except ValueError:
            return
        self.market.add(clearing, OPERATORS_NAME)

    @rule(who=sites, at=st.integers(0, 5), minutes=st.integers(-40, 60), stale=seldom)
    def change_an_order(self, who: str, at: int, minutes: int, stale: bool) -> None:
        for tracked in self._order(who, at):
            assert tracked.order.ends_at is not None
            wrong: dict[str, Any] = {"power_w": MW, "revision": tracked.order.revision} if stale else {}
            self.market.change(tracked.order, ends_at=tracked.order.ends_at + minutes * MINUTE, **wrong)

    # --- sites ---------------------------------------------------------------------------------------------------

    @rule(who=sites, request_id=requests, options=an_offered_option(), expires=st.integers(59, 300), skip=seldom)
    def offer(self, who: str, request_id: str, options: list[Any], expires: int, skip: bool) -> None:
        known = self.market.remembered.offers.get((who, f"{who}-{request_id}"))
        revision = (known.offer.revision if known else 0) + 1 + skip
        self._offer(who, request_id, options, revision, expires)

    @rule(who=sites, request_id=requests)
    def withdraw(self, who: str, request_id: str) -> None:
        named = {"offer_id": f"{who}-{request_id}", "request_id": request_id}
        self.market.add(an_offer_withdrawal(participant=who, site=f"{who}-1", **named))

    @rule(who=sites, at=st.integers(0, 5), kind=st.sampled_from(ANSWERS), stale=seldom)
    def answer(self, who: str, at: int, kind: str, stale: bool) -> None:
        for tracked in self._order(who, at):
            self.market.reply(tracked.order, kind, **({"revision": 1} if stale else {}))

    @rule(who=sites, at=st.integers(0, 5), power=st.none() | watts)
    def accept(self, who: str, at: int, power: int | None) -> None:
        for tracked in self._order(who, at):
            self.market.reply(tracked.order, "ACCEPTED", accepted_w=power)

    @rule(but=st.none() | sites)
    def everyone_accepts(self, but: str | None) -> None:
        for tracked in list(self.market.remembered.orders.values()):
            if tracked.state in ORDER_UNANSWERED and tracked.order.participant != but:
                self.market.reply(tracked.order, "ACCEPTED")

    @rule(who=sites, at=st.integers(0, 5), power=st.none() | watts | st.just(0))
    def derate(self, who: str, at: int, power: int | None) -> None:
        for tracked in self._order(who, at):
            self.market.reply(tracked.order, "UNAVAILABLE", available_w=power)

    @rule(who=sites, power=st.integers(14, 40))
    def declare(self, who: str, power: int) -> None:
        self.market.baseline(who, power * MW)

    # --- the log -------------------------------------------------------------------------------------------------

    @rule(at=st.integers(0, 10_000))
    def repeat(self, at: int) -> None:
        entry, _ = self.market.log[at % len(self.market.log)]
        self.market.add(entry.record, entry.principal)

    @rule(request_id=requests, trigger=st.sampled_from([ClearingTrigger.GATE_CLOSURE, ClearingTrigger.SHORTFALL]))
    def clear_out_of_turn(self, request_id: str, trigger: ClearingTrigger) -> None:
        if request_id in self.market.ledger.requests:
            self.market.add(self.market.decided(trigger, request_id))

    @rule(wrong=seldom)
    def fire_a_timer(self, wrong: bool) -> None:
        due = self.market.ledger.book.timers.next()
        if due is not None:
            fields = {"timer": due.timer, "subject_id": due.subject_id, "revision": due.revision + wrong}
            self.market.add(a_timer_fired(due_at=due.due_at, **fields))

    # --- time ----------------------------------------------------------------------------------------------------

    @rule(minutes=st.integers(0, 15))
    def wait(self, minutes: int) -> None:
        self.market.run_for(minutes=minutes)

    @rule(minutes=st.integers(-5, 20))
    def nobody_owns_the_zone_for_a_while(self, minutes: int) -> None:
        self.market.now += minutes * MINUTE  # also backwards: append times are not monotonic

    @rule()
    def the_owner_acts(self) -> None:
        self.market.act()

    @rule()
    def the_owner_stops_half_way(self) -> None:
        for record in next_records(self.market.ledger, self.market.now)[:1]:
            self.market.add(record)

    @rule()
    def two_owners_act(self) -> None:
        mine = next_records(self.market.ledger, self.market.now)
        theirs = next_records(self.market.replayed(), self.market.now)
        written = [CODEC.encode(record) for record in mine]
        assert written == [CODEC.encode(record) for record in theirs]
        for record in mine:
            counts = [self.market.add(record).accepted for _ in range(2)]
            assert not counts[1]

    # --- laws ----------------------------------------------------------------------------------------------------

    @invariant()
    def what_is_over_holds_nothing(self) -> None:
        book = self.market.ledger.book
        for request_id, tracked in book.requests.items():
            if tracked.state in REQUEST_OVER:
                assert not any(book.offers[key].state in OFFER_CALLABLE for key in tracked.offers)
                assert not tracked.wants_clearing
            assert tracked.wants_clearing == (request_id in book.waiting_in_turn())

    @invariant()
    def an_offer_is_called_once_at_most(self) -> None:
        called = [order.offer_key for order in self.market.ledger.orders.values()]
        assert len(called) == len(set(called))

    @invariant()
    def the_book_has_the_order_of_the_clearing(self) -> None:
        book = self.market.ledger.book
        for request_id, tracked in book.requests.items():
            shown = call_order(book, request_id)
            assert sorted(shown) == sorted(tracked.offers)
            called = [(award.participant, award.offer_id) for made in tracked.clearings for award in made.awards]
            if book.callable_offers(request_id, book.now):
                made = self.market.decided(ClearingTrigger.SHORTFALL, request_id, now=book.now)
                called += [(each.participant, each.offer_id) for each in [*made.awards, *made.standby]]
            assert shown[: len(called)] == called

    @invariant()
    def a_site_was_or_will_be_active_for_each_order_that_held(self) -> None:
        found: dict[tuple[str, bool], Activations] = {}
        for tracked in self.market.remembered.orders.values():
            made = found.setdefault((tracked.order.site, tracked.order.run_mode is RunMode.DRY_RUN), Activations())
            if tracked.state not in ORDER_NEVER_HELD:
                made.add(tracked.block())
        assert self.market.ledger.book.active == found

    def teardown(self) -> None:
        if not hasattr(self, "market"):
            return
        self.market.now = max(self.market.now, self.market.ledger.book.now)
        self.market.run_until(utc("2024-05-14T00:00"))
        book = self.market.ledger.book
        assert not list(self.market.ledger.next_owed())
        assert book.timers.next() is None
        assert {tracked.state for tracked in book.requests.values()} <= REQUEST_OVER
        assert {order.state for order in book.orders.values()} <= ORDER_OVER
        self._everyone_knows_where_they_stand()
        self.market.replayed()

    def _everyone_knows_where_they_stand(self) -> None:
        book = self.market.ledger.book
        told = book.announcements.last_announced
        for key, offer in book.offers.items():
            heard = told("offer", *key)
            assert isinstance(heard, OfferDecision)
            assert (heard.decision, heard.revision) == (SAID[offer.state], offer.offer.revision)
        for tracked in book.orders.values():
            last = told("order", tracked.order.participant, tracked.order.order_id)
            assert last == tracked.order or (last is None and tracked.state in NEVER_HEARD_OF)


Day.TestCase.settings = settings(
    max_examples=examples(60), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyDay = Day.TestCase
