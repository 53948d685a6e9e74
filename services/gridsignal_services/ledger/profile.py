"""Power over time as step functions: what a site has promised, what a request still lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple


class Block(NamedTuple):
    """Constant power over the half-open period [starts_at, ends_at)."""

    starts_at: datetime
    ends_at: datetime
    power_w: int


def power_at(blocks: Iterable[Block], when: datetime) -> int:
    """The sum of all blocks that hold `when`, in watts."""
    return sum(block.power_w for block in blocks if block.starts_at <= when < block.ends_at)


def steps(blocks: Iterable[Block], starts_at: datetime, ends_at: datetime) -> list[datetime]:
    """Every moment in [starts_at, ends_at) at which the sum can change, the start included."""
    moments = {starts_at}
    for block in blocks:
        moments.update(edge for edge in (block.starts_at, block.ends_at) if starts_at < edge < ends_at)
    return sorted(moments)


def lowest(value: Callable[[datetime], int], moments: Iterable[datetime]) -> int:
    """The smallest value over the given moments."""
    return min(map(value, moments))
