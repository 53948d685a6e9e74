"""How long a connection lasts: whoever says its hello and gives signs of life stays, and nobody else."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_protocol.server import closing
from gridsignal_protocol.server.events import Ping
from gridsignal_protocol.server.life import Life
from gridsignal_protocol.server.limits import Limits, Moment
from tests.builders import utc
from tests.effort import examples

LIMITS = Limits(hello_timeout_s=5.0, ping_s=8, dead_after_s=16)
START = utc("12:00")


def at(lived_s: float) -> Moment:
    return Moment(START + timedelta(seconds=lived_s), lived_s, lived_s)


@settings(max_examples=examples(200))
@given(st.sets(st.integers(0, 80)), st.booleans())
def test_it_ends_when_nothing_was_heard_for_too_long_and_is_asked_before(heard: set[int], is_open: bool) -> None:
    life, last_s, asked_s = Life(LIMITS, at(0)), 0, 0
    for now_s in range(81):
        due, again_s = life.tick(at(now_s), last_s, None, is_open=is_open)
        if not is_open and now_s >= LIMITS.hello_timeout_s:
            assert due == [closing.NO_HELLO]
            return
        if now_s - last_s >= LIMITS.dead_after_s:
            assert due == [closing.NO_PONG]
            return
        if due:
            assert due == [Ping()]
            asked_s = now_s
        assert now_s - asked_s < LIMITS.ping_s
        assert 0 < again_s <= LIMITS.ping_s
        if now_s in heard:
            last_s = now_s


def test_nobody_is_silent_while_the_program_was_away() -> None:
    life = Life(LIMITS, at(0))
    away = Moment(START + timedelta(hours=1), 3600.0, 1.0)  # it has lived a second of that hour
    assert life.tick(away, 0.0, None, is_open=True) == ([], 7.0)


def test_whoever_looks_as_late_as_it_is_told_misses_nothing() -> None:
    life, now_s, told = Life(LIMITS, at(0)), 0.0, []
    expires_at = START + timedelta(seconds=90)
    while now_s < 90.0:
        due, again_s = life.tick(at(now_s), now_s, expires_at, is_open=True)
        told += [(now_s, type(each).__name__) for each in due]
        now_s += again_s
    assert [name for _, name in told].count("TokenExpiring") == 1
    assert (30.0, "TokenExpiring") in told
    assert life.tick(at(90.0), 90.0, expires_at, is_open=True) == ([closing.TOKEN_EXPIRED], 0.0)
