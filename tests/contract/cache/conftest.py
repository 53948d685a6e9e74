"""The implementations of the cache that run the same contract suite."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import pytest
from redis.asyncio import Redis

from gridsignal_services.cache import Cache
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.cache.redis import RedisCache
from tests.patience import SOON_S


@dataclass
class Subject:
    """A cache, and how its time passes."""

    cache: Cache
    pass_s: Callable[[float], Awaitable[None]]
    """Lets this many seconds pass by the cache's own clock."""


class _Time:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s

    async def pass_s(self, seconds: float) -> None:
        self.s += seconds


async def _pass_on(server: Redis, seconds: float) -> None:
    """Waits on the server for something that never comes: its own clock counts."""
    await server.blpop(["never"], timeout=seconds)


@pytest.fixture(params=["memory", "redis"])
def server_url(request: pytest.FixtureRequest) -> str | None:
    """The server the cache is on; None for memory. Not async: a server starts outside of any loop."""
    return request.getfixturevalue("redis_url") if request.param == "redis" else None


@pytest.fixture
async def subject(server_url: str | None) -> AsyncIterator[Subject]:
    async with AsyncExitStack() as stack:
        if server_url is None:
            time = _Time()
            cache: Cache = MemoryCache(now_s=time)
            yield Subject(cache, time.pass_s)
        else:
            server = Redis.from_url(server_url)
            stack.push_async_callback(server.aclose)
            cache = RedisCache(server_url, prefix=f"test-{uuid.uuid4().hex}:", within_s=SOON_S)
            stack.push_async_callback(cache.aclose)
            yield Subject(cache, partial(_pass_on, server))


@pytest.fixture
def cache(subject: Subject) -> Cache:
    return subject.cache
