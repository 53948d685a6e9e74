"""Long records are reduced piece by piece: where a rule yields, others may read the book, and nobody changes it.

Between two pieces each offer and each order is whole, while the request may be half done: half its offers passed over,
half its orders cancelled. What is to be of one moment is read after `Replica.whole`. What it comes to does not depend
on whether anybody looks.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

A_PIECE = 16
"""Offers or orders in one piece. Where it is looked at what options would take of their sites, it is so many options:
some milliseconds, if a site has all the orders and declarations that it may have."""

Steps = Generator[None, None, T]
"""Yields after each piece; returns what it comes to."""


def pieces(rows: Sequence[T], size: int = A_PIECE) -> Iterator[Sequence[T]]:
    """The rows in their order, a few at a time."""
    return (rows[first : first + size] for first in range(0, len(rows), size))


def weighed(rows: Sequence[T], weights: Iterable[int], most: int = A_PIECE) -> Iterator[list[T]]:
    """The rows in their order, each piece of so much weight at most, or of one row."""
    piece, left = list[T](), most
    for row, weight in zip(rows, weights, strict=True):
        if piece and weight > left:
            yield piece
            piece, left = [], most
        piece.append(row)
        left -= weight
    if piece:
        yield piece


def in_one_go(steps: Steps[T]) -> T:
    """What all the steps come to."""
    while True:
        try:
            next(steps)
        except StopIteration as over:
            result: T = over.value
            return result
