"""A slow connection's backlog: what waits, what goes, in which order."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.gateway.backlog import Backlog, Overflow
from gridsignal_services.gateway.hub import Prepared


def a_backlog() -> Backlog:
    return Backlog(lag_bytes=256, close_bytes=1024)


def text_of(message: bytes) -> Any:
    at = message.find(b"{")
    return json.loads(message[at:])["t"] if at >= 0 else message.decode()


def taken(backlog: Backlog, room: int = 1 << 20) -> list[Any]:
    return [text_of(message) for message in backlog.take(room)]


def test_control_goes_before_waiting_signals() -> None:
    backlog = a_backlog()
    backlog.add_signal("s", Prepared(b"signal"))
    backlog.add_control(b"receipt")
    assert taken(backlog) == ["receipt", "signal"]
    assert backlog.bytes == 0


def test_a_newer_signal_of_a_series_replaces_the_older_one_at_the_end() -> None:
    backlog = a_backlog()
    for message, series in ((b"a1", "a"), (b"b1", "b"), (b"a2", "a"), (b"a3", "a")):
        backlog.add_signal("s", Prepared(message, series))
    assert taken(backlog) == ["conflated", "b1", "a3"]


def test_signals_without_a_series_are_never_conflated() -> None:
    backlog = a_backlog()
    for _ in range(3):
        backlog.add_signal("s", Prepared(b"order"))
    assert taken(backlog) == ["order"] * 3


def test_the_same_series_of_two_subscriptions_are_two() -> None:
    backlog = a_backlog()
    backlog.add_signal("s", Prepared(b"s1", "a"))
    backlog.add_signal("t", Prepared(b"t1", "a"))
    assert taken(backlog) == ["s1", "t1"]


def test_positions_that_follow_each_other_become_one() -> None:
    backlog = a_backlog()
    for message in (b"p1", b"p2"):
        backlog.add_signal("s", Prepared(message, is_position=True))
    backlog.add_signal("s", Prepared(b"signal"))
    backlog.add_signal("s", Prepared(b"p3", is_position=True))
    assert taken(backlog) == ["p2", "signal", "p3"]


def test_nothing_of_a_forgotten_subscription_is_sent() -> None:
    backlog = a_backlog()
    for sub in ("s", "t"):
        backlog.add_signal(sub, Prepared(sub.encode(), "a"))
        backlog.add_signal(sub, Prepared(sub.encode(), "a"))
    backlog.forget("s")
    assert taken(backlog) == ["conflated", "t"]


def test_it_lags_once_an_episode_and_is_over_at_its_budget() -> None:
    backlog = a_backlog()
    backlog.add_signal("s", Prepared(b"x" * 255))
    assert backlog.verdict(0) is Overflow.FINE
    assert backlog.verdict(1) is Overflow.LAGGING
    assert backlog.verdict(500) is Overflow.FINE
    assert [(lag.sub, lag.behind) for lag in backlog.lags()] == [("s", 1)]
    assert backlog.verdict(1024 - 255) is Overflow.OVER
    backlog.take(1000)
    backlog.add_signal("s", Prepared(b"x" * 300))
    assert backlog.verdict(0) is Overflow.LAGGING


def test_room_bounds_what_is_taken_at_once() -> None:
    backlog = a_backlog()
    for number in range(5):
        backlog.add_signal("s", Prepared(str(number).encode() * 10))
    assert [len(backlog.take(20)), len(backlog.take(1)), len(backlog.take(100))] == [2, 1, 2]


messages = st.tuples(st.sampled_from(["s", "t"]), st.none() | st.sampled_from(["a", "b", "c"]))


@given(st.lists(messages | st.integers(1, 200), max_size=60))
def test_order_holds_newest_survive_and_every_skip_is_told(steps: list[tuple[str, str | None] | int]) -> None:
    backlog = Backlog(lag_bytes=1 << 20, close_bytes=1 << 30)
    sent: list[tuple[str, int]] = []
    added: dict[tuple[str, str | None], list[int]] = {}
    told = 0

    def take(room: int) -> int:
        skipped = 0
        for message in backlog.take(room):
            at = message.find(b'{"t"')
            if at >= 0:
                skipped += json.loads(message[at:])["skipped"]
            else:
                sub, _, number = message.decode().partition("|")
                sent.append((sub, int(number)))
        return skipped

    for number, step in enumerate(steps):
        if isinstance(step, int):
            told += take(step)
            continue
        sub, series = step
        backlog.add_signal(sub, Prepared(f"{sub}|{number}".encode(), series))
        added.setdefault((sub, series), []).append(number)
    told += take(1 << 20)
    total = sum(len(numbers) for numbers in added.values())
    assert [number for _, number in sent] == sorted(number for _, number in sent)
    assert total == len(sent) + told
    assert backlog.bytes == 0
    for (sub, series), numbers in added.items():
        arrived = [number for owner, number in sent if owner == sub and number in numbers]
        assert arrived == numbers if series is None else arrived[-1] == numbers[-1]
