"""The cache in memory is bounded: what it forgets is the least recent."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from typing import Any, TypeVar

from gridsignal_services.cache import Limit
from gridsignal_services.cache.memory import MemoryCache

T = TypeVar("T")


def _now(call: Coroutine[Any, Any, T]) -> T:
    """The value of a coroutine that never waits, without a loop."""
    try:
        call.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise AssertionError(f"{call} waits: {inspect.getcoroutinestate(call)}")


def test_the_session_heard_of_longest_ago_goes_first() -> None:
    cache = MemoryCache(now_s=lambda: 0.0, max_names=3)
    for name in "abcd":
        _now(cache.arrive(name, name, 10))
    assert [_now(cache.present(name)) for name in "abcd"] == [None, "b", "c", "d"]


def test_a_session_that_says_it_is_still_there_is_the_newest() -> None:
    cache = MemoryCache(now_s=lambda: 0.0, max_names=2)
    for name in "ab":
        _now(cache.arrive(name, name, 10))
    assert _now(cache.stay("a", "a", 10))
    _now(cache.arrive("c", "c", 10))
    assert [_now(cache.present(name)) for name in "abc"] == ["a", None, "c"]


def test_a_forgotten_bucket_is_full_again() -> None:
    cache = MemoryCache(now_s=lambda: 0.0, max_names=2)
    one = Limit(rate_per_s=1, burst=1)
    assert [cache.take_now(name, one) for name in "abc"] == [0.0, 0.0, 0.0]
    assert cache.take_now("c", one) == 1.0
    assert cache.take_now("a", one) == 0.0
