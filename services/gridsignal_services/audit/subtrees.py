"""A tree's hashes beside the log: of each record's leaf, and of full subtrees, so that a proof reads little of the log.

One file for each partition and each eighth level: level 0 has all leaves, level 8 the roots of each 256 of them, and so
on. What lies between is hashed again. The upper files follow from the lowest; what is short of it is made again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from gridsignal_services.merkle import HASH_BYTES, node_hash, root_of

_EIGHT = 8
_READ = 4096
"""Hashes read at once."""
_LEVELS = (0, 8, 16, 24)
FOLDER, LOCK = "tree", "tree.lock"
"""Where they lie in the log's directory, and what the one process holds that writes them."""


class Subtrees:
    """The hashes of one partition.

    Bounded: on disk by 33 bytes for each record; in memory by 256 hashes. Everything here blocks.
    """

    def __init__(self, folder: Path, partition: int) -> None:
        """Takes over what lies in the folder; it makes none. What others write meanwhile is not seen."""
        self.partition = partition
        self._paths = {level: folder / f"{partition:04}-{level:02}.hashes" for level in _LEVELS}
        self._beyond: dict[int, list[bytes]] = {level: [] for level in _LEVELS}
        """What is not written yet."""
        self._in_file = {level: self._length(level) for level in _LEVELS}
        for below, level in pairwise(_LEVELS):
            self._in_file[level] = min(self._in_file[level], self._in_file[below] >> _EIGHT)
        self._complete()

    @property
    def size(self) -> int:
        """Leaves."""
        return self._count(0)

    def append(self, leaves: Iterable[bytes]) -> None:
        """Adds the next leaves; nothing is written before `write`."""
        self._beyond[0] += leaves
        self._complete()

    def write(self) -> None:
        """Writes what was added, the leaves first. Raises OSError."""
        for level, path in self._paths.items():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
                file.truncate(self._in_file[level] * HASH_BYTES)
                file.seek(0, os.SEEK_END)
                file.write(b"".join(self._beyond[level]))
            self._in_file[level] += len(self._beyond[level])
            self._beyond[level].clear()

    def clear(self) -> None:
        """Forgets everything: it does not fit the log. What lies in the files goes with the next `write`."""
        for level in _LEVELS:
            self._in_file[level] = 0
            self._beyond[level].clear()

    def full(self, level: int, index: int) -> bytes:
        """The root of a full subtree, as proofs are made from. Raises IndexError for one that is not full yet."""
        kept = min(level // _EIGHT * _EIGHT, _LEVELS[-1])
        return _root(self.hashes(kept, index << (level - kept), (index + 1) << (level - kept)))

    def root(self, size: int) -> bytes:
        """The root of so many leaves. Raises IndexError for more than there are."""
        return root_of(size, self.full)

    def leaf(self, index: int) -> bytes:
        """The hash of one leaf. Raises IndexError."""
        return self.hashes(0, index, index + 1)[0]

    def leaves(self) -> Iterator[bytes]:
        """All of them, in their order."""
        for start in range(0, self.size, _READ):
            yield from self.hashes(0, start, min(self.size, start + _READ))

    def hashes(self, level: int, start: int, end: int) -> list[bytes]:
        """Those of a level that is kept. Raises IndexError for some that are not there."""
        if end > self._count(level):
            raise IndexError(f"expected {end} hashes of level {level}, got {self._count(level)}")
        in_file, found = self._in_file[level], list[bytes]()
        if start < in_file:
            with self._paths[level].open("rb") as file:
                file.seek(start * HASH_BYTES)
                read = file.read((min(end, in_file) - start) * HASH_BYTES)
            found = [read[at : at + HASH_BYTES] for at in range(0, len(read), HASH_BYTES)]
        return found + self._beyond[level][max(0, start - in_file) : max(0, end - in_file)]

    def _count(self, level: int) -> int:
        return self._in_file[level] + len(self._beyond[level])

    def _length(self, level: int) -> int:
        try:
            return self._paths[level].stat().st_size // HASH_BYTES
        except FileNotFoundError:
            return 0

    def _complete(self) -> None:
        for level in _LEVELS[1:]:
            while self._count(level) < self._count(level - _EIGHT) >> _EIGHT:
                first = self._count(level) << _EIGHT
                self._beyond[level].append(_root(self.hashes(level - _EIGHT, first, first + (1 << _EIGHT))))


def _root(hashes: list[bytes]) -> bytes:
    """Of a full subtree's hashes of one level."""
    while len(hashes) > 1:
        hashes = [node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]
