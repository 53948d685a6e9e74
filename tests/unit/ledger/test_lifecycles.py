"""The tables, and the ledger walking along them: cancel in every state, expiry, deadlines, extension and release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import pytest

from gridsignal_schemas.messages import Decision, OrderState
from gridsignal_schemas.rules import lifecycle
from gridsignal_schemas.rules.lifecycle import (
    Event,
    IllegalTransition,
    OfferState,
    RequestShown,
    RequestState,
    after,
    shown,
)
from gridsignal_schemas.values import MW
from tests.builders import a_request_cancellation, utc
from tests.unit.ledger.market import Market, told_decisions, told_orders
from tests.unit.ledger.stages import accepted, closed, opened, running

TABLES = [
    (lifecycle.REQUEST, [RequestState.OPEN], frozenset[StrEnum]()),
    (lifecycle.OFFER, [OfferState.LIVE, OfferState.REJECTED], frozenset[StrEnum]()),
    (lifecycle.ORDER, [OrderState.ISSUED], frozenset({OrderState.UNKNOWN})),
]
Table = Mapping[tuple[Any, Event], Any]


@pytest.mark.parametrize(("table", "first", "never"), TABLES)
def test_every_state_can_be_reached(table: Table, first: list[Any], never: frozenset[StrEnum]) -> None:
    reached, frontier = set(first), list(first)
    while frontier:
        state = frontier.pop()
        following = {to for (start, _), to in table.items() if start is state} - reached
        reached |= following
        frontier += following
    assert reached == set(type(first[0])) - never


def test_what_is_read_of_anothers_request_tells_nothing_of_others() -> None:
    """Whatever became of it, those who have no order on it read the same; and so do those who have one."""
    assert [*RequestShown] == [*RequestState, "OVER"]
    hidden = set(RequestState) - {RequestState.OPEN, RequestState.CANCELLED}
    for own in ([], [(OrderState.ACCEPTED, 5)], [(OrderState.ACTIVE, 5)], [(OrderState.COMPLETED, 9)]):
        for is_past in (False, True):
            (told,) = {shown(state, 9, own, is_past=is_past) for state in hidden}
            assert (told == "OVER") is (is_past and all(state in lifecycle.ORDER_OVER for state, _ in own))
    for state in (RequestState.OPEN, RequestState.CANCELLED):
        assert shown(state, 9, [(OrderState.ACTIVE, 9)], is_past=True) == state.value


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ([OrderState.ISSUED], "PARTIALLY_AWARDED"),
        ([OrderState.ACCEPTED, OrderState.RECEIVED], "AWARDED"),
        ([OrderState.ACCEPTED, OrderState.SUSTAINING], "ACTIVE"),
        ([OrderState.REFUSED, OrderState.VOIDED], "CLEARING"),
    ],
)
def test_ones_own_orders_say_what_is_true_of_a_request(own: list[OrderState], told: str) -> None:
    orders = [(state, 6 * MW) for state in own]
    assert shown(RequestState.PARTIALLY_AWARDED, 12 * MW, orders, is_past=False) == told


@pytest.mark.parametrize(("table", "first", "never"), TABLES)
def test_what_is_over_stays_over_but_for_settlement(table: Table, first: list[Any], never: frozenset[StrEnum]) -> None:
    over = lifecycle.REQUEST_OVER | lifecycle.ORDER_OVER
    left = {(start, to) for (start, _), to in table.items() if start in over}
    settling = {RequestState.COMPLETED, RequestState.SETTLED, RequestState.DISPUTED}
    assert left <= {(start, to) for start in settling for to in settling}


def test_a_transition_that_is_not_in_the_table_names_the_state_and_the_event() -> None:
    with pytest.raises(IllegalTransition, match=r"expected a state that allows 'withdraw', got AWARDED"):
        after(lifecycle.OFFER, OfferState.AWARDED, Event.WITHDRAW)


# --- cancel in every state --------------------------------------------------------------------------------------


def unanswered() -> Market:
    return closed(clearing_mode="BY_HAND")


@pytest.mark.parametrize(
    ("stage", "state", "acme", "order"),
    [
        (opened, RequestState.OPEN, OfferState.RELEASED, None),
        (unanswered, RequestState.CLEARING, OfferState.RELEASED, None),
        (closed, RequestState.AWARDED, OfferState.RELEASED, OrderState.CANCELLED),
        (accepted, RequestState.AWARDED, OfferState.RELEASED, OrderState.CANCELLED),
    ],
)
def test_a_cancellation_releases_offers_and_takes_orders_back(
    stage: Callable[[], Market], state: RequestState, acme: OfferState, order: OrderState | None
) -> None:
    market = stage()
    assert market.state is state
    assert market.cancel().accepted
    heard = market.act()
    assert market.state is RequestState.CANCELLED
    assert (market.offer_state("acme"), market.offer_state("volt")) == (acme, OfferState.RELEASED)
    assert dict(told_decisions(heard)) == {"acme": Decision.RELEASED, "volt": Decision.RELEASED}
    assert told_orders(heard) == ([("acme", order, 12 * MW)] if order else [])
    market.run_until(utc("20:00"))
    assert not market.ordered()
    assert market.ledger.book.timers.next() is None


def test_an_order_that_runs_when_its_request_is_cancelled_ends_now_and_counts() -> None:
    market = running()
    market.cancel()
    market.act()
    assert market.order("acme").order.ends_at == utc("18:20")
    assert market.order("acme").state is OrderState.COMPLETED
    assert market.offer_state("acme") is OfferState.DELIVERED
    assert market.state is RequestState.CANCELLED


def test_a_late_cancellation_prolongs_no_order() -> None:
    market = running()
    market.now = utc("19:30")  # nobody owned the zone when the order ended
    market.cancel()
    market.act()
    assert market.order("acme").order.ends_at == utc("18:45")


@pytest.mark.parametrize("end", ["UNMET", "COMPLETED", "CANCELLED"])
def test_what_is_over_cannot_be_cancelled(end: str) -> None:
    market = {"UNMET": lambda: Market("acme"), "COMPLETED": running, "CANCELLED": opened}[end]()
    if end == "CANCELLED":
        assert market.add(a_request_cancellation(reason="another")).accepted
    market.run_until(utc("20:00"))
    assert market.state is RequestState(end)
    assert market.cancel().code == "ILLEGAL_STATE"


# --- expiry, withdrawal, deadlines ------------------------------------------------------------------------------


def test_an_offer_expires_at_its_time_and_not_before() -> None:
    market = Market("acme")
    market.offer("acme", expires_at=utc("16:30"))
    market.run_until(utc("16:29:59"))
    assert market.offer_state("acme") is OfferState.LIVE
    heard = market.run_until(utc("16:30"))
    assert told_decisions(heard) == [("acme", Decision.EXPIRED)]


def test_an_expired_offer_is_not_called_even_before_its_timer_is_logged() -> None:
    market = Market("acme")
    market.offer("acme", expires_at=utc("16:30"))
    market.act()
    clearing = market.by_hand()
    market.now = utc("16:30")
    assert market.add(clearing).code == "OFFER_NOT_CALLABLE"


def test_a_tentative_offer_does_not_expire() -> None:
    market = Market("acme")
    market.offer("acme", expires_at=utc("17:01"))
    market.close()
    market.run_until(utc("17:04"))
    assert market.answer("acme").accepted


def test_standby_expires_and_ends_not_selected_with_a_completed_request() -> None:
    market = opened()
    market.offer("volt", 12 * MW, "80", revision=2, expires_at=utc("18:30"))
    market.close()
    market.answer("acme")
    market.run_until(utc("18:30"))
    assert market.offer_state("volt") is OfferState.EXPIRED
    market = running()
    market.run_until(utc("19:00"))
    assert market.offer_state("volt") is OfferState.EXPIRED
    late = opened()
    late.offer("volt", 12 * MW, "80", revision=2, expires_at=utc("19:30"))
    late.close()
    late.answer("acme")
    late.run_until(utc("19:00"))
    assert late.offer_state("volt") is OfferState.NOT_SELECTED


def test_a_withdrawal_after_the_acceptance_is_refused_with_the_state() -> None:
    market = accepted()
    outcome = market.withdraw("acme")
    assert (outcome.code, outcome.faults[0].message) == (
        "ILLEGAL_STATE",
        "expected a state that allows 'withdraw', got AWARDED",
    )


def test_a_request_that_nobody_decides_is_unmet_at_its_deadline() -> None:
    market = unanswered()
    market.run_until(utc("17:10"))
    assert market.state is RequestState.UNMET
    assert market.offer_state("acme") is OfferState.RELEASED


def test_after_the_deadline_nothing_is_awarded_even_by_an_owner_who_was_away() -> None:
    market = opened()
    market.now = utc("17:10:01")
    market.act()
    assert market.state is RequestState.UNMET
    assert not market.ledger.orders


# --- obligations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("firmness", ["CONTRACTED", "MANDATORY"])
def test_silence_leaves_an_obligation_standing(firmness: str) -> None:
    market = closed(firmness=firmness)
    market.run_until(utc("17:30"))
    assert market.order("acme").state is OrderState.ISSUED
    market.run_until(utc("18:00"))
    assert market.order("acme").state is OrderState.ACTIVE
    assert market.offer_state("acme") is OfferState.AWARDED
    assert market.withdraw("acme").code == "ILLEGAL_STATE"
    market.run_until(utc("19:00"))
    assert market.offer_state("acme") is OfferState.DELIVERED


def test_a_late_acceptance_of_an_obligation_counts() -> None:
    market = closed(firmness="CONTRACTED")
    market.run_until(utc("17:30"))
    assert market.answer("acme").accepted
