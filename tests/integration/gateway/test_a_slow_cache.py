"""A cache that takes its time delays what is asked of it, and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from gridsignal_services.cache import Limit
from gridsignal_services.cache.memory import MemoryCache
from tests.integration.gateway_stand import Stand
from tests.patience import SOON_S


class SlowCache(MemoryCache):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.under_way = self.most_at_once = 0

    async def stay(self, name: str, session: str, ttl_s: float) -> bool:
        await self._hesitate()
        return await super().stay(name, session, ttl_s)

    async def take(self, bucket: str, limit: Limit, tokens: int = 1) -> float:
        await self._hesitate()
        return await super().take(bucket, limit, tokens)

    async def _hesitate(self) -> None:
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        self.asked.set()
        await self.may_answer.wait()
        self.under_way -= 1


async def test_heartbeats_pings_and_ends_go_on_while_the_cache_says_nothing(tmp_path: Path) -> None:
    cache = SlowCache()
    limits = {"ping_s": 1, "dead_after_s": 3, "hello_timeout_s": 0.5}
    async with Stand.open(tmp_path, cache=cache, **limits) as stand, AsyncExitStack() as clients:
        named = [await clients.enter_async_context(stand.client(hello=False)) for _ in range(3)]
        for number, client in enumerate(named):
            await client.hello(site="fra-1", instance=f"planner-{number}")
        await named[0].subscribe("prices")
        async with asyncio.timeout(SOON_S):
            await cache.asked.wait()
        for _ in range(3):
            await named[0].position()
        async with stand.client(hello=False) as silent:
            assert (await silent.closed())[0] == 4008
        assert cache.under_way == len(named)
        cache.may_answer.set()


async def test_writes_wait_for_the_cache_together_and_keep_their_order(tmp_path: Path) -> None:
    cache = SlowCache()
    async with Stand.open(tmp_path, cache=cache) as stand, stand.client() as client:
        await stand.register()
        for number in range(8):
            body = {"starts_at": f"2024-05-12T0{number}:00:00Z", "resolution_s": 3600, "power_w": [1], "method": "m"}
            await client.send({"t": "baseline", "id": 100 + number, "body": body})
        await client.round_trip()
        async with asyncio.timeout(SOON_S):
            for _ in iter(lambda: cache.under_way == 8, True):
                await asyncio.sleep(0)
        cache.may_answer.set()
        answers = [await client.until(lambda frame: "receipt" in frame) for _ in range(8)]
        assert [answer["id"] for answer in answers] == list(range(100, 108))


async def test_an_organisation_with_too_much_unanswered_is_read_no_further_and_loses_nothing(tmp_path: Path) -> None:
    cache, count = SlowCache(), 500
    async with (
        Stand.open(tmp_path, cache=cache, organisation_unanswered=4, offer_window=10_000) as stand,
        stand.client() as busy,
        stand.client() as sibling,
        stand.client(token=stand.token("volt-colo"), site=None) as other,
    ):
        share = stand.gateway._conversations.turns.share_of("participant:acme-ai")
        for number in range(count):
            await busy.send({"t": "withdraw", "id": 100 + number, "offer_id": f"offer-{number}"})
        async with asyncio.timeout(SOON_S):
            for _ in iter(lambda: share.unanswered >= 4, True):
                await asyncio.sleep(0)
        await sibling.send({"t": "withdraw", "id": 7, "offer_id": "offer-of-the-sibling"})
        for _ in range(5):
            await other.round_trip()
        assert 4 <= share.unanswered < count // 5
        sessions = [each.session for each in stand.gateway._conversations.connections]
        assert {session.unanswered for session in sessions if session is not None} >= {0, 1}
        cache.may_answer.set()
        answers = [await busy.until(lambda frame: frame["t"] == "refused") for _ in range(count)]
        assert [answer["id"] for answer in answers] == list(range(100, 100 + count))
        assert (await sibling.until(lambda frame: frame["t"] == "refused"))["id"] == 7
        assert share.unanswered == 0
