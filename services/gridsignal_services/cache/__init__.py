"""The port to the cache: who is present, and how much somebody may still do.

Everything in it can be rebuilt or forgotten: wiping it changes latencies, never a result, and nothing waits for it.
So no call raises for a cache that is away; it answers as an empty cache would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Limit:
    """A token bucket: `burst` tokens when full, filled with `rate_per_s` of them each second."""

    rate_per_s: float
    burst: int

    def __post_init__(self) -> None:
        if not self.rate_per_s > 0 or self.burst < 1:
            raise ValueError(f"expected a positive rate and a burst of at least 1, got {self}")


class Cache(Protocol):
    """One namespace of names; presence and bucket of one name have nothing to do with each other."""

    async def take(self, bucket: str, limit: Limit, tokens: int = 1) -> float:
        """Takes tokens if there are enough: 0.0, or how many seconds to wait before asking again (then none are taken).

        Raises ValueError for more tokens than the bucket ever holds. With the cache away each process counts alone.
        """

    async def arrive(self, name: str, session: str, ttl_s: float) -> str | None:
        """`session` is now the one present under `name`; returns the other session it replaces, if any."""

    async def stay(self, name: str, session: str, ttl_s: float) -> bool:
        """Says that `session` is still there; False where another one has replaced it, and nothing changes."""

    async def present(self, name: str) -> str | None:
        """The session present under `name`; None when none is, or none said so within its ttl."""

    async def leave(self, name: str, session: str) -> None:
        """`session` is gone; one that has replaced it stays."""

    async def aclose(self) -> None: ...
