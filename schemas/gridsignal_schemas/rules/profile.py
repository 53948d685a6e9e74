"""Power over time as step functions: what a site has promised, what a request still lacks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import datetime
from itertools import accumulate
from typing import NamedTuple


class Block(NamedTuple):
    """Constant power over the half-open period [starts_at, ends_at)."""

    starts_at: datetime
    ends_at: datetime
    power_w: int


class Profile:
    """The sum of blocks, kept as its edges and the level from each edge on; zero before the first.

    Many blocks share few edges, so asking it costs by the edges, not by the blocks.
    Bounded: two edges for each block at most.
    """

    __slots__ = ("_edges", "_levels")

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        changes: dict[datetime, int] = {}
        for starts_at, ends_at, power_w in blocks:
            if starts_at < ends_at:
                changes[starts_at] = changes.get(starts_at, 0) + power_w
                changes[ends_at] = changes.get(ends_at, 0) - power_w
        self._edges: list[datetime] = sorted(changes)
        self._levels: list[int] = list(accumulate(changes[edge] for edge in self._edges))

    def add(self, block: Block) -> None:
        """Adds a block; an empty period adds nothing."""
        if block.starts_at >= block.ends_at:
            return
        first = self._edge(block.starts_at)
        for index in range(first, self._edge(block.ends_at)):
            self._levels[index] += block.power_w

    def _edge(self, when: datetime) -> int:
        index = bisect_left(self._edges, when)
        if index == len(self._edges) or self._edges[index] != when:
            self._edges.insert(index, when)
            self._levels.insert(index, self._levels[index - 1] if index else 0)
        return index

    def at(self, when: datetime) -> int:
        """The sum at a moment, in watts."""
        index = bisect_right(self._edges, when) - 1
        return self._levels[index] if index >= 0 else 0

    def edges(self, starts_at: datetime, ends_at: datetime) -> list[datetime]:
        """The moments inside a period at which the sum may change; its start is none of them."""
        return self._edges[bisect_right(self._edges, starts_at) : bisect_left(self._edges, ends_at)]

    def lowest(self, starts_at: datetime, ends_at: datetime) -> int:
        """The smallest sum in a period that is not empty, in watts."""
        return min(self._over(starts_at, ends_at))

    def highest(self, starts_at: datetime, ends_at: datetime) -> int:
        """The largest sum in a period that is not empty, in watts."""
        return max(self._over(starts_at, ends_at))

    def last_above(self, starts_at: datetime, ends_at: datetime, most_w: int) -> datetime | None:
        """Until when, in a period, the sum is above so much for the last time; None where it never is.

        The end of the last such stretch, which may lie beyond the period.
        """
        first = bisect_right(self._edges, starts_at) - 1
        for index in range(bisect_left(self._edges, ends_at) - 1, max(first, 0) - 1, -1):
            if self._levels[index] > most_w:  # after the last edge it is zero
                return self._edges[index + 1] if index + 1 < len(self._edges) else ends_at
        return None

    def _over(self, starts_at: datetime, ends_at: datetime) -> list[int]:
        first = bisect_right(self._edges, starts_at) - 1
        before = [0] if first < 0 else []
        return before + self._levels[max(first, 0) : bisect_left(self._edges, ends_at)]
