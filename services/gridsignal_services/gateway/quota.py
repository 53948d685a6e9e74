"""What one organisation may do, over all its connections."""

from __future__ import annotations

import math
from collections import Counter

from gridsignal_services.cache import Cache, Limit
from gridsignal_services.gateway.settings import GatewaySettings


class Quota:
    """Counts connections here, and writes in the cache: over all gateways where they share one.

    Bounded: a number for each organisation that is connected. When full: close 4029; refused with `rate`.
    Conflates: nothing.
    """

    def __init__(self, cache: Cache, settings: GatewaySettings) -> None:
        self._cache, self._most = cache, settings.organisation_connections
        self._writes = Limit(settings.organisation_writes_per_s, settings.organisation_write_burst)
        self._connections: Counter[str] = Counter()

    def has_room(self, organisation: str) -> bool:
        """Whether one more connection may speak for it."""
        return self._connections[organisation] < self._most

    def arrive(self, organisation: str) -> None:
        """A connection speaks for it from now on."""
        self._connections[organisation] += 1

    def depart(self, organisation: str) -> None:
        """A connection that spoke for it has ended."""
        self._connections[organisation] -= 1
        if not self._connections[organisation]:
            del self._connections[organisation]

    async def wait_ms(self, organisation: str) -> int:
        """0 for a write that may be written, else when to try again."""
        return math.ceil(1000 * await self._cache.take(f"writes/{organisation}", self._writes))
