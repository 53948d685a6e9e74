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
_PATIENT = frozenset({Timer.SETTLE, Timer.SETTLE_FINALLY, Timer.DISPUTE_END})
"""These come behind all others: nothing is decided by when exactly they fire, and a thousand orders that ended together
have them at one moment."""
_PATIENT_TOGETHER = 32
"""Of them fired at once: as many as are appended together, and then others are looked for."""


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
    _patient: list[DueTimer] = field(default_factory=list, compare=False)

    def set(self, timer: Timer, subject_id: str, revision: int, due_at: datetime, zone: str) -> None:
        """Sets or moves the subject's timer of this kind."""
        due = DueTimer(due_at, timer, subject_id, revision, zone)
        if self._set.get((timer, subject_id)) != due:
            self._set[timer, subject_id] = due
            heap, is_patient = (self._patient, True) if timer in _PATIENT else (self._heap, False)
            if len(heap) > _SPARSE + 2 * len(self._set):
                heap[:] = (each for each in self._set.values() if (each.timer in _PATIENT) is is_patient)
                heapq.heapify(heap)
            else:
                heapq.heappush(heap, due)

    def clear(self, timer: Timer, subject_id: str) -> None:
        """Forgets it; nothing where it was not set."""
        self._set.pop((timer, subject_id), None)

    def is_set(self, due: DueTimer) -> bool:
        """Whether exactly this timer is waited for."""
        return self._set.get((due.timer, due.subject_id)) == due

    def next(self) -> DueTimer | None:
        """The first that is waited for; None where nothing is."""
        return min(filter(None, (self._first(self._heap), self._first(self._patient))), default=None)

    def _first(self, heap: list[DueTimer]) -> DueTimer | None:
        while heap and not self.is_set(heap[0]):
            heapq.heappop(heap)
        return heap[0] if heap else None

    def due(self, now: datetime) -> list[DueTimer]:
        """The first that have come by now, in the order in which they fire: whole moments.

        Several moments together, for somebody's hundreds must not hold up the gate behind them by a commit each. They
        come to the same as one after the other: what was to be decided in between is decided later than all of them
        anyway, and one that an earlier one has made void is passed over. Those of settlements come behind all others, a
        few at a time.
        """
        patient = self._due(self._patient, now, _PATIENT_TOGETHER, is_whole=False)
        return [*self._due(self._heap, now, _TOGETHER, is_whole=True), *patient]

    def _due(self, heap: list[DueTimer], now: datetime, at_once: int, *, is_whole: bool) -> list[DueTimer]:
        together = dict[DueTimer, None]()  # a timer moved away and back lies in the heap twice
        until = now
        while (due := self._first(heap)) is not None and due.due_at <= until:
            together[heapq.heappop(heap)] = None
            if len(together) >= at_once:
                if not is_whole:
                    break
                until = min(until, due.due_at)
        for due in together:
            heapq.heappush(heap, due)
        return list(together)
