"""Curves of equal steps: cut at market days, joined with explicit gaps, never overlapping.

Everything is counted in UTC from a curve's own start: local days have 23, 24 or 25 hours and nobody adds hours to a
local midnight here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.left_out import LeftOutRows
from gridsignal_services.ingest.schedule import day_starts_at, market_day

Value = Decimal | None
LONGEST_JOIN = timedelta(hours=26)
"""No market day is longer than 25 hours, so nothing longer is ever made by joining."""


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
            raise Malformed(f"expected a time on the {self.resolution_s} s grid of the curve, got {rfc3339(when)}")
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


def joined(curves: Iterable[Curve], left_out: LeftOutRows | None = None) -> list[Curve]:
    """Curves of one day: those of one resolution become one curve, with gaps where nothing was said.

    Repeats of equal values are dropped; two values for one instant are a gap. Where two resolutions cover the same time
    the finer one stays, if it agrees with the coarser one in the mean; else it is a gap. Without `left_out` to tell it
    in, a contradiction is refused.
    """
    by_step: dict[int, list[Curve]] = {}
    for curve in sorted(curves, key=lambda c: (c.resolution_s, c.starts_at)):
        by_step.setdefault(curve.resolution_s, []).append(curve)
    result: list[Curve] = []
    for same_step in by_step.values():
        for curve in _merged(same_step, left_out):
            runs, result = _not_covered(curve, result, left_out)
            result.extend(runs)
    return sorted(result, key=lambda c: c.starts_at)


def _merged(curves: Sequence[Curve], left_out: LeftOutRows | None) -> list[Curve]:
    merged: list[Curve] = []
    disputed: set[datetime] = set()
    for curve in curves:
        if merged and curve.ends_at - merged[-1].starts_at <= LONGEST_JOIN and _same_grid(merged[-1], curve):
            merged[-1] = _overlaid(merged[-1], curve, disputed, left_out)
        elif merged and curve.starts_at < merged[-1].ends_at:
            _refused(f"two curves overlap at {rfc3339(curve.starts_at)}", left_out)
        else:
            merged.append(curve)
    return merged


def _refused(message: str, left_out: LeftOutRows | None) -> None:
    if left_out is None:
        raise Malformed(message)
    left_out.add(message)


def _same_grid(one: Curve, other: Curve) -> bool:
    return not (other.starts_at - one.starts_at) % timedelta(seconds=one.resolution_s)


def _overlaid(one: Curve, other: Curve, disputed: set[datetime], left_out: LeftOutRows | None) -> Curve:
    offset = one.index_of(other.starts_at)
    values = list(one.values) + [None] * (offset + len(other.values) - len(one.values))
    for i, value in enumerate(other.values, offset):
        if value is None:
            continue
        known, when = values[i], one.starts_at + timedelta(seconds=i * one.resolution_s)
        if known is not None and known != value:
            contradicted(when, known, value, left_out)
            disputed.add(when)
        values[i] = None if when in disputed else value
    return Curve(one.starts_at, one.resolution_s, tuple(values))


def _not_covered(coarse: Curve, finer: list[Curve], left_out: LeftOutRows | None) -> tuple[list[Curve], list[Curve]]:
    """The runs of a coarser curve that no finer one covers, and the finer ones without what the coarser one denies."""
    step = timedelta(seconds=coarse.resolution_s)
    runs: list[Curve] = []
    for i, value in enumerate(coarse.values):
        start = coarse.starts_at + i * step
        covering = [f for f in finer if f.starts_at < start + step and start < f.ends_at]
        if not covering:
            if runs and runs[-1].ends_at == start:
                runs[-1] = Curve(runs[-1].starts_at, coarse.resolution_s, (*runs[-1].values, value))
            else:
                runs.append(Curve(start, coarse.resolution_s, (value,)))
        elif any(_disagree(f, start, start + step, value) for f in covering):
            _refused(f"two resolutions disagree at {rfc3339(start)}", left_out)
            finer = [_without(f, start, start + step) for f in finer]
    return runs, finer


def _disagree(fine: Curve, start: datetime, end: datetime, value: Value) -> bool:
    part = clipped(fine, start, end)
    known = [v for v in part.values if v is not None] if part else []
    return value is not None and bool(known) and abs(sum(known, Decimal(0)) / len(known) - value) > Decimal("0.01")


def _without(curve: Curve, start: datetime, end: datetime) -> Curve:
    step = timedelta(seconds=curve.resolution_s)
    at = (curve.starts_at + i * step for i in range(len(curve.values)))
    kept = (None if start <= when < end else value for when, value in zip(at, curve.values, strict=True))
    return Curve(curve.starts_at, curve.resolution_s, tuple(kept))


def contradicted(when: datetime, one: Value, other: Value, left_out: LeftOutRows | None) -> None:
    """Notes that a time was told in two ways: a gap. Raises Malformed where nobody takes note."""
    _refused(f"two values for {rfc3339(when)}: {one} and {other}", left_out)
