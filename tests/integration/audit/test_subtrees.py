"""Hashes kept beside a log give the same proofs as all leaves in memory, whenever they were written or torn."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_services.audit.subtrees import Subtrees
from gridsignal_services.merkle import (
    Frontier,
    consistency_path,
    inclusion_path,
    is_consistent,
    is_included,
    leaf_hash,
)

MOST = 70_000
LEAVES = [leaf_hash(str(number).encode()) for number in range(MOST)]


def root_of(size: int) -> bytes:
    tree = Frontier()
    for leaf in LEAVES[:size]:
        tree.append(leaf)
    return tree.root()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    subtrees = Subtrees(folder, 3)
    for start in range(0, MOST, 9_999):
        subtrees.append(LEAVES[start : start + 9_999])
        subtrees.write()
    return folder


@given(st.data())
@settings(max_examples=30)
def test_any_record_of_any_size_proves_from_the_files(written: Path, data: st.DataObject) -> None:
    subtrees = Subtrees(written, 3)
    assert subtrees.size == MOST
    size = data.draw(st.integers(1, MOST) | st.sampled_from([255, 256, 257, 65_535, 65_536, 65_537]))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root = subtrees.root(size)
    path = inclusion_path(index, size, subtrees.full)
    assert is_included(LEAVES[index], index, size, path, root)
    assert subtrees.leaf(index) == LEAVES[index]
    path = consistency_path(old, size, subtrees.full)
    assert is_consistent(old, subtrees.root(old), size, root, path)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_536, MOST])
def test_roots_are_those_of_a_tree_that_grew(written: Path, size: int) -> None:
    assert Subtrees(written, 3).root(size) == root_of(size)


@given(st.lists(st.integers(0, 700), max_size=5), st.booleans())
@settings(max_examples=20)
def test_what_is_not_written_yet_counts_and_is_not_there_for_others(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], writes: bool
) -> None:
    folder, size = tmp_path_factory.mktemp("tree"), 0
    subtrees = Subtrees(folder, 0)
    for count in counts:
        subtrees.append(LEAVES[size : size + count])
        size += count
        if writes:
            subtrees.write()
        assert subtrees.size == size
        assert subtrees.root(size) == root_of(size)
        assert Subtrees(folder, 0).size == (size if writes else 0)


@pytest.mark.parametrize("level", [0, 8])
@pytest.mark.parametrize("cut", [1, 31, 32, 100])
def test_torn_files_are_gone_on_with_from_what_is_whole(tmp_path: Path, level: int, cut: int) -> None:
    subtrees = Subtrees(tmp_path, 0)
    subtrees.append(LEAVES[:2000])
    subtrees.write()
    path = tmp_path / f"0000-{level:02}.hashes"
    path.write_bytes(path.read_bytes()[:-cut])
    again = Subtrees(tmp_path, 0)
    again.append(LEAVES[again.size : 2100])
    assert again.root(2100) == root_of(2100)
    again.write()
    assert Subtrees(tmp_path, 0).root(2100) == root_of(2100)


def test_what_is_cleared_is_gone_with_the_next_write_and_not_before(tmp_path: Path) -> None:
    subtrees = Subtrees(tmp_path, 0)
    subtrees.append(LEAVES[:600])
    subtrees.write()
    subtrees.clear()
    assert (subtrees.size, Subtrees(tmp_path, 0).size) == (0, 600)
    subtrees.append(LEAVES[5:305])
    subtrees.write()
    assert Subtrees(tmp_path, 0).size == 300
    assert Subtrees(tmp_path, 0).leaf(0) == LEAVES[5]
    assert stat.S_IMODE((tmp_path / "0000-00.hashes").stat().st_mode) == 0o600


def test_more_than_there_is_has_no_root(tmp_path: Path) -> None:
    subtrees = Subtrees(tmp_path, 0)
    subtrees.append(LEAVES[:5])
    with pytest.raises(IndexError, match="expected 6 hashes of level 0, got 5"):
        subtrees.leaf(5)
