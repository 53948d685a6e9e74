"""Scenarios 16 and 17 of the contract: silence, and two owners of one partition at once."""

from __future__ import annotations

from datetime import timedelta

from gridsignal_schemas.messages import ClearingTrigger, OrderState
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.clearing import decide
from tests.builders import REQUEST_ID, utc
from tests.owning import next_records
from tests.unit.ledger.market import Market, told_orders


def test_scenario_16_silence_is_cancelled_before_the_next_in_merit_order_is_ordered() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "80")
    market.close()
    market.answer("acme", "RECEIVED")  # decides nothing
    heard = market.run_until(utc("17:05"))
    assert told_orders(heard) == [("acme", OrderState.VOIDED, 12 * MW), ("volt", OrderState.ISSUED, 12 * MW)]
    assert market.answer("acme").code == "TOO_LATE"
    assert market.answer("acme", revision=1).code == "TOO_LATE"
    assert market.answer("acme", "STARTED", revision=1).code == "REVISION"
    market.answer("volt")
    market.run_until(utc("19:00"))
    assert [o.state for o in market.ledger.orders.values()] == [OrderState.VOIDED, OrderState.COMPLETED]


def test_scenario_16_an_answer_after_respond_by_is_late_even_before_the_timer_is_logged() -> None:
    market = Market("acme")
    market.offer("acme")
    market.close()
    market.now = utc("17:05") + timedelta(microseconds=1)
    assert market.answer("acme").code == "TOO_LATE"
    assert market.order("acme").state is OrderState.ISSUED


def test_scenario_16_the_re_award_is_invalid_until_the_cancellation_is_announced() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "80")
    market.close()
    market.now = utc("17:05")
    for record in next_records(market.ledger, market.now):
        market.add(record)
    hasty = market.decided(ClearingTrigger.SHORTFALL)
    assert market.add(hasty).code == "ANNOUNCEMENT_OWED"
    assert market.order("acme").state is OrderState.VOIDED


def test_scenario_17_of_two_owners_clearings_the_first_valid_one_counts() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "80")
    market.act()
    market.now = utc("17:00")
    for record in next_records(market.ledger, market.now):
        market.add(record)
    mine, theirs = (market.decided(ClearingTrigger.GATE_CLOSURE) for _ in range(2))
    assert mine == theirs
    assert market.add(mine).accepted
    announcements = next_records(market.ledger, market.now)
    assert market.add(theirs).code == "NOT_SHORT"  # the paused process wakes up
    told = [market.add(record).accepted for record in announcements for _ in range(2)]
    assert told == [True, False] * len(announcements)  # each of them once, whoever wrote it
    assert market.ordered() == {"acme": 12 * MW}
    market.replayed()


def test_scenario_17_a_woken_owner_with_an_older_book_changes_nothing() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "80")
    market.close()
    stale = decide(
        market.replayed().book,
        REQUEST_ID,
        now=market.now,
        position=3,
        trigger=ClearingTrigger.SHORTFALL,
        actor="the other owner",
    )
    market.answer("acme", "REFUSED")
    market.act()
    assert not market.add(stale).accepted
    assert market.ordered() == {"volt": 12 * MW}
