"""Queues of several, served in turn: nobody waits for all that another has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def in_turn(queues: Iterable[Iterable[T]]) -> Iterator[T]:
    """The first of each, then the second of each that has one, and so on."""
    left = list(map(iter, queues))
    while left:
        waiting, left = left, []
        for queue in waiting:
            for first in queue:
                yield first
                left.append(queue)
                break
