"""Baseline declarations, and what a site will draw over a period: the last one logged before a request counts for it.

What is asked of them costs by the declarations and edges in the period, not by their points.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import NamedTuple

from gridsignal_schemas.frames import Detail, Receipt
from gridsignal_schemas.messages import BaselineDeclaration
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.in_force import Statement, in_force
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.rules.profile import Block, Profile

_RUN = 64
"""Intervals whose lowest and highest power are kept as one."""
_NOTHING = -1
FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
NEVER_LOGGED = 2**63
"""An offset that is later than any."""


TOO_MANY = fault(
    "BASELINES",
    "/starts_at",
    f"expected at most {LIMITS.baselines_of_site} declarations with {LIMITS.baseline_points_of_site} intervals"
    " that are not over",
)


class Declared(NamedTuple):
    """A baseline declaration, where it lies, its receipt, and the period it covers."""

    place: int
    baseline: BaselineDeclaration
    receipt: Receipt
    starts_at: datetime
    ends_at: datetime
    step: timedelta
    lowest: tuple[int, ...]
    """Of each run of intervals."""
    highest: tuple[int, ...]

    @classmethod
    def of(cls, place: int, baseline: BaselineDeclaration, receipt: Receipt) -> Declared:
        """With what is asked of it at every offer, and so computed once."""
        step, power = timedelta(seconds=baseline.resolution_s), baseline.power_w
        runs = [power[first : first + _RUN] for first in range(0, len(power), _RUN)]
        lowest, highest = tuple(map(min, runs)), tuple(map(max, runs))
        ends_at = baseline.starts_at + step * len(power)
        return cls(place, baseline, receipt, baseline.starts_at, ends_at, step, lowest, highest)

    def at(self, when: datetime) -> int:
        """The power at a moment it covers, in watts."""
        return self.baseline.power_w[(when - self.starts_at) // self.step]

    def lowest_w(self, starts_at: datetime, ends_at: datetime) -> int:
        """The least over a period it covers, in watts."""
        return min(self._over(starts_at, ends_at, self.lowest))

    def highest_w(self, starts_at: datetime, ends_at: datetime) -> int:
        """The most over a period it covers, in watts."""
        return max(self._over(starts_at, ends_at, self.highest))

    def _over(self, starts_at: datetime, ends_at: datetime, runs: Sequence[int]) -> list[int]:
        first, last = (starts_at - self.starts_at) // self.step, -((self.starts_at - ends_at) // self.step)
        power, head, tail = self.baseline.power_w, -(-first // _RUN), last // _RUN
        if head >= tail:
            return power[first:last]
        return [*power[first : head * _RUN], *runs[head:tail], *power[tail * _RUN : last]]


class Stretch(NamedTuple):
    """A part of a period, and the declaration that counts there."""

    starts_at: datetime
    ends_at: datetime
    declared: Declared


def stretches(
    declarations: Sequence[Declared], starts_at: datetime, ends_at: datetime, before: int
) -> list[Stretch] | None:
    """What counts over a period of those logged before an offset, in no order; None where a part has none."""
    found: list[Stretch] = []
    open_ = [(starts_at, ends_at)]
    for declared in reversed(declarations[: bisect_left(declarations, before, key=_place)]):
        if not open_:  # mostly after the newest: an offer is not to cost by all that was ever declared
            break
        if declared.starts_at < ends_at and starts_at < declared.ends_at:
            open_ = list(_left_open(open_, declared, found))
    return None if open_ else found


def counting(declarations: Sequence[Declared], starts_at: datetime, ends_at: datetime) -> Iterator[Stretch]:
    """What counts over a period, in order of time; where nothing is declared there is a gap."""
    touching = [each for each in declarations if each.starts_at < ends_at and starts_at < each.ends_at]
    statements = [Statement(each.starts_at, each.ends_at, (turn,)) for turn, each in enumerate(touching)]
    for since, until, turn in in_force(statements):
        first, last = max(since, starts_at), min(until, ends_at)
        if first < last:
            yield Stretch(first, last, touching[turn])


def runs_of(stretch: Stretch) -> Iterator[Block]:
    """A stretch as parts of constant power."""
    starts_at, ends_at, declared = stretch
    step, since = declared.step, declared.starts_at
    at, end = (starts_at - since) // step, -((since - ends_at) // step)
    for power_w, same in groupby(declared.baseline.power_w[at:end]):
        until = at + len(list(same))
        yield Block(max(starts_at, since + at * step), min(ends_at, since + until * step), power_w)
        at = until


def _left_open(
    open_: Sequence[tuple[datetime, datetime]], declared: Declared, found: list[Stretch]
) -> Iterator[tuple[datetime, datetime]]:
    for since, until in open_:
        first, last = max(since, declared.starts_at), min(until, declared.ends_at)
        if first >= last:
            yield since, until
            continue
        found.append(Stretch(first, last, declared))
        if since < first:
            yield since, first
        if last < until:
            yield last, until


def least_room_w(found: Sequence[Stretch], promised: Profile, *, floor_w: int | None, ceiling_w: int) -> int:
    """What is left at the tightest moment, in watts: above the floor, or without one below the ceiling."""
    rooms = []
    for starts_at, ends_at, declared in found:
        moments = [starts_at, *promised.edges(starts_at, ends_at), ends_at]
        for since, until in pairwise(moments):
            if floor_w is not None:
                room = declared.lowest_w(since, until) - floor_w
            else:
                room = ceiling_w - declared.highest_w(since, until)
            rooms.append(room - promised.at(since))
    return min(rooms)


class Question(NamedTuple):
    """A request as of an offset may ask about this period."""

    place: int
    starts_at: datetime
    ends_at: datetime


def still_asked_for(declarations: Sequence[Declared], questions: Sequence[Question]) -> list[Declared]:
    """Those that count for one of the questions, in the order of the log."""
    asked: dict[int, tuple[datetime, datetime]] = {}
    for place, starts_at, ends_at in questions:  # between two declarations all requests ask for the same ones
        before = bisect_left(declarations, place, key=_place)
        since, until = asked.get(before, (starts_at, ends_at))
        asked[before] = min(since, starts_at), max(until, ends_at)
    counts: set[int] = set()
    on_top, logged = _OnTop(), 0
    for before, (since, until) in sorted(asked.items()):
        for index in range(logged, before):
            on_top.lay(declarations[index].starts_at, declarations[index].ends_at, index)
        counts |= on_top.during(since, until)
        logged = before
    return [declared for index, declared in enumerate(declarations) if index in counts]


class _OnTop:
    """Which of several things that are laid over one another one sees at each moment. One more costs by what it hides.

    Bounded: two edges for each.
    """

    def __init__(self) -> None:
        self._edges = [datetime.min.replace(tzinfo=UTC)]
        self._seen: list[int] = [_NOTHING]
        """From each edge on."""

    def lay(self, starts_at: datetime, ends_at: datetime, index: int) -> None:
        """Lays one over all before it, for a period that is not empty."""
        first = self._edge(starts_at)
        last = self._edge(ends_at)
        self._edges[first:last] = [starts_at]
        self._seen[first:last] = [index]

    def _edge(self, when: datetime) -> int:
        at = bisect_left(self._edges, when)
        if at == len(self._edges) or self._edges[at] != when:
            self._edges.insert(at, when)
            self._seen.insert(at, self._seen[at - 1])
        return at

    def during(self, since: datetime, until: datetime) -> set[int]:
        """What one sees in a period."""
        if since >= until:
            return set()
        return set(self._seen[bisect_right(self._edges, since) - 1 : bisect_left(self._edges, until)])


def declaration_fault(baseline: BaselineDeclaration, capacity_w: int) -> Detail | None:
    """Why a declaration counts for nothing: it says what the connection can't carry, or is finer than is kept."""
    over = next((i for i, power_w in enumerate(baseline.power_w) if power_w > capacity_w), None)
    if over is not None:
        expected = f"expected at most the connection's {capacity_w} W, got {baseline.power_w[over]}"
        return fault("OVER_CAPACITY", f"/power_w/{over}", expected)
    if baseline.resolution_s < LIMITS.baseline_resolution_s:
        expected = f"expected at least {LIMITS.baseline_resolution_s}, got {baseline.resolution_s}"
        return fault("RESOLUTION", "/resolution_s", expected)
    return None


def is_replaced(older: Declared, newer: Declared, now: datetime) -> bool:
    """Whether nothing of the older declaration is left that a later request could count on."""
    return newer.starts_at <= max(older.starts_at, now) and older.ends_at <= newer.ends_at


def are_too_many(current: Sequence[Declared], baseline: BaselineDeclaration) -> bool:
    """Whether there is no room for one more beside those that are not over."""
    points = len(baseline.power_w) + sum(len(kept.baseline.power_w) for kept in current)
    return len(current) >= LIMITS.baselines_of_site or points > LIMITS.baseline_points_of_site


def _place(declared: Declared) -> int:
    return declared.place
