"""Evidence proves its record and its head by itself, and nothing once anything in it is changed."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.evidence import Evidence, Extension
from gridsignal_services.audit.evidence import TrustedSigner, faults_between, faults_of, proved
from gridsignal_services.bus import PRINCIPAL, LogRecord
from gridsignal_services.ledger.tree import leaf_of
from gridsignal_services.merkle import consistency_path, inclusion_path, root_of
from gridsignal_services.tree_heads import signed_head
from tests.builders import utc
from tests.unit.audit.test_merkle import Tree
from tests.unit.ledger.test_tree_heads import LOG, a_signer

RECORDS = [
    LogRecord(
        "dispatch", 3, at, "DE-LU", f"value {at}".encode(), 1_700_000_000_000_000 + at, {PRINCIPAL: f"operator:{at}"}
    )
    for at in range(20)
]
SIGNED_AT = utc("18:00")
KEY = a_signer().public_key


def tree_of(records: list[LogRecord]) -> Tree:
    tree = Tree([])
    tree.leaves = [leaf_of(record) for record in records]
    return tree


TREE = tree_of(RECORDS)


def evidence_of(size: int, offset: int | None = None, older: int | None = None, tree: Tree = TREE) -> Evidence:
    head = signed_head(3, size, root_of(size, tree.full), log=LOG, signed_at=SIGNED_AT, signer=a_signer())
    record = None if offset is None else proved(RECORDS[offset], inclusion_path(offset, size, tree.full))
    extends = None
    if older is not None:
        extends = Extension(size=older, path=[each.hex() for each in consistency_path(older, size, tree.full)])
    return Evidence(head=head, record=record, extends=extends)


def read(fields: dict[str, Any]) -> Evidence:
    return Evidence.model_validate_json(json.dumps(fields))


@given(st.integers(1, 20), st.data())
def test_each_record_under_a_head_is_proved_from_the_file_alone(size: int, data: st.DataObject) -> None:
    evidence = evidence_of(size, data.draw(st.integers(0, size - 1)))
    assert faults_of(Evidence.model_validate_json(evidence.model_dump_json()), [TrustedSigner(KEY)]) == []


@given(st.integers(1, 20), st.data())
def test_a_flipped_bit_of_the_record_names_it(size: int, data: st.DataObject) -> None:
    fields = json.loads(evidence_of(size, offset := data.draw(st.integers(0, size - 1))).model_dump_json())
    record, what = fields["record"], data.draw(st.sampled_from(["appended_us", "principal", "value", "path", "offset"]))
    match what:
        case "appended_us" | "offset":
            record[what] += 1
        case "principal":
            record[what] += "x"
        case "value":
            value = bytearray(b64decode(record[what]))
            bit = data.draw(st.integers(0, 8 * len(value) - 1))
            value[bit // 8] ^= 1 << bit % 8
            record[what] = b64encode(value).decode()
        case _:
            record[what] = [*record[what], "00" * 32]
    (fault,) = faults_of(read(fields))
    offset += what == "offset"
    assert fault.startswith(f"the record at offset {offset} is not under the head of size {size}")


def test_a_head_counts_from_a_known_key_while_that_is_valid() -> None:
    evidence = evidence_of(5)
    hour = {"valid_from": utc("17:30"), "valid_until": utc("18:30")}
    assert faults_of(evidence, [TrustedSigner("00" * 32), TrustedSigner(KEY, "tso", **hour)]) == []
    (unknown,) = faults_of(evidence, [TrustedSigner("00" * 32)])
    assert unknown == f"the head of size 5 is signed with a key that is not known: {KEY}"
    for bounds in ({"valid_from": utc("18:30")}, {"valid_until": SIGNED_AT}):
        (late,) = faults_of(evidence, [TrustedSigner(KEY, **bounds)])
        assert late == f"the head of size 5 is signed with a key that was not valid at {SIGNED_AT.isoformat()[:-6]}Z"


def test_a_head_that_was_changed_says_so() -> None:
    evidence = evidence_of(5)
    changed = evidence.model_copy(update={"head": evidence.head.model_copy(update={"size": 4})})
    assert faults_of(changed) == ["the head of size 4 was changed: its signature is not that of the key it names"]


@given(st.integers(1, 20), st.data())
def test_a_newer_head_extends_an_older_one(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    assert faults_between(evidence_of(old).head, evidence_of(new, older=old)) == []


@given(st.integers(2, 20), st.data())
def test_a_history_in_which_a_record_is_another_extends_nothing(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new - 1))
    changed = data.draw(st.integers(0, old - 1))
    other = tree_of([*RECORDS[:changed], RECORDS[changed - 1], *RECORDS[changed + 1 :]])
    (fault,) = faults_between(evidence_of(old).head, evidence_of(new, older=old, tree=other))
    assert "does not extend" in fault
    (fault,) = faults_between(evidence_of(new).head, evidence_of(new, tree=other))
    assert "two histories" in fault


def test_heads_that_can_not_be_compared_say_why() -> None:
    five, nine = evidence_of(5), evidence_of(9)
    elsewhere = five.head.model_copy(update={"log": "another"})
    assert "expected heads of one partition of one log" in faults_between(elsewhere, nine)[0]
    assert "expected the older head first" in faults_between(nine.head, five)[0]
    assert "says nothing of how it extends" in faults_between(five.head, nine)[0]
