"""When a partition's next tree head is due: some time after the first news that no head covers, soon after a clearing.

Heads follow the machine's time, also where grid time runs faster: what they cost is counted in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from gridsignal_schemas.messages import TreeHead
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.tree_heads import Signs, signed_head


@dataclass(slots=True)
class _Since:
    """When what no head covers yet was first seen, in seconds; None while there is none of it."""

    news: float | None = None
    clearing: float | None = None


@dataclass(frozen=True, slots=True)
class Heads:
    """Who signs the heads of a log, and how long after what.

    Bounded: two numbers for each partition.
    """

    log: str
    """Its epoch."""
    signer: Signs
    every_s: float
    after_clearing_s: float
    wall: Callable[[], datetime]
    """When a head is signed."""
    _since: dict[int, _Since] = field(default_factory=dict)

    def due_s(self, ledger: Ledger, now_s: float) -> float | None:
        """When the next head is to be written; None where there is nothing new."""
        tree, since = ledger.tree, self._since.setdefault(ledger.partition, _Since())
        since.news = _first(since.news, now_s) if tree.has_news else None
        since.clearing = _first(since.clearing, now_s) if tree.has_clearing else None
        if since.news is None:
            return None
        due_s = since.news + self.every_s
        return due_s if since.clearing is None else min(due_s, since.clearing + self.after_clearing_s)

    def head_of(self, ledger: Ledger) -> TreeHead:
        """The head of all that is reduced."""
        tree = ledger.tree
        return signed_head(
            ledger.partition, tree.size, tree.root(), log=self.log, signed_at=self.wall(), signer=self.signer
        )

    def begin_again(self, ledger: Ledger) -> None:
        """What was written did not hold, for another owner's came before it: the next is due as after first news."""
        self._since.pop(ledger.partition, None)


def _first(seen: float | None, now_s: float) -> float:
    return now_s if seen is None else seen
