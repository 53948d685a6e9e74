"""The headway of those who follow a stream: how far they have read, how far behind they are, and what keeps them.

    filling -> caught up -> live

Of each partition: what was on the log at first is still being read; it was, and other partitions are not so far; all
are, and records are taken as they come. Beside it, and over again by itself: the log is away, or the partition is
stuck, for its end is ahead and nothing comes. Lost is what next is read and no longer kept. Reads nothing, asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from math import inf

STUCK_S = 30.0
"""So long with records ahead and none taken."""
_KINDS = 64
"""Kinds of poison that are told of; more are counted like the others."""


class Phase(StrEnum):
    """How it is with one partition."""

    FILLING = "filling"
    CAUGHT_UP = "caught up"
    LIVE = "live"
    STUCK = "stuck"
    AWAY = "away"
    LOST = "lost"


class Headway:
    """Of one stream, as one of those who follow it reads it.

    Bounded: some numbers for each partition, `_KINDS` kinds of poison. When full: further kinds are counted, and not
    told of. Conflates: nothing.
    """

    def __init__(
        self,
        by: str,
        stream: str,
        partitions: int,
        *,
        now_s: Callable[[], float],
        stuck_s: float = STUCK_S,
    ) -> None:
        """`by` names who follows; `now_s` is a clock that only goes on."""
        self.by, self.stream = by, stream
        self.positions: dict[int, int] = {}
        """The next offset of each partition: what lies before it was taken, or was not wanted. None until it begins."""
        self.poison = 0
        """Records that could not be read."""
        self._partitions, self._stuck_s, self._now_s = range(partitions), stuck_s, now_s
        self._goal: dict[int, int] | None = None
        """The end of the log as it was at first."""
        self._ends: dict[int, int] = {}
        """The end of the log as it was last told."""
        self._waits_since_s: dict[int, float] = {}
        """Of those with records ahead, since when none was taken."""
        self._doubted_s = -inf
        self._away: dict[int, str] = {}
        """Those that were not read since the log did not answer, and why it did not."""
        self._lost = ""
        self._kinds: set[str] = set()

    # --- what happens --------------------------------------------------------------------------------------------

    def begin(self, positions: Mapping[int, int], ends: Mapping[int, int]) -> None:
        """Reading begins at these positions of a log that ends there."""
        self.positions, self._goal = dict(positions), dict(ends)
        self.look(ends)

    def move(self, positions: Mapping[int, int]) -> None:
        """All before these positions was taken."""
        for partition, position in positions.items():
            if position != self.positions.get(partition):
                self._waits_since_s.pop(partition, None)
                self._away.pop(partition, None)
        self.positions, self._lost = dict(positions), ""

    def look(self, ends: Mapping[int, int]) -> None:
        """The log says that it ends there."""
        self._ends = dict(ends)
        self._away.clear()
        for partition in self._partitions:
            if self.behind(partition):
                self._waits_since_s.setdefault(partition, self._now_s())
            else:
                self._waits_since_s.pop(partition, None)

    def away(self, reason: object) -> None:
        """The log was asked for something, and did not answer."""
        self._away = dict.fromkeys(self._partitions, str(reason))

    def lose(self, reason: object) -> None:
        """What comes next is no longer kept."""
        self._lost = str(reason)

    def pass_over(self, reason: str) -> bool:
        """A record could not be read. Whether that is to be told: it is the first of its kind."""
        self.poison += 1
        kind = reason.partition(", got")[0]  # what was expected of it
        is_new = kind not in self._kinds and len(self._kinds) < _KINDS
        if is_new:
            self._kinds.add(kind)
        return is_new

    def doubt(self) -> bool:
        """Whether to try another reader: something is stuck, and none was tried for a while."""
        if not self.stuck() or self._now_s() - self._doubted_s < self._stuck_s:
            return False
        self._doubted_s = self._now_s()
        return True

    # --- how it is -----------------------------------------------------------------------------------------------

    @property
    def has_caught_up(self) -> bool:
        """Whether all has been taken that was on the log at first."""
        return self._goal is not None and self.has_passed(self._goal)

    def has_passed(self, ends: Mapping[int, int]) -> bool:
        """Whether all before these offsets has been taken."""
        return all(self.positions.get(partition, 0) >= end for partition, end in ends.items())

    def behind(self, partition: int) -> int:
        """How many offsets the partition was ahead, when the log was last asked for its end."""
        return max(0, self._ends.get(partition, 0) - self.positions.get(partition, 0))

    def phase(self, partition: int) -> Phase:
        """How it is with this partition."""
        if self._lost:
            return Phase.LOST
        if partition in self._away:
            return Phase.AWAY
        if self.is_stuck(partition):
            return Phase.STUCK
        if self._goal is None or self.positions.get(partition, 0) < self._goal[partition]:
            return Phase.FILLING
        return Phase.LIVE if self.has_caught_up else Phase.CAUGHT_UP

    def stuck(self) -> frozenset[int]:
        """The partitions that are."""
        return frozenset(filter(self.is_stuck, self._partitions))

    def is_stuck(self, partition: int) -> bool:
        """Whether the log has had more of it for a while, and nothing came."""
        since_s = self._waits_since_s.get(partition)
        return since_s is not None and self._now_s() - since_s >= self._stuck_s

    def place(self, partition: int) -> dict[str, int]:
        """Where it is in this partition, for a line of the log."""
        return {"partition": partition, "position": self.positions.get(partition, 0), "behind": self.behind(partition)}

    @property
    def trouble(self) -> str:
        """Which partitions can't be relied on now and why, or nothing."""
        found: dict[str, list[str]] = {}
        for partition in self._partitions:
            if (phase := self.phase(partition)) not in (Phase.LIVE, Phase.CAUGHT_UP):
                found.setdefault(self._reason(partition, phase), []).append(str(partition))
        return "; ".join(f"{self.stream} {', '.join(those)}: {reason}" for reason, those in found.items())

    def _reason(self, partition: int, phase: Phase) -> str:
        reason = self._lost or self._away.get(partition, "")
        return f"{phase} ({reason})" if reason else str(phase)

    def phases(self) -> Iterator[tuple[int, Phase]]:
        """Every partition, and how it is with it."""
        return ((partition, self.phase(partition)) for partition in self._partitions)
