"""The moments a partition waits for, derived from its state: after a restart they are the same again.

Bounded: one timer for each kind and subject that is not over; overtaken ones leave the heap when they are most of it.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from gridsignal_schemas.messages import Timer

_SPARSE = 64
"""A heap as small as this is not worth clearing out."""


_TOGETHER = 256
"""Moments of one kind that are fired together."""
_INDEPENDENT = frozenset({Timer.EXPIRY, Timer.GATE_CLOSURE})
"""Of these one changes nothing that the next one of its kind asks about."""


class DueTimer(NamedTuple):
    """A moment, and whose it is. Sorted by time, kind, subject: the order in which due timers fire."""

    due_at: datetime
    timer: Timer
    subject_id: str
    revision: int
    zone: str


@dataclass(slots=True)
class Timers:
    """Set, moved and cleared by the reduce; read by the owner's shell."""

    _set: dict[tuple[Timer, str], DueTimer] = field(default_factory=dict)
    _heap: list[DueTimer] = field(default_factory=list, compare=False)

    def set(self, timer: Timer, subject_id: str, revision: int, due_at: datetime, zone: str) -> None:
        """Sets or moves the subject's timer of this kind."""
        due = DueTimer(due_at, timer, subject_id, revision, zone)
        if self._set.get((timer, subject_id)) != due:
            self._set[timer, subject_id] = due
            if len(self._heap) > _SPARSE + 2 * len(self._set):
                self._heap = list(self._set.values())
                heapq.heapify(self._heap)
            else:
                heapq.heappush(self._heap, due)

    def clear(self, timer: Timer, subject_id: str) -> None:
        """Forgets it; nothing where it was not set."""
        self._set.pop((timer, subject_id), None)

    def is_set(self, due: DueTimer) -> bool:
        """Whether exactly this timer is waited for."""
        return self._set.get((due.timer, due.subject_id)) == due

    def next(self) -> DueTimer | None:
        """The first that is waited for; None where nothing is."""
        while self._heap and not self.is_set(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def due(self, now: datetime) -> list[DueTimer]:
        """All of the first moment that has come by now, in the order in which they fire; later moments wait.

        But for offers that expire one after the other, and for gates that close so: nothing is to be decided in
        between, and somebody's hundreds must not hold up the gate behind them by a moment each.
        """
        first, together = self.next(), dict[DueTimer, None]()  # a timer moved away and back lies in the heap twice
        until = now if first is None else min(now, first.due_at)
        while (due := self.next()) is not None and due.due_at <= until:
            together[heapq.heappop(self._heap)] = None
            following = self.next()
            if following is not None and _goes_with(together, following) and following.due_at <= now:
                until = following.due_at
        for due in together:
            heapq.heappush(self._heap, due)
        return list(together)


def _goes_with(together: dict[DueTimer, None], following: DueTimer) -> bool:
    """Whether the next moment may be looked at with these."""
    first, last = next(iter(together)), next(reversed(together))
    kinds = {first.timer, last.timer, following.timer}
    return len(together) < _TOGETHER and len(kinds) == 1 and kinds <= _INDEPENDENT
