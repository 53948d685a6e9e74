"""Which of several overlapping statements holds at each moment."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Statement(NamedTuple):
    """Something said of a period that is not empty; of two, the one with the higher rank holds."""

    starts_at: datetime
    ends_at: datetime
    rank: tuple[int, ...]


def in_force(statements: Sequence[Statement]) -> Iterator[tuple[datetime, datetime, int]]:
    """The periods over which one statement holds, in order of time, each with the index of that statement.

    Ranks must differ. Costs n log n, however the statements overlap.
    """
    waiting = sorted(range(len(statements)), key=lambda index: statements[index].starts_at, reverse=True)
    edges = sorted({edge for each in statements for edge in (each.starts_at, each.ends_at)})
    best: list[tuple[tuple[int, ...], int]] = []
    held: tuple[datetime, datetime, int] | None = None
    for since, until in pairwise(edges):
        while waiting and statements[waiting[-1]].starts_at <= since:
            index = waiting.pop()
            heapq.heappush(best, (tuple(-part for part in statements[index].rank), index))
        while best and statements[best[0][1]].ends_at <= since:
            heapq.heappop(best)
        if not best:
            continue
        index = best[0][1]
        if held is not None and held[1] == since and held[2] == index:
            held = (held[0], until, index)
            continue
        if held is not None:
            yield held
        held = (since, until, index)
    if held is not None:
        yield held
