"""Where on the log something is said of which time: what a search has found once is not searched for again."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

BLOCK = 1000
"""Records of a partition that are looked through together."""
MAX_ENTRIES = 500_000
"""24 bytes each."""
_EMPTY = 4
"""A block without entries costs about as much as so many."""

Place = tuple[str, str, int]
"""Stream, zone, and the number of a block of the zone's partition."""


class ListedSeries(NamedTuple):
    """One series: where it lies, and the period it speaks of, in microseconds since 1970."""

    offset: int
    starts_us: int
    ends_us: int


class Contents:
    """The entries of whole blocks, which never change.

    Bounded: `max_entries`. When full: the block asked for longest ago is forgotten, and read again when it is asked
    for. Conflates: nothing.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max = max_entries
        self._held = 0
        self._blocks: OrderedDict[Place, array[int]] = OrderedDict()

    def touching(self, place: Place, from_us: int, to_us: int) -> list[int] | None:
        """The offsets of a block's entries that touch [from, to); None where the block is not known."""
        numbers = self._blocks.get(place)
        if numbers is None:
            return None
        self._blocks.move_to_end(place)
        triples = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
        return [offset for offset, starts_us, ends_us in triples if starts_us < to_us and ends_us > from_us]

    def keep(self, place: Place, entries: Iterable[ListedSeries]) -> None:
        """Remembers the entries of a whole block."""
        numbers = array("q")
        for entry in entries:
            numbers.extend(entry)
        if place not in self._blocks:
            self._blocks[place] = numbers
            self._held += len(numbers) // 3 + _EMPTY
        while self._held > self._max and len(self._blocks) > 1:
            _, forgotten = self._blocks.popitem(last=False)
            self._held -= len(forgotten) // 3 + _EMPTY
