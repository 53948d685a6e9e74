"""The Merkle tree over a partition's records, as it grows with them, and which heads of it hold.

A head is signed when the log stands somewhere and logged a little later: what was logged meanwhile comes after what it
covers. So the last leaves are kept one by one, and the tree can be told as it was before them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from struct import Struct

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import TreeHead
from gridsignal_schemas.rules.faults import fault
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.publish import principal_of
from gridsignal_services.merkle import Frontier, leaf_hash
from gridsignal_services.tree_heads import is_signed

RECENT = 2048
"""Leaves kept one by one: to go over them takes two milliseconds."""
_CODE = "NOT_THIS_TREE"
_BEGIN = Struct(">qH")


def leaf_of(logged: LogRecord) -> bytes:
    """The hash of a record's leaf; its bytes are those of docs/settlement.md, "Proof"."""
    return leaf_hash(entry_bytes(logged.appended_us, principal_of(logged), logged.value))


def entry_bytes(appended_us: int, principal: str, value: bytes) -> bytes:
    """What is hashed of a record: when it was logged, who caused it, and its value."""
    who = principal.encode()
    return _BEGIN.pack(appended_us, len(who)) + who + value


@dataclass(slots=True)
class Tree:
    """Bounded: the leaves kept one by one by RECENT. When full: the oldest becomes part of the tree before them, and a
    head that covers less is refused. Conflates: nothing."""

    before: Frontier = field(default_factory=Frontier)
    recent: deque[bytes] = field(default_factory=deque)
    """Leaves after those."""
    now: Frontier = field(default_factory=Frontier)
    """The tree with all of them."""
    covered: int = 0
    """By the last head that held: the offsets below."""
    news_to: int = 0
    """After the last record that is no head."""
    cleared_to: int = 0
    """After the last clearing that held."""

    @property
    def size(self) -> int:
        """Leaves in all."""
        return self.now.size

    @property
    def has_news(self) -> bool:
        """Whether no head covers all records but heads."""
        return self.news_to > self.covered

    @property
    def has_clearing(self) -> bool:
        """Whether no head covers the last clearing."""
        return self.cleared_to > self.covered

    def append(self, leaf: bytes) -> None:
        """Adds the next record."""
        self.recent.append(leaf)
        self.now.append(leaf)
        if len(self.recent) > RECENT:
            self.before.append(self.recent.popleft())

    def root(self) -> bytes:
        """The root as it is now."""
        return self.now.root()

    def fault_of(self, head: TreeHead, partition: int) -> Detail | None:
        """What is wrong with a head that is logged now; None where it holds, and is then the last."""
        if head.partition != partition:
            return fault(_CODE, "/partition", f"expected a head of partition {partition}, got one of {head.partition}")
        if not self.covered < head.size <= self.size:
            return fault(_CODE, "/size", f"expected a size from {self.covered + 1} to {self.size}, got {head.size}")
        if head.size < self.before.size:
            return fault(_CODE, "/size", f"expected one of the last {RECENT} records, got {head.size} of {self.size}")
        if not is_signed(head):
            return fault(_CODE, "/signature", "expected a signature of the key in signed_by")
        while self.before.size < head.size:
            self.before.append(self.recent.popleft())
        if head.root != (root := self.before.root().hex()):
            return fault(_CODE, "/root", f"expected {root}, got {head.root}")
        self.covered = head.size
        return None
