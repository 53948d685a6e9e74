"""The cache that several processes share, on Redis or Valkey.

Nothing waits for it: each call has a quarter of a second, none is repeated, and while the server does not answer it is
left alone and every process goes on as with an empty cache, counting its rates alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gridsignal_services.cache import Cache, Limit
from gridsignal_services.cache.breaker import Breaker
from gridsignal_services.cache.memory import MemoryCache, must_fit
from gridsignal_services.clock import steady_s

CALL_TIMEOUT_S = 0.25
MAX_CONNECTIONS = 64

# a bucket is {level, at}; time is the server's, so that processes need not agree
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local rate, burst, tokens = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local was = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = math.min(burst, (tonumber(was[1]) or burst) + math.max(0, now - (tonumber(was[2]) or now)) * rate)
local wait = math.max(0, (tokens - level) / rate)
if wait == 0 then level = level - tokens end
redis.call('HSET', KEYS[1], 'level', string.format('%.6f', level), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return string.format('%.6f', wait)
"""
_STAY = """
local there = redis.call('GET', KEYS[1])
if there and there ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_LEAVE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 0"


class RedisCache(Cache):
    """See Cache.

    Bounded: MAX_CONNECTIONS. When full: calls fail at once and count as unanswered. Conflates: nothing.
    """

    def __init__(self, url: str, *, prefix: str = "gridsignal:", within_s: float = CALL_TIMEOUT_S) -> None:
        """`url` as redis-py takes it (redis://, rediss://); `prefix` stands before each key. A call that takes longer
        than `within_s` counts as unanswered."""
        self._redis: Redis = Redis.from_url(
            url,
            decode_responses=True,
            max_connections=MAX_CONNECTIONS,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=within_s,
            socket_timeout=within_s,
        )
        self._within_s = within_s
        self._prefix = prefix
        self._breaker = Breaker(steady_s)
        self._alone = MemoryCache()
        self._take = self._redis.register_script(_TAKE)
        self._stay = self._redis.register_script(_STAY)
        self._leave = self._redis.register_script(_LEAVE)

    async def take(self, bucket: str, limit: Limit, tokens: int = 1) -> float:
        """See Cache.take."""
        must_fit(limit, tokens)
        arguments: list[Any] = [limit.rate_per_s, limit.burst, tokens]
        wait_s = await self._call(lambda: self._take(keys=[self._key("rate", bucket)], args=arguments), None)
        return self._alone.take_now(bucket, limit, tokens) if wait_s is None else float(wait_s)

    async def arrive(self, name: str, session: str, ttl_s: float) -> str | None:
        """See Cache.arrive."""
        key = self._key("present", name)
        before = await self._call(lambda: self._redis.set(key, session, px=_ms(ttl_s), get=True), None)
        return str(before) if before not in (None, session) else None

    async def stay(self, name: str, session: str, ttl_s: float) -> bool:
        """See Cache.stay. True while the server does not answer: nobody is known to have replaced it."""
        arguments: list[Any] = [session, _ms(ttl_s)]
        return bool(await self._call(lambda: self._stay(keys=[self._key("present", name)], args=arguments), 1))

    async def present(self, name: str) -> str | None:
        """See Cache.present."""
        session: str | None = await self._call(lambda: self._redis.get(self._key("present", name)), None)
        return session

    async def leave(self, name: str, session: str) -> None:
        """See Cache.leave."""
        await self._call(lambda: self._leave(keys=[self._key("present", name)], args=[session]), None)

    async def aclose(self) -> None:
        """See Cache.aclose."""
        await self._redis.aclose()

    async def _call(self, call: Callable[[], Awaitable[Any]], otherwise: Any) -> Any:
        if not self._breaker.may_call():
            return otherwise
        try:
            async with asyncio.timeout(self._within_s):
                answer = await call()
        except (RedisError, OSError, TimeoutError):
            self._breaker.failed()
            return otherwise
        self._breaker.succeeded()
        return answer

    def _key(self, kind: str, name: str) -> str:
        return f"{self._prefix}{kind}:{name}"


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
