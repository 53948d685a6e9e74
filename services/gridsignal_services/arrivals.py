"""Sockets that have not shown a token: how many a door bears, and which of them makes room for the next.

Anybody can open a socket, so each is counted from its first moment, in total and by the network it comes from. At the
bound the oldest stranger of the most crowded network goes: whoever shows a token at once is through before that, from
a crowded network too. Those who have shown one are counted apart, and no stranger takes their places.

No socket and no clock here: `socket` is whatever the door knows a connection by, `now_s` comes from outside.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from gridsignal_protocol.bucket import Bucket

S = TypeVar("S", bound=Hashable)

MAX_NETWORKS = 10_000
"""Networks whose handshakes are remembered; the one heard of longest ago is forgotten for the next."""


@dataclass(frozen=True, slots=True)
class ArrivalLimits:
    """What a door bears."""

    strangers: int = 2048
    """Sockets without a token, of all networks."""
    strangers_of_a_network: int = 256
    authenticated: int = 20_000
    network_handshakes_per_s: float = 200.0
    """Attempts without a good token, of one network."""
    network_handshake_burst: int = 1000


class Arrivals(Generic[S]):
    """Every socket of a door, as a stranger or authenticated.

    Bounded: by its limits. When full: the oldest stranger of the most crowded network goes; one more that has shown its
    token stays a stranger. Conflates: nothing.
    """

    def __init__(self, limits: ArrivalLimits) -> None:
        self._limits = limits
        self._network_of: dict[S, str] = {}
        self._strangers: dict[str, OrderedDict[S, None]] = {}
        self._authenticated: set[S] = set()
        self._crowds = _Crowds()
        self._pace: OrderedDict[str, Bucket] = OrderedDict()

    @property
    def strangers(self) -> int:
        """Sockets that have not shown a token."""
        return len(self._network_of)

    @property
    def authenticated(self) -> int:
        """Sockets that have."""
        return len(self._authenticated)

    def arrive(self, socket: S, address: str) -> S | None:
        """Counts a new socket; returns the stranger to drop for it, if any, who is not counted any more."""
        network = network_of(address)
        self._network_of[socket] = network
        crowd = self._strangers.setdefault(network, OrderedDict())
        crowd[socket] = None
        self._crowds.move(network, len(crowd))
        if len(crowd) > self._limits.strangers_of_a_network:
            return self._oldest_of(network)
        if self.strangers > self._limits.strangers:
            return self._oldest_of(self._crowds.largest())
        return None

    def make_room(self) -> S | None:
        """The stranger to drop where the machine itself has no place left; None where there are none."""
        return self._oldest_of(self._crowds.largest()) if self._network_of else None

    def admit(self, socket: S) -> bool:
        """The socket has shown a good token; False where as many as may be have done so, and then it stays a stranger.

        True again for one that was admitted before, False for one that has left.
        """
        if socket in self._authenticated:
            return True
        if socket not in self._network_of or self.authenticated >= self._limits.authenticated:
            return False
        self._no_stranger(socket)
        self._authenticated.add(socket)
        return True

    def leave(self, socket: S) -> None:
        """The socket is gone; nothing where it was dropped before."""
        self._authenticated.discard(socket)
        if socket in self._network_of:
            self._no_stranger(socket)

    def wait_s(self, address: str, now_s: float) -> float:
        """Counts an attempt without a good token: 0.0, or how long its network is to wait with the next."""
        network = network_of(address)
        pace = self._pace.pop(network, None)
        if pace is None:
            pace = Bucket(self._limits.network_handshakes_per_s, self._limits.network_handshake_burst, now_s)
        self._pace[network] = pace
        if len(self._pace) > MAX_NETWORKS:
            self._pace.popitem(last=False)
        return 0.0 if pace.take(now_s) else pace.wait_s

    def _oldest_of(self, network: str) -> S:
        oldest = next(iter(self._strangers[network]))
        self._no_stranger(oldest)
        return oldest

    def _no_stranger(self, socket: S) -> None:
        network = self._network_of.pop(socket)
        crowd = self._strangers[network]
        del crowd[socket]
        self._crowds.move(network, len(crowd))
        if not crowd:
            del self._strangers[network]


class _Crowds:
    """Networks by how many strangers each has, so that the largest crowd is found without a search."""

    def __init__(self) -> None:
        self._size_of: dict[str, int] = {}
        self._of_size: dict[int, dict[str, None]] = {}
        self._largest = 0

    def move(self, network: str, size: int) -> None:
        """The network's crowd is now one larger or smaller."""
        if (before := self._size_of.pop(network, None)) is not None:
            del self._of_size[before][network]
            if not self._of_size[before]:
                del self._of_size[before]
        if size:
            self._size_of[network] = size
            self._of_size.setdefault(size, {})[network] = None
        self._largest = max(self._largest, size)
        while self._largest and self._largest not in self._of_size:
            self._largest -= 1  # by one at most: crowds change by one

    def largest(self) -> str:
        """A network with the largest crowd; among equals the one that has been so longest."""
        return next(iter(self._of_size[self._largest]))


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What one neighbour is taken for: an IPv4 address, the /64 of an IPv6 address, anything else as it is."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.IPv6Network((known.packed, 64), strict=False))
