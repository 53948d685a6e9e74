"""Whether what somebody took away from a log proves what it says, and the part of it that is made of a record."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from gridsignal_schemas.evidence import Evidence, ProvedRecord
from gridsignal_schemas.messages import TreeHead
from gridsignal_schemas.values import rfc3339
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.publish import principal_of, signature_of
from gridsignal_services.ledger.tree import entry_bytes
from gridsignal_services.merkle import is_consistent, is_included, leaf_hash
from gridsignal_services.tree_heads import is_signed


@dataclass(frozen=True, slots=True)
class TrustedSigner:
    """A key that is somebody's, as whoever verifies has it from elsewhere."""

    public_key: str
    name: str = ""
    valid_from: datetime | None = None
    valid_until: datetime | None = None


def proved(logged: LogRecord, path: Iterable[bytes], avro: str | None = None) -> ProvedRecord:
    """A record with its path, and its schema where it is known."""
    return ProvedRecord(
        offset=logged.offset,
        appended_us=logged.appended_us,
        principal=principal_of(logged),
        value=b64encode(logged.value).decode(),
        path=[each.hex() for each in path],
        avro=avro,
        signature=signature_of(logged),
    )


def faults_of(evidence: Evidence, signers: Iterable[TrustedSigner] | None = None) -> list[str]:
    """What is wrong with it by itself, a sentence each; empty where it proves what it says.

    Without signers the signature is that of the key that the head names, and whose that is remains to be known.
    """
    return [*faults_of_head(evidence.head, signers), *_faults_of_record(evidence)]


def faults_between(older: TreeHead, newer: Evidence) -> list[str]:
    """Why the newer head does not extend the older one, a sentence each; empty where it does."""
    head = newer.head
    if (older.log, older.partition) != (head.log, head.partition):
        return [
            f"expected heads of one partition of one log, got partition {older.partition} of {older.log}"
            f" and partition {head.partition} of {head.log}"
        ]
    if older.size > head.size:
        return [f"expected the older head first, got sizes {older.size} and {head.size}"]
    if older.size == head.size:
        same = older.root == head.root
        return [] if same else [f"two heads of size {head.size} have different roots: the log has two histories"]
    extends = newer.extends
    if extends is None or extends.size != older.size:
        return [f"the head of size {head.size} says nothing of how it extends that of size {older.size}"]
    path = [bytes.fromhex(each) for each in extends.path]
    if not is_consistent(older.size, bytes.fromhex(older.root), head.size, bytes.fromhex(head.root), path):
        return [f"the head of size {head.size} does not extend that of size {older.size}: its path leads elsewhere"]
    return []


def faults_of_head(head: TreeHead, signers: Iterable[TrustedSigner] | None) -> Iterator[str]:
    """What is wrong with a head by itself, a sentence each."""
    if not is_signed(head):
        yield f"the head of size {head.size} was changed: its signature is not that of the key it names"
    if signers is None:
        return
    known = [signer for signer in signers if signer.public_key == head.signed_by]
    if not known:
        yield f"the head of size {head.size} is signed with a key that is not known: {head.signed_by}"
    elif not any(_was_valid(signer, head.signed_at) for signer in known):
        yield f"the head of size {head.size} is signed with a key that was not valid at {rfc3339(head.signed_at)}"


def _was_valid(signer: TrustedSigner, at: datetime) -> bool:
    begun = signer.valid_from is None or signer.valid_from <= at
    return begun and (signer.valid_until is None or at < signer.valid_until)


def _faults_of_record(evidence: Evidence) -> Iterator[str]:
    if (record := evidence.record) is None:
        return
    head = evidence.head
    try:
        leaf = leaf_hash(entry_bytes(record.appended_us, record.principal, record.bytes()))
    except ValueError:
        yield f"the record at offset {record.offset} was changed: its value is no base64"
        return
    path = [bytes.fromhex(each) for each in record.path]
    if not is_included(leaf, record.offset, head.size, path, bytes.fromhex(head.root)):
        yield (
            f"the record at offset {record.offset} is not under the head of size {head.size}:"
            " the record, its offset, its path or the head's root was changed"
        )
