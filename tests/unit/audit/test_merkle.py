"""Merkle trees: what other implementations publish, the RFC's own recursion, and that nothing else verifies."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    inclusion_path,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    root_of,
)

# the eight leaves, roots and proofs of google/certificate-transparency and transparency-dev/merkle
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
# the same for leaves of one byte each, 0 to 6, from another implementation
SEVEN_ROOT = "3560191803028444b232018ac047fdb561c09c23a7a6876c85e08b5e4d48e9f3"
SEVEN_INCLUDES_3 = [
    "fcf0a6c700dd13e274b6fba8deea8dd9b26e4eedde3495717cac8408c9c5177f",
    "a20bf9a7cc2dc8a08f5f415a71b19f6ac427bab54d24eec868b5d3103449953a",
    "89c929834ed1459b07f65b5e1a2143a8cf5d8efdf30f49ffffa328bb1d9133bb",
]
SEVEN_EXTENDS_3 = [
    "fcf0a6c700dd13e274b6fba8deea8dd9b26e4eedde3495717cac8408c9c5177f",
    "583c7dfb7b3055d99465544032a571e10a134b1b6f769422bbb71fd7fa167a5d",
    "a20bf9a7cc2dc8a08f5f415a71b19f6ac427bab54d24eec868b5d3103449953a",
    "89c929834ed1459b07f65b5e1a2143a8cf5d8efdf30f49ffffa328bb1d9133bb",
]
SIZES = st.integers(1, 70)


class Tree:
    """All leaves in memory, and the RFC's own recursive definitions over them (2.1.1, 2.1.3.1, 2.1.4.1)."""

    def __init__(self, entries: list[bytes]) -> None:
        self.leaves = [leaf_hash(entry) for entry in entries]

    def full(self, level: int, index: int) -> bytes:
        return self.root(index << level, (index + 1) << level)

    @cache  # noqa: B019 - a tree lives as long as its test
    def root(self, start: int, end: int) -> bytes:
        if end - start < 2:
            return self.leaves[start] if end > start else EMPTY_ROOT
        half = split(end - start)
        return node_hash(self.root(start, start + half), self.root(start + half, end))

    def path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        half = split(end - start)
        if index < half:
            return [*self.path(index, start, start + half), self.root(start + half, end)]
        return [*self.path(index - half, start + half, end), self.root(start, start + half)]

    def subproof(self, old: int, start: int, end: int, *, is_known: bool = True) -> list[bytes]:
        if old == end - start:
            return [] if is_known else [self.root(start, end)]
        half = split(end - start)
        if old <= half:
            return [*self.subproof(old, start, start + half, is_known=is_known), self.root(start + half, end)]
        return [*self.subproof(old - half, start + half, end, is_known=False), self.root(start, start + half)]


def split(size: int) -> int:
    half = 1
    while half * 2 < size:
        half *= 2
    return half


def tree_of(size: int) -> Tree:
    return Tree([f"record {number}".encode() for number in range(size)])


def hashes(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


PUBLISHED = Tree([bytes.fromhex(text) for text in LEAVES])
SEVEN = Tree([bytes([number]) for number in range(7)])


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value) ^ 1 << bit % (8 * len(value))).to_bytes(len(value))


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_that_others_publish(size: int) -> None:
    frontier = Frontier()
    for leaf in PUBLISHED.leaves[:size]:
        frontier.append(leaf)
    assert frontier.root().hex() == root_of(size, PUBLISHED.full).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_paths_are_those_that_others_publish(index: int, size: int) -> None:
    path = inclusion_path(index, size, PUBLISHED.full)
    assert path == hashes(INCLUSION[index, size])
    assert is_included(PUBLISHED.leaves[index], index, size, path, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_consistency_paths_are_those_that_others_publish(old: int, new: int) -> None:
    path = consistency_path(old, new, PUBLISHED.full)
    assert path == hashes(CONSISTENCY[old, new])
    assert is_consistent(old, bytes.fromhex(ROOTS[old]), new, bytes.fromhex(ROOTS[new]), path)


def test_a_tree_of_seven_is_as_another_implementation_has_it() -> None:
    assert root_of(7, SEVEN.full).hex() == SEVEN_ROOT
    assert inclusion_path(3, 7, SEVEN.full) == hashes(SEVEN_INCLUDES_3)
    assert consistency_path(3, 7, SEVEN.full) == hashes(SEVEN_EXTENDS_3)


@given(SIZES)
def test_every_leaf_of_every_size_proves_and_its_path_is_the_recursions(size: int) -> None:
    tree = tree_of(size)
    root = root_of(size, tree.full)
    assert root == tree.root(0, size)
    for index in range(size):
        path = inclusion_path(index, size, tree.full)
        assert path == tree.path(index, 0, size)
        assert is_included(tree.leaves[index], index, size, path, root)


@given(SIZES)
def test_every_size_is_consistent_with_every_earlier_one(new: int) -> None:
    tree = tree_of(new)
    for old in range(1, new + 1):
        path = consistency_path(old, new, tree.full)
        assert path == tree.subproof(old, 0, new)
        assert is_consistent(old, tree.root(0, old), new, tree.root(0, new), path)


@given(SIZES, st.data())
def test_a_flipped_bit_anywhere_proves_nothing(size: int, data: st.DataObject) -> None:
    tree = tree_of(size)
    index, bit = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 255))
    leaf, root, path = tree.leaves[index], tree.root(0, size), inclusion_path(index, size, tree.full)
    assert not is_included(flipped(leaf, bit), index, size, path, root)
    assert not is_included(leaf, index, size, path, flipped(root, bit))
    assert not is_included(leaf, index, size, [*path, root], root)
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:at], flipped(path[at], bit), *path[at + 1 :]]
        assert not is_included(leaf, index, size, changed, root)
        assert not is_included(leaf, index, size, path[:-1], root)
        other = data.draw(st.integers(0, size - 1).filter(lambda each: each != index))
        assert not is_included(leaf, other, size, path, root)


@given(st.integers(2, 70), st.data())
def test_a_flipped_bit_anywhere_shows_no_consistency(new: int, data: st.DataObject) -> None:
    tree = tree_of(new)
    old, bit = data.draw(st.integers(1, new - 1)), data.draw(st.integers(0, 255))
    before, after, path = tree.root(0, old), tree.root(0, new), consistency_path(old, new, tree.full)
    assert not is_consistent(old, flipped(before, bit), new, after, path)
    assert not is_consistent(old, before, new, flipped(after, bit), path)
    at = data.draw(st.integers(0, len(path) - 1))
    assert not is_consistent(old, before, new, after, [*path[:at], flipped(path[at], bit), *path[at + 1 :]])
    assert not is_consistent(old, before, new, after, path[:-1])
    assert not is_consistent(old, before, new, after, [*path, after])


@given(SIZES, st.data())
def test_another_history_is_consistent_with_no_head_that_has_the_record(size: int, data: st.DataObject) -> None:
    """A record that was acknowledged and then lost or changed shows, however the proof is made."""
    changed = data.draw(st.integers(0, size - 1))
    honest = tree_of(size + 3)
    other = Tree([b"other" if number == changed else f"record {number}".encode() for number in range(size + 3)])
    for path in (consistency_path(size, size + 3, each.full) for each in (honest, other)):
        assert not is_consistent(size, honest.root(0, size), size + 3, other.root(0, size + 3), path)


@given(st.lists(st.binary(max_size=40), max_size=40), st.integers(0, 40))
def test_a_frontier_that_was_copied_grows_by_itself(entries: list[bytes], copied_at: int) -> None:
    tree, frontier = Tree(entries), Frontier()
    copy, copied_at = Frontier(), min(copied_at, len(entries))
    for number, leaf in enumerate(tree.leaves):
        if number == copied_at:
            copy = frontier.copy()
        frontier.append(leaf)
        assert frontier.root() == tree.root(0, number + 1)
        assert len(frontier.roots) == frontier.size.bit_count()
    for leaf in tree.leaves[copied_at:]:
        copy.append(leaf)
    if copied_at < len(entries):
        assert copy == frontier


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_outside_the_tree_has_no_path_and_is_not_in_it(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="expected a leaf from 0"):
        inclusion_path(index, size, PUBLISHED.full)
    assert not is_included(PUBLISHED.leaves[0], index, size, [], PUBLISHED.leaves[0])


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3)])
def test_nothing_is_consistent_with_a_size_that_comes_later_or_is_none(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="expected an older size"):
        consistency_path(old, new, PUBLISHED.full)
    root = PUBLISHED.root(0, 3)
    assert not is_consistent(old, root, new, root, [])
