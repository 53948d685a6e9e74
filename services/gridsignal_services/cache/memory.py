"""The cache of one process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from gridsignal_services.cache import Cache, Limit
from gridsignal_services.clock import steady_s

MAX_NAMES = 100_000


class _Fading:
    """Texts that fade.

    Bounded: `max_names`. When full: the one written longest ago goes. Conflates: a newer text replaces an older one.
    """

    def __init__(self, max_names: int, now_s: Callable[[], float]) -> None:
        self._max_names = max_names
        self._now_s = now_s
        self._texts: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def write(self, name: str, text: str, ttl_s: float) -> None:
        self._texts[name] = text, self._now_s() + ttl_s
        self._texts.move_to_end(name)
        if len(self._texts) > self._max_names:
            self._texts.popitem(last=False)

    def read(self, name: str) -> str | None:
        text, until_s = self._texts.get(name, (None, 0.0))
        if text is not None and until_s <= self._now_s():
            del self._texts[name]
            return None
        return text

    def erase(self, name: str) -> None:
        self._texts.pop(name, None)


class _Buckets:
    """Token buckets.

    Bounded: `max_names`. When full: the bucket asked longest ago is forgotten, which is to say full again.
    Conflates: nothing.
    """

    def __init__(self, max_names: int, now_s: Callable[[], float]) -> None:
        self._max_names = max_names
        self._now_s = now_s
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Tokens there were, and when."""

    def take(self, bucket: str, limit: Limit, tokens: int) -> float:
        now_s = self._now_s()
        level, at_s = self._levels.get(bucket, (float(limit.burst), now_s))
        level = min(limit.burst, level + (now_s - at_s) * limit.rate_per_s)
        wait_s = max(0.0, (tokens - level) / limit.rate_per_s)
        self._levels[bucket] = (level - tokens if wait_s == 0.0 else level), now_s
        self._levels.move_to_end(bucket)
        if len(self._levels) > self._max_names:
            self._levels.popitem(last=False)
        return wait_s


class MemoryCache(Cache):
    """See Cache. Bounded: `max_names` of each kind. When full: the least recent is forgotten."""

    def __init__(self, *, now_s: Callable[[], float] = steady_s, max_names: int = MAX_NAMES) -> None:
        """`now_s`: seconds of a clock that never goes back."""
        self._sessions = _Fading(max_names, now_s)
        self._buckets = _Buckets(max_names, now_s)

    async def take(self, bucket: str, limit: Limit, tokens: int = 1) -> float:
        """See Cache.take."""
        return self.take_now(bucket, limit, tokens)

    def take_now(self, bucket: str, limit: Limit, tokens: int = 1) -> float:
        """The same without waiting: memory never waits."""
        must_fit(limit, tokens)
        return self._buckets.take(bucket, limit, tokens)

    async def arrive(self, name: str, session: str, ttl_s: float) -> str | None:
        """See Cache.arrive."""
        before = self._sessions.read(name)
        self._sessions.write(name, session, ttl_s)
        return before if before != session else None

    async def stay(self, name: str, session: str, ttl_s: float) -> bool:
        """See Cache.stay."""
        if self._sessions.read(name) not in (None, session):
            return False
        self._sessions.write(name, session, ttl_s)
        return True

    async def present(self, name: str) -> str | None:
        """See Cache.present."""
        return self._sessions.read(name)

    async def leave(self, name: str, session: str) -> None:
        """See Cache.leave."""
        if self._sessions.read(name) == session:
            self._sessions.erase(name)

    async def aclose(self) -> None:
        """See Cache.aclose: there is nothing to let go of."""


def must_fit(limit: Limit, tokens: int) -> None:
    """Raises ValueError for a number of tokens that the bucket can never give."""
    if not 1 <= tokens <= limit.burst:
        raise ValueError(f"expected 1 to {limit.burst} tokens, got {tokens}")
