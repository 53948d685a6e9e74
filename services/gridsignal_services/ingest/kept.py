"""Records by key within a budget of points: who publishes much forgets its own, not somebody else's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

from gridsignal_schemas.messages import CarbonIntensity, Record, SpotPrice

_Kept = TypeVar("_Kept")
MOST_POINTS = 1_000_000
"""In all; a point takes some 240 bytes."""
MOST_POINTS_OF_ONE = 250_000
_OF_A_RECORD = 8
"""What a record takes beside its points, in points."""


def weight(record: Record) -> int:
    """What a record takes, in points."""
    if isinstance(record, SpotPrice):
        return _OF_A_RECORD + len(record.prices_per_mwh)
    if isinstance(record, CarbonIntensity):
        return _OF_A_RECORD + len(record.grams_per_kwh)
    return _OF_A_RECORD


class Kept(Generic[_Kept]):
    """Bounded: `most` points in all, `most_of_one` of each owner.

    When full: what its owner, or in all the owner of most, did not touch for longest is forgotten. Conflates: values of
    one key to the newest.
    """

    def __init__(self, most: int = MOST_POINTS, most_of_one: int = MOST_POINTS_OF_ONE) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._owners: dict[str, OrderedDict[str, tuple[_Kept, int]]] = {}
        self._owner_of: dict[str, str] = {}
        self._used: dict[str, int] = {}
        self._total = 0

    def __len__(self) -> int:
        return len(self._owner_of)

    def __contains__(self, key: str) -> bool:
        return key in self._owner_of

    @property
    def points(self) -> int:
        """What is kept, in points."""
        return self._total

    def get(self, key: str) -> _Kept | None:
        """What is kept under a key."""
        owner = self._owner_of.get(key)
        return None if owner is None else self._owners[owner][key][0]

    def values(self) -> Iterator[_Kept]:
        """All that is kept."""
        for kept in self._owners.values():
            for value, _ in kept.values():
                yield value

    def count(self, owner: str) -> int:
        """How many keys an owner has."""
        return len(self._owners.get(owner, ()))

    def put(self, key: str, owner: str, value: _Kept, points: int) -> None:
        """Keeps a value as its owner's newest, and forgets what is too much."""
        if (before := self._owner_of.get(key)) is not None:
            self._forget(before, key)
        self._owners.setdefault(owner, OrderedDict())[key] = value, points
        self._owner_of[key] = owner
        self._used[owner] = self._used.get(owner, 0) + points
        self._total += points
        while self._used.get(owner, 0) > self._most_of_one and len(self._owners[owner]) > 1:
            self._forget(owner, next(iter(self._owners[owner])))
        while self._total > self._most and len(self._owner_of) > 1:
            others = (one for one in self._used if one != owner or len(self._owners[one]) > 1)
            largest = max(others, key=self._used.__getitem__)
            self._forget(largest, next(iter(self._owners[largest])))

    def _forget(self, owner: str, key: str) -> None:
        _, points = self._owners[owner].pop(key)
        del self._owner_of[key]
        self._used[owner] -= points
        self._total -= points
        if not self._owners[owner]:
            del self._owners[owner], self._used[owner]
