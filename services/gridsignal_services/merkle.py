"""Merkle trees over an append-only list, as RFC 9162 (Certificate Transparency 2.0), section 2.1, has them.

What is proved: that a leaf is in a tree (inclusion), and that a tree begins with another one (consistency). Proofs are
made from the roots of full subtrees alone, each of 2^level leaves, so that whoever keeps those reads little else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()
"""The root of a tree without leaves."""

Full = Callable[[int, int], bytes]
"""The root of the full subtree (level, index): of the leaves from index x 2^level on, 2^level of them."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf's bytes."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbours."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """A tree that grows: the roots of its full subtrees, the largest first, one for each bit of its size.

    Bounded: 32 bytes for each binary digit of the size.
    """

    size: int = 0
    """Leaves."""
    roots: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        """Adds a leaf by its hash."""
        complete = self.size
        while complete & 1:
            leaf = node_hash(self.roots.pop(), leaf)
            complete >>= 1
        self.roots.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The hash of the whole tree."""
        return _folded(self.roots) if self.roots else EMPTY_ROOT

    def copy(self) -> Self:
        """Another that grows by itself."""
        return type(self)(self.size, list(self.roots))


def root_of(size: int, full: Full) -> bytes:
    """The root of the first `size` leaves."""
    return _range_root(0, size, full) if size else EMPTY_ROOT


def inclusion_path(index: int, size: int, full: Full) -> list[bytes]:
    """The path from leaf `index`, counted from 0, to the root of `size` leaves, the leaf's neighbour first (2.1.3.1).

    Raises ValueError for a leaf that is not in the tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"expected a leaf from 0 to {size - 1}, got {index}")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(middle, end, full))
            end = middle
        else:
            path.append(_range_root(start, middle, full))
            start = middle
    return path[::-1]


def consistency_path(old: int, new: int, full: Full) -> list[bytes]:
    """What shows that the tree of `new` leaves begins with that of `old` (2.1.4.1); empty where both are the same.

    Raises ValueError for sizes that are none of a tree and a later one.
    """
    if not 1 <= old <= new:
        raise ValueError(f"expected an older size from 1 to {new}, got {old}")
    start, end, path = 0, new, []
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_range_root(middle, end, full))
            end = middle
        else:
            path.append(_range_root(start, middle, full))
            start = middle
    if start:
        path.append(_range_root(start, end, full))
    return path[::-1]


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the path leads from the leaf's hash to the root (2.1.3.2). The size counts: take it from where the root
    is from."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for beside in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(beside, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the path shows that the new tree begins with the old one (2.1.4.2)."""
    if not 1 <= old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    if not path:
        return False
    proof = [old_root, *path] if old & (old - 1) == 0 else path
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    found_old = found_new = proof[0]
    for beside in proof[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            found_old, found_new = node_hash(beside, found_old), node_hash(beside, found_new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found_new = node_hash(found_new, beside)
        at, last = at >> 1, last >> 1
    return last == 0 and found_old == old_root and found_new == new_root


def _split(size: int) -> int:
    """The largest power of two below a size of two or more: the leaves of the left half."""
    return 1 << (size - 1).bit_length() - 1


def _range_root(start: int, end: int, full: Full) -> bytes:
    return _folded([full(level, index) for level, index in _full_subtrees(start, end)])


def _full_subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Of a subtree of the tree that ends at `end`: the largest first."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def _folded(roots: Sequence[bytes]) -> bytes:
    folded = roots[-1]
    for root in reversed(roots[:-1]):
        folded = node_hash(root, folded)
    return folded
