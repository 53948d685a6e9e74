"""What the cache's port promises, asked of every implementation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gridsignal_services.cache import Cache, Limit

LONG_S = 60.0
SHORT_S = 0.2
SLOW = Limit(rate_per_s=0.001, burst=5)
"""Whose next token comes when the test is long over, however slow the machine."""


async def test_a_bucket_gives_its_burst_and_then_says_how_long_to_wait(cache: Cache) -> None:
    assert [await cache.take("acme", SLOW) for _ in range(5)] == [0.0] * 5
    wait_s = await cache.take("acme", SLOW)
    assert 0.0 < wait_s <= 1 / SLOW.rate_per_s


async def test_a_bucket_fills_again_at_its_rate(subject: Any) -> None:
    large = Limit(rate_per_s=5, burst=500)
    assert await subject.cache.take("acme", large, 500) == 0.0
    assert await subject.cache.take("acme", large, 500) > 50
    await subject.pass_s(0.25)
    assert await subject.cache.take("acme", large) == 0.0
    assert await subject.cache.take("acme", large, 500) > 50  # nor is it full again


async def test_a_bucket_never_holds_more_than_its_burst(subject: Any) -> None:
    fast = Limit(rate_per_s=100, burst=100)
    await subject.cache.take("acme", fast)
    await subject.pass_s(2)  # as long as twice its burst takes
    assert await subject.cache.take("acme", fast, 100) == 0.0
    assert await subject.cache.take("acme", fast, 100) > 0.0


async def test_a_refusal_takes_nothing(cache: Cache) -> None:
    one = Limit(rate_per_s=0.001, burst=5)
    await cache.take("acme", one, 3)
    assert await cache.take("acme", one, 3) > 0
    assert await cache.take("acme", one, 2) == 0.0


async def test_buckets_are_apart(cache: Cache) -> None:
    one = Limit(rate_per_s=0.001, burst=1)
    assert await cache.take("acme", one) == 0.0
    assert await cache.take("volt", one) == 0.0
    assert await cache.take("acme", one) > 0


async def test_takers_at_the_same_time_get_the_burst_together_and_no_more(cache: Cache) -> None:
    waits = await asyncio.gather(*(cache.take("acme", Limit(rate_per_s=0.001, burst=7)) for _ in range(20)))
    assert waits.count(0.0) == 7


@pytest.mark.parametrize("tokens", [0, -1, 6])
async def test_a_number_of_tokens_no_bucket_can_give_is_refused(cache: Cache, tokens: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 5 tokens"):
        await cache.take("acme", SLOW, tokens)


@pytest.mark.parametrize(("rate_per_s", "burst"), [(0, 1), (-1.0, 1), (1.0, 0), (float("nan"), 1)])
def test_a_limit_that_lets_nothing_through_is_refused(rate_per_s: float, burst: int) -> None:
    with pytest.raises(ValueError, match="expected a positive rate"):
        Limit(rate_per_s=rate_per_s, burst=burst)


async def test_who_arrives_is_present_until_it_leaves(cache: Cache) -> None:
    assert await cache.present("acme/one") is None
    assert await cache.arrive("acme/one", "s1", LONG_S) is None
    assert await cache.present("acme/one") == "s1"
    await cache.leave("acme/one", "s1")
    assert await cache.present("acme/one") is None


async def test_a_newcomer_replaces_and_is_told_whom(cache: Cache) -> None:
    await cache.arrive("acme/one", "s1", LONG_S)
    assert await cache.arrive("acme/one", "s2", LONG_S) == "s1"
    assert await cache.arrive("acme/one", "s2", LONG_S) is None
    assert await cache.present("acme/one") == "s2"


async def test_the_replaced_one_neither_stays_nor_takes_the_newcomer_along(cache: Cache) -> None:
    await cache.arrive("acme/one", "s1", LONG_S)
    await cache.arrive("acme/one", "s2", LONG_S)
    assert not await cache.stay("acme/one", "s1", LONG_S)
    await cache.leave("acme/one", "s1")
    assert await cache.present("acme/one") == "s2"


async def test_who_says_nothing_fades_and_who_stays_does_not(subject: Any) -> None:
    await subject.cache.arrive("silent", "s1", SHORT_S)
    await subject.cache.arrive("alive", "s2", SHORT_S)
    assert await subject.cache.stay("alive", "s2", LONG_S)
    await subject.pass_s(SHORT_S * 1.5)
    assert await subject.cache.present("silent") is None
    assert await subject.cache.present("alive") == "s2"


async def test_after_a_wipe_who_stays_is_present_again(cache: Cache) -> None:
    assert await cache.stay("acme/one", "s1", LONG_S)
    assert await cache.present("acme/one") == "s1"


async def test_presence_and_bucket_of_one_name_are_apart(cache: Cache) -> None:
    await cache.arrive("acme", "s1", LONG_S)
    assert await cache.take("acme", SLOW) == 0.0
    assert await cache.present("acme") == "s1"
