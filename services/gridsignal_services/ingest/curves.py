"""Curves of equal steps: cut at market days, joined with explicit gaps, never overlapping.

Everything is counted in UTC from a curve's own start: local days have 23, 24 or 25 hours and nobody adds hours to a
local midnight here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.schedule import day_starts_at, market_day

Value = Decimal | None
LONGEST_JOIN = timedelta(hours=26)
"""No market day is longer than 25 hours, so nothing longer is ever made by joining."""
OWN_STEP = 12
"""So many equal distances in a row are a step; fewer of them, beside a finer step, are missing rows."""
LONGEST_STEP_S = 3600
"""A longer step is not read from stamps: more likely only the changes were written down."""
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Curve:
    """Point i covers [starts_at + i x resolution_s, + resolution_s); None is a gap."""

    starts_at: datetime
    resolution_s: int
    values: tuple[Value, ...]

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(seconds=self.resolution_s * len(self.values))

    def index_of(self, when: datetime) -> int:
        """Steps from the start to `when`; it has to lie on a step."""
        steps, rest = divmod(when - self.starts_at, timedelta(seconds=self.resolution_s))
        if rest:
            raise Malformed(f"expected a time on the {self.resolution_s} s grid of the curve, got {when.isoformat()}")
        return steps


def clipped(curve: Curve, starts_at: datetime | None, ends_at: datetime | None) -> Curve | None:
    """The part inside the window, whole steps only; None when nothing is left."""
    step = timedelta(seconds=curve.resolution_s)
    first = 0 if starts_at is None else max(0, -((curve.starts_at - starts_at) // step))
    last = len(curve.values) if ends_at is None else min(len(curve.values), (ends_at - curve.starts_at) // step)
    if first >= last:
        return None
    return Curve(curve.starts_at + first * step, curve.resolution_s, curve.values[first:last])


def so_far(curve: Curve) -> Curve | None:
    """Without the gaps at its end, which are not out yet; None when it is all gap.

    Gaps at its start stay: a day's series has the same start however much of it is known, or it were another series.
    """
    known = [i for i, value in enumerate(curve.values) if value is not None]
    return Curve(curve.starts_at, curve.resolution_s, curve.values[: known[-1] + 1]) if known else None


def by_day(curve: Curve, market_time: ZoneInfo) -> list[Curve]:
    """Cut at the market's midnights; a step that straddles one is refused."""
    days, start = [], curve.starts_at
    while start < curve.ends_at:
        midnight = day_starts_at(market_day(start, market_time) + timedelta(days=1), market_time)
        end = min(midnight, curve.ends_at)
        values = curve.values[curve.index_of(start) : curve.index_of(end)]
        days.append(Curve(start, curve.resolution_s, values))
        start = end
    return days


def joined(curves: Iterable[Curve]) -> list[Curve]:
    """Curves of one day: those of one resolution become one curve, with gaps where nothing was said.

    Repeats of equal values are dropped; two values for one instant are refused. Where two resolutions cover the same
    time the finer one stays, if it agrees with the coarser one in the mean.
    """
    by_step: dict[int, list[Curve]] = {}
    for curve in sorted(curves, key=lambda c: (c.resolution_s, c.starts_at)):
        by_step.setdefault(curve.resolution_s, []).append(curve)
    result: list[Curve] = []
    for same_step in by_step.values():
        for curve in _merged(same_step):
            result.extend(_not_covered(curve, result))
    return sorted(result, key=lambda c: c.starts_at)


def _merged(curves: Sequence[Curve]) -> list[Curve]:
    merged: list[Curve] = []
    for curve in curves:
        if merged and curve.ends_at - merged[-1].starts_at <= LONGEST_JOIN and _same_grid(merged[-1], curve):
            merged[-1] = _overlaid(merged[-1], curve)
        elif merged and curve.starts_at < merged[-1].ends_at:
            raise Malformed(f"two curves overlap at {curve.starts_at.isoformat()}")
        else:
            merged.append(curve)
    return merged


def _same_grid(one: Curve, other: Curve) -> bool:
    return not (other.starts_at - one.starts_at) % timedelta(seconds=one.resolution_s)


def _overlaid(one: Curve, other: Curve) -> Curve:
    offset = one.index_of(other.starts_at)
    values = list(one.values) + [None] * (offset + len(other.values) - len(one.values))
    for i, value in enumerate(other.values, offset):
        if value is None:
            continue
        if values[i] is not None and values[i] != value:
            when = one.starts_at + timedelta(seconds=i * one.resolution_s)
            raise Malformed(f"two values for {when.isoformat()}: {values[i]} and {value}")
        values[i] = value
    return Curve(one.starts_at, one.resolution_s, tuple(values))


def _not_covered(coarse: Curve, finer: Sequence[Curve]) -> list[Curve]:
    """The runs of a coarser curve that no finer one covers."""
    overlapping = [f for f in finer if f.starts_at < coarse.ends_at and coarse.starts_at < f.ends_at]
    if not overlapping:
        return [coarse]
    step = timedelta(seconds=coarse.resolution_s)
    runs: list[Curve] = []
    for i, value in enumerate(coarse.values):
        start = coarse.starts_at + i * step
        if any(_covers(f, start, start + step, value) for f in overlapping):
            continue
        if runs and runs[-1].ends_at == start:
            runs[-1] = Curve(runs[-1].starts_at, coarse.resolution_s, (*runs[-1].values, value))
        else:
            runs.append(Curve(start, coarse.resolution_s, (value,)))
    return runs


def _covers(fine: Curve, start: datetime, end: datetime, value: Value) -> bool:
    part = clipped(fine, start, end)
    if part is None and not (fine.starts_at < end and start < fine.ends_at):
        return False
    known = [v for v in part.values if v is not None] if part else []
    if value is not None and known and abs(sum(known, Decimal(0)) / len(known) - value) > Decimal("0.01"):
        raise Malformed(f"two resolutions disagree at {start.isoformat()}")
    return True


def from_stamps(stamps: Sequence[int], values: Sequence[Value], left_out: list[str] | None = None) -> list[Curve]:
    """Curves from start stamps (seconds since 1970): the step is what most of them say, what is not there is a gap.

    The step may change on the way, where enough stamps say so. Refused where a step would be a guess. Two values for
    one stamp are a gap, told in `left_out`; without it they are refused.
    """
    rows = _in_order(stamps, values, left_out)
    if len(rows) < 2:
        raise Malformed(f"expected at least two stamps to tell the step from, got {len(rows)}: resolution_s says it")
    steps = _steps([stamp for stamp, _ in rows])
    for one, other in pairwise(steps):
        if max(one, other) % min(one, other):
            raise Malformed(f"expected steps of which one divides the other, got {one} s and {other} s")
    if (longest := max(steps)) > LONGEST_STEP_S:
        raise Malformed(f"expected intervals of at most {LONGEST_STEP_S} s, got {longest} s: resolution_s says it")
    curves: list[Curve] = []
    first = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or steps[i] != steps[first]:
            curves.append(_run(rows[first:i], steps[first]))
            if 2 * (i - first) <= len(curves[-1].values):
                missing = len(curves[-1].values) - (i - first)
                told = f"{steps[first]} s would leave {missing} of {len(curves[-1].values)} intervals without a row"
                raise Malformed(f"expected stamps that tell their step, got some of which {told}: resolution_s says it")
            first = i
    return curves


def of_step(stamps: Sequence[int], values: Sequence[Value], step_s: int, left_out: list[str] | None = None) -> Curve:
    """One curve from start stamps where the feed's step is known; what is not there, or told in two ways, is a gap."""
    rows = _in_order(stamps, values, left_out)
    if not rows:
        raise Malformed("expected at least one stamp, got none")
    return _run(rows, step_s)


def _in_order(stamps: Sequence[int], values: Sequence[Value], left_out: list[str] | None) -> list[tuple[int, Value]]:
    rows: dict[int, Value] = {}
    disputed: set[int] = set()
    for stamp, value in sorted(zip(stamps, values, strict=True), key=lambda row: row[0]):
        known = rows.get(stamp)
        if known is not None and value is not None and known != value:
            contradicted(datetime.fromtimestamp(stamp, UTC), known, value, left_out)
            disputed.add(stamp)
        rows[stamp] = value if known is None else known
    return [(stamp, None if stamp in disputed else value) for stamp, value in rows.items()]


def contradicted(when: datetime, one: Value, other: Value, left_out: list[str] | None) -> None:
    """Notes that a time was told in two ways: a gap. Raises Malformed where nobody takes note."""
    told = f"two values for {when.isoformat()}: {one} and {other}"
    if left_out is None:
        raise Malformed(told)
    left_out.append(told)


def _steps(stamps: Sequence[int]) -> list[int]:
    """Each point's own step. A distance that is repeated often enough is a step; a multiple of the step beside it is
    missing rows, however many of them follow each other."""
    runs = [(gap, len(list(same))) for gap, same in groupby(after - before for before, after in pairwise(stamps))]
    own = _own_steps(runs)
    steps: list[int] = []
    for at, (gap, count) in enumerate(runs):
        step = gap
        if not own[at]:
            beside = [
                *steps[-1:],
                *[other for (other, _), is_own in zip(runs[at:], own[at:], strict=True) if is_own][:1],
            ]
            step = next((other for other in beside if not gap % other), gap)
            if step == gap and gap not in beside and (count < 2 or gap > min(beside)):
                raise Malformed(f"the distance of {gap} s after stamp {stamps[len(steps)]} fits no step")
        steps += [step] * count
    return [*steps, steps[-1]]


def _own_steps(runs: Sequence[tuple[int, int]]) -> list[bool]:
    """Which runs of equal distances are steps: the long ones, or where none is long those of the usual distance."""
    own = [count >= OWN_STEP and not _enclosed(runs, at) for at, (_, count) in enumerate(runs)]
    if any(own):
        return own
    often: Counter[int] = Counter()
    for gap, count in runs:
        often[gap] += count
    usual = min(often, key=lambda gap: (-often[gap], gap))
    return [gap == usual for gap, _ in runs]


def _enclosed(runs: Sequence[tuple[int, int]], at: int) -> bool:
    """Whether a run of less than a day lies between two of one finer step: rows are missing, no step changes twice."""
    if not 0 < at < len(runs) - 1:
        return False
    (before, _), (gap, count), (after, _) = runs[at - 1 : at + 2]
    return before == after and not gap % before and gap * count < _DAY_S


def _run(rows: Sequence[tuple[int, Value]], step_s: int) -> Curve:
    first, last = rows[0][0], rows[-1][0]
    if (last - first) // step_s > 400_000:
        raise Malformed(f"expected stamps near each other, got {first} and {last} at a step of {step_s} s")
    values: list[Value] = [None] * ((last - first) // step_s + 1)
    for stamp, value in rows:
        index, rest = divmod(stamp - first, step_s)
        if rest:
            raise Malformed(f"stamp {stamp} is off the {step_s} s grid")
        values[index] = value
    return Curve(datetime.fromtimestamp(first, UTC), step_s, tuple(values))
