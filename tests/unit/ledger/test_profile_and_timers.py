"""Step functions against a naive sum, and timers in their order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import Timer
from gridsignal_schemas.rules.profile import Block, Profile
from gridsignal_services.ledger.timers import Timers
from tests.builders import utc

NOON = utc("12:00")


def minute(number: int) -> Any:
    return NOON + timedelta(minutes=number)


blocks = st.lists(
    st.builds(lambda first, length, power: Block(minute(first), minute(first + length), power),
              st.integers(0, 30), st.integers(0, 30), st.integers(1, 9))
)  # fmt: skip


@given(blocks, st.integers(0, 59), st.integers(1, 30))
def test_a_profile_is_the_sum_of_its_blocks(added: list[Block], first: int, length: int) -> None:
    profile = Profile(added)
    sums = [
        sum(block.power_w for block in added if block.starts_at <= minute(at) < block.ends_at)
        for at in range(first, first + length)
    ]
    over = (minute(first), minute(first + length))
    assert [profile.at(minute(at)) for at in range(first, first + length)] == sums
    assert (profile.lowest(*over), profile.highest(*over)) == (min(sums), max(sums))
    changes = {minute(first + at) for at in range(1, length) if sums[at] != sums[at - 1]}
    assert changes <= set(profile.edges(*over))
    assert all(over[0] < edge < over[1] for edge in profile.edges(*over))


def test_timers_fire_by_moment_then_kind_then_subject() -> None:
    timers = Timers()
    timers.set(Timer.START, "b", 1, minute(1), "DE-LU")
    timers.set(Timer.START, "a", 1, minute(1), "DE-LU")
    timers.set(Timer.END, "c", 1, minute(1), "DE-LU")
    timers.set(Timer.END, "later", 1, minute(2), "DE-LU")
    assert timers.due(minute(0)) == []
    assert [due.subject_id for due in timers.due(minute(1))] == ["c", "a", "b"]
    assert [due.subject_id for due in timers.due(minute(5))] == ["c", "a", "b", "later"]
    for timer, subject in ((Timer.END, "c"), (Timer.START, "a"), (Timer.START, "b")):
        timers.clear(timer, subject)
    assert [due.subject_id for due in timers.due(minute(5))] == ["later"]


def test_a_timer_that_is_moved_away_and_back_fires_once() -> None:
    timers = Timers()
    for at in (1, 2, 1):
        timers.set(Timer.END, "a", 1, minute(at), "DE-LU")
    assert len(timers.due(minute(5))) == 1


KINDS = [Timer.EXPIRY, Timer.GATE_CLOSURE, Timer.DECISION_DEADLINE, Timer.RESPOND_BY, Timer.END]


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9))))
def test_all_that_has_come_fires_once_and_in_its_order(waited: list[tuple[Timer, int]]) -> None:
    timers, fired = Timers(), []
    for number, (timer, at) in enumerate(waited):
        timers.set(timer, f"s{number:03}", 1, minute(at), "DE-LU")
    while due := timers.due(minute(5)):
        fired += due
        for each in due:
            timers.clear(each.timer, each.subject_id)
    expected = sorted((minute(at), timer, f"s{n:03}") for n, (timer, at) in enumerate(waited) if at <= 5)
    assert [each[:3] for each in fired] == expected


@pytest.mark.parametrize("kinds", [*([kind] for kind in KINDS), KINDS], ids=[*KINDS, "all of them"])
def test_nobody_waits_a_look_for_each_moment_that_comes_before_it(kinds: list[Timer]) -> None:
    timers, looks = Timers(), 1
    for number in range(2000):
        at = minute(1) + timedelta(microseconds=number)
        timers.set(kinds[number % len(kinds)], f"theirs-{number}", 1, at, "DE-LU")
    timers.set(Timer.GATE_CLOSURE, "request", 1, minute(2), "DE-LU")
    while (due := timers.due(minute(2)))[-1].subject_id != "request":
        looks += 1
        assert len(due) <= 256
        for each in due:
            timers.clear(each.timer, each.subject_id)
    assert looks < 10


def test_a_moment_is_never_cut() -> None:
    timers = Timers()
    for number in range(1000):
        timers.set(Timer.EXPIRY, f"offer-{number}", 1, minute(1), "DE-LU")
    timers.set(Timer.EXPIRY, "later", 1, minute(2), "DE-LU")
    assert len(timers.due(minute(5))) == 1000


@pytest.mark.parametrize("kind", [Timer.SETTLE, Timer.SETTLE_FINALLY, Timer.DISPUTE_END])
def test_a_thousand_settlements_of_one_moment_stand_before_no_gate(kind: Timer) -> None:
    timers, fired = Timers(), []
    for number in range(1000):
        timers.set(kind, f"order-{number:03}", 1, minute(1), "DE-LU")
    timers.set(Timer.GATE_CLOSURE, "request", 1, minute(2), "DE-LU")
    assert timers.next() == timers.due(minute(1))[0]

    while due := timers.due(minute(2)):
        assert len(due) <= 33
        fired += due
        for each in due:
            timers.clear(each.timer, each.subject_id)
    assert [each.subject_id for each in fired] == ["request", *(f"order-{number:03}" for number in range(1000))]
