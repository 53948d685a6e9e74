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
"""Timers fired at once, and those of the same moment as the last of them."""


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
        """The first that have come by now, in the order in which they fire: whole moments.

        Several moments together, for somebody's hundreds must not hold up the gate behind them by a commit each. They
        come to the same as one after the other: what was to be decided in between is decided later than all of them
        anyway, and one that an earlier one has made void is passed over.
        """
        together = dict[DueTimer, None]()  # a timer moved away and back lies in the heap twice
        until = now
        while (due := self.next()) is not None and due.due_at <= until:
            together[heapq.heappop(self._heap)] = None
            if len(together) >= _TOGETHER:
                until = min(until, due.due_at)
        for due in together:
            heapq.heappush(self._heap, due)
        return list(together)
