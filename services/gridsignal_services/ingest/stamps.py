"""Curves from stamps: the step of a series is read from its stamps, or given; what is not there is a gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from itertools import groupby, pairwise

from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.curves import Curve, Value, contradicted
from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.left_out import LeftOutRows

Row = tuple[int, Value]
"""A start stamp (seconds since 1970) and its value."""
OWN_STEP = 12
"""So many equal distances in a row are a step; fewer of them, beside a finer step, are missing rows."""
LONGEST_STEP_S = 3600
"""A longer step is not read from stamps: more likely only the changes were written down."""
ROWS_A_STRAY = 10
"""Of so many rows one may be off the grid of the others."""
FURTHEST_S = 400 * 86_400
"""A stamp further from the middle one is a slip."""
_DAY_S = 86_400


def from_stamps(
    stamps: Sequence[int],
    values: Sequence[Value],
    left_out: LeftOutRows | None = None,
    market_time: tzinfo | None = None,
) -> list[Curve]:
    """Curves from start stamps (seconds since 1970): the step is what most of them say, what is not there is a gap.

    The step may change at the market's midnight (without `market_time` at a whole hour), where enough stamps say so;
    elsewhere rows are missing. Refused where a step would be a guess. Two values for
    one stamp are a gap, told in `left_out`; without it they are refused.
    """
    rows = _in_order(stamps, values, left_out)
    if len(rows) > ROWS_A_STRAY:
        rows = _on_grid(rows, _finest(rows), left_out)
    if len(rows) < 2:
        raise Malformed(f"expected at least two stamps to tell the step from, got {len(rows)}: resolution_s says it")
    steps = _steps([stamp for stamp, _ in rows], market_time)
    for one, other in pairwise(steps):
        if max(one, other) % min(one, other):
            raise Malformed(f"expected one step, got {one} s and {other} s: resolution_s says it")
    for step in steps:
        if step > LONGEST_STEP_S or LONGEST_STEP_S % step:
            raise Malformed(f"expected a step that divides {LONGEST_STEP_S} s, got {step} s: resolution_s says it")
    curves: list[Curve] = []
    first = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or steps[i] != steps[first]:
            curves.append(_run(rows[first:i], steps[first]))
            if 2 * (i - first) <= len(curves[-1].values):
                missing = len(curves[-1].values) - (i - first)
                message = f"{steps[first]} s would leave {missing} of {len(curves[-1].values)} intervals without a row"
                raise Malformed(
                    f"expected stamps that tell their step, got some of which {message}: resolution_s says it"
                )
            first = i
    return curves


def of_step(stamps: Sequence[int], values: Sequence[Value], step_s: int, left_out: LeftOutRows | None = None) -> Curve:
    """One curve from start stamps where the feed's step is known; what is not there, or told in two ways, is a gap."""
    rows = _in_order(stamps, values, left_out)
    if not rows:
        raise Malformed("expected at least one stamp, got none")
    return _run(_on_grid(rows, step_s, left_out), step_s)


def _on_grid(rows: list[Row], step_s: int, left_out: LeftOutRows | None) -> list[Row]:
    """The rows on the grid of most of them and near them; a stamp of its own is left out, where somebody takes note.

    Raises Malformed where they are too many: then the step is another one.
    """
    if left_out is None:
        return rows
    middle = rows[len(rows) // 2][0]
    usual = Counter(stamp % step_s for stamp, _ in rows).most_common(1)[0][0]
    kept: list[Row] = []
    apart: list[str] = []
    for stamp, value in rows:
        if stamp % step_s == usual and abs(stamp - middle) <= FURTHEST_S:
            kept.append((stamp, value))
        else:
            apart.append(rfc3339(datetime.fromtimestamp(stamp, UTC)))
    if len(apart) > max(1, len(rows) // ROWS_A_STRAY):
        got = f"{len(apart)} of {len(rows)} elsewhere, such as {apart[0]}"
        raise Malformed(f"expected stamps at steps of {step_s} s, got {got}")
    for when in apart:
        left_out.add(f"a stamp apart from the others: {when}")
    return kept


def _in_order(stamps: Sequence[int], values: Sequence[Value], left_out: LeftOutRows | None) -> list[Row]:
    rows: dict[int, Value] = {}
    disputed: set[int] = set()
    for stamp, value in sorted(zip(stamps, values, strict=True), key=lambda row: row[0]):
        known = rows.get(stamp)
        if known is not None and value is not None and known != value:
            contradicted(datetime.fromtimestamp(stamp, UTC), known, value, left_out)
            disputed.add(stamp)
        rows[stamp] = value if known is None else known
    return [(stamp, None if stamp in disputed else value) for stamp, value in rows.items()]


def _finest(rows: Sequence[Row]) -> int:
    """The smallest distance that is told often enough to be a step."""
    often = Counter(after - before for (before, _), (after, _) in pairwise(rows))
    return min(gap for gap, count in often.items() if count > len(rows) // ROWS_A_STRAY or count == max(often.values()))


def _steps(stamps: Sequence[int], market_time: tzinfo | None) -> list[int]:
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
    return _of_whole_days(stamps, [*steps, steps[-1]], market_time)


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


def _of_whole_days(stamps: Sequence[int], steps: list[int], market_time: tzinfo | None) -> list[int]:
    """The steps where each begins and ends with a day: beside a finer one within its day, rows are missing."""
    starts = [i for i in range(len(steps)) if not i or steps[i] != steps[i - 1]]
    runs = [(steps[i], i, end) for i, end in zip(starts, [*starts[1:], len(steps)], strict=True)]
    at = 1
    while at < len(runs):
        (one, begin, middle), (other, _, end) = runs[at - 1], runs[at]
        finer = min(one, other)
        if one == other or (max(one, other) % finer == 0 and not _may_change(stamps[middle], market_time)):
            runs[at - 1 : at + 1] = [(finer, begin, end)]
            at = max(1, at - 1)
        else:
            at += 1
    return [step for step, begin, end in runs for _ in range(begin, end)]


def _may_change(stamp: int, market_time: tzinfo | None) -> bool:
    """Whether a step may end here and another begin: at midnight, or a whole hour of a market whose time is unknown."""
    when = datetime.fromtimestamp(stamp, market_time or UTC)
    return when.minute == when.second == 0 and (market_time is None or when.hour == 0)


def _enclosed(runs: Sequence[tuple[int, int]], at: int) -> bool:
    """Whether a run of less than a day lies between two of one finer step: rows are missing, no step changes twice."""
    if not 0 < at < len(runs) - 1:
        return False
    (before, _), (gap, count), (after, _) = runs[at - 1 : at + 2]
    return before == after and not gap % before and gap * count < _DAY_S


def _run(rows: Sequence[Row], step_s: int) -> Curve:
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
