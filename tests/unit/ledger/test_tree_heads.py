"""A partition's tree grows with its records, and of all heads those hold that are of it, newer, and signed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import TreeHead
from gridsignal_services.access.signer import Signer
from gridsignal_services.checkpoints.lines import ledger_of, pieces_of, written
from gridsignal_services.ledger.tree import RECENT, Tree, entry_bytes
from gridsignal_services.merkle import Frontier, leaf_hash
from gridsignal_services.tree_heads import is_signed, signed_head, text_of
from tests.builders import a_site_registration, a_tree_head
from tests.unit.ledger.zone import Zone

SIGNED_AT = datetime(2026, 5, 12, 14, 20, tzinfo=UTC)
LOG = "7f4df1a4-1c1c-4d6e-9a65-1f7b2b4b1f0e"


def a_signer(seed: int = 0) -> Signer:
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def a_head_of(leaves: list[bytes], size: int, *, partition: int = 0) -> TreeHead:
    tree = Frontier()
    for leaf in leaves[:size]:
        tree.append(leaf)
    return signed_head(partition, size, tree.root(), log=LOG, signed_at=SIGNED_AT, signer=a_signer())


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(f"record {number}".encode()) for number in range(count)]


def tree_of(some: list[bytes]) -> Tree:
    tree = Tree()
    for leaf in some:
        tree.append(leaf)
    return tree


@given(st.data())
def test_a_head_of_any_size_that_was_holds_and_none_of_a_smaller_one_after_it(data: st.DataObject) -> None:
    known, tree, covered = leaves(60), Tree(), 0
    for number, leaf in enumerate(known, 1):
        tree.append(leaf)
        size = data.draw(st.integers(1, number))
        wrong = tree.fault_of(a_head_of(known, size), 0)
        assert (wrong is None) == (size > covered)
        covered = max(covered, size)
    assert tree.root() == tree_of(known).root()


@given(st.data())
def test_whatever_is_changed_in_a_head_it_does_not_hold(data: st.DataObject) -> None:
    known = leaves(20)
    head = a_head_of(known, data.draw(st.integers(1, 20)))
    field = data.draw(st.sampled_from(["partition", "size", "root", "log", "signed_at", "signed_by", "signature"]))
    match getattr(head, field):
        case int() as number:
            changed: object = number + data.draw(st.sampled_from([-1, 1]))
        case datetime():
            changed = SIGNED_AT.replace(microsecond=1)
        case str() as text if field == "log":
            changed = text + "x"
        case str() as text:
            at, digit = data.draw(st.integers(0, len(text) - 1)), data.draw(st.sampled_from("0123456789abcdef"))
            changed = text[:at] + digit + text[at + 1 :]
    other = head.model_copy(update={field: changed})
    wrong = tree_of(known).fault_of(other, 0)
    assert (wrong is None) == (other == head)


def test_a_head_says_what_is_wrong_with_it() -> None:
    known = leaves(5)
    tree = tree_of(known)
    for head, pointer, message in (
        (a_head_of(known, 3, partition=1), "/partition", "expected a head of partition 0, got one of 1"),
        (a_head_of([*known, known[0]], 6), "/size", "expected a size from 1 to 5, got 6"),
        (a_head_of(known, 3).model_copy(update={"log": "another"}), "/signature", "expected a signature of the key"),
        (a_head_of(known[::-1], 3), "/root", "expected "),
    ):
        wrong = tree.fault_of(head, 0)
        assert wrong is not None
        assert wrong.code == "NOT_THIS_TREE"
        assert wrong.pointer == pointer
        assert wrong.message.startswith(message)


def test_a_head_holds_as_long_as_its_last_leaf_is_kept_by_itself() -> None:
    known = leaves(RECENT + 2)
    assert tree_of(known[:-1]).fault_of(a_head_of(known, 1), 0) is None
    tree = tree_of(known)
    wrong = tree.fault_of(a_head_of(known, 1), 0)
    assert wrong is not None
    assert "one of the last 2048 records" in wrong.message
    assert len(tree.recent) == RECENT


def test_heads_alone_are_no_news_and_a_clearing_is_told_apart() -> None:
    zone = Zone(SIGNED_AT)
    assert not zone.ledger.tree.has_news
    zone.add(a_site_registration())
    assert zone.ledger.tree.has_news
    assert not zone.ledger.tree.has_clearing
    tree = zone.ledger.tree
    head = signed_head(0, tree.size, tree.root(), log=LOG, signed_at=SIGNED_AT, signer=a_signer())
    assert zone.add(head).accepted
    assert not tree.has_news
    assert not zone.add(head).accepted, "it is not newer than itself"
    assert not tree.has_news
    zone.replayed()


def test_a_head_is_a_leaf_of_the_next() -> None:
    zone = Zone(SIGNED_AT)
    zone.add(a_site_registration())
    tree = zone.ledger.tree
    for _ in range(3):
        head = signed_head(0, tree.size, tree.root(), log=LOG, signed_at=SIGNED_AT, signer=a_signer())
        assert zone.add(head).accepted
    assert tree.size == 4
    assert tree.covered == 3


def test_nobody_but_a_service_writes_a_head() -> None:
    zone = Zone(SIGNED_AT)
    zone.add(a_site_registration())
    tree = zone.ledger.tree
    head = signed_head(0, tree.size, tree.root(), log=LOG, signed_at=SIGNED_AT, signer=a_signer())
    for who in ("operator:tso-north", "participant:acme", "service:ingest", ""):
        assert zone.add(head, who).code == "FORBIDDEN"
    assert tree.covered == 0


def test_a_checkpoint_holds_the_tree_as_it_grows() -> None:
    zone = Zone(SIGNED_AT)
    for number in range(20):
        zone.add(a_site_registration(site=f"acme-{number}"))
        if number == 11:
            tree = zone.ledger.tree
            zone.add(signed_head(0, tree.size, tree.root(), log=LOG, signed_at=SIGNED_AT, signer=a_signer()))
        if number % 5 == 0:
            read = ledger_of(0, zone.ledger.position, list(written(pieces_of(zone.ledger))))
            assert read.tree == zone.ledger.tree
            zone.ledger = read
    zone.replayed()


def test_the_text_that_is_signed_is_that_of_the_documentation() -> None:
    assert text_of(a_tree_head()).decode() == (
        "gridsignal/7f4df1a4-1c1c-4d6e-9a65-1f7b2b4b1f0e/dispatch/3\n"
        "4321\n"
        "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n"
        "signed_at 2024-05-12T14:20:00.250000Z\n"
    )
    assert is_signed(a_tree_head())


def test_a_leaf_has_the_time_the_principal_and_the_value() -> None:
    entry = entry_bytes(1_715_522_400_000_000, "participant:acme", b"\0\0\0\0\x09avro")
    assert entry.hex() == "000618422f419800" + "0010" + b"participant:acme".hex() + "0000000009" + b"avro".hex()
    assert leaf_hash(entry).hex() == "fffaef2c4a0d397d5df76487db1c681084d3c77adedfe9701e9bd3a449ae620c"


@pytest.mark.parametrize("key", ["00" * 32, "ff" * 32])
def test_what_is_no_key_has_signed_nothing(key: str) -> None:
    assert not is_signed(a_tree_head(signed_by=key))
