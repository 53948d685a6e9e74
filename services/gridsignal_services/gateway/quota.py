"""What one organisation may do, over all its connections."""

from __future__ import annotations

import math
from collections import Counter

from gridsignal_services.access import Principal
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

    def has_room(self, principal: Principal) -> bool:
        """Whether one more connection may speak for its organisation."""
        return self._connections[principal.name] < self._most

    def arrive(self, principal: Principal) -> None:
        """A connection speaks for its organisation from now on."""
        self._connections[principal.name] += 1

    def depart(self, name: str) -> None:
        """A connection that spoke for it has ended."""
        self._connections[name] -= 1
        if not self._connections[name]:
            del self._connections[name]

    async def wait_ms(self, organisation: str) -> int:
        """0 for a write that may be written, else when to try again."""
        return math.ceil(1000 * await self._cache.take(f"writes/{organisation}", self._writes))
