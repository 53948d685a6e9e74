"""A recorded regulation signal, as PJM publishes its test signals: a CSV with a head line and a line for each cycle.

The first column is the time from the beginning, H:MM:SS, in steps of 2 or 4 seconds; the second the signal from -1 to
1, where 1 asks for all of the band upwards: generation more, load less. Further columns are not read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from gridsignal_services.regulation.sample_rows import WrongSample

MOST = 43_200
"""Lines: a day of two seconds."""
_TIME = re.compile(r"([0-9]{1,3}):([0-5][0-9]):([0-5][0-9])")
_LEVEL = re.compile(r"[+-]?[0-9](\.[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class SignalFile:
    """A signal, cycle by cycle."""

    cycle_s: int
    levels_ppm: tuple[int, ...]


def signal_of(lines: Iterable[str]) -> SignalFile:
    """The signal of a file. Raises WrongSample."""
    rows = csv.reader(lines, strict=True)
    times, levels = list[int](), list[int]()
    try:
        next(rows, None)
        for row in rows:
            if len(levels) == MOST:
                raise WrongSample(f"line {rows.line_num}: expected {MOST} cycles at most, got more")
            times.append(_seconds(rows.line_num, row))
            levels.append(_ppm(rows.line_num, row))
            if len(times) > 2 and times[-1] - times[-2] != times[1] - times[0]:
                wanted = timedelta(seconds=times[-2] + times[1] - times[0])
                raise WrongSample(f"line {rows.line_num}: expected {wanted}, got {timedelta(seconds=times[-1])}")
    except csv.Error as broken:
        raise WrongSample(
            f"line {rows.line_num}: expected a row of CSV, got one that can't be read: {broken}"
        ) from None
    cycle_s = times[1] - times[0] if len(times) > 1 else 0
    if cycle_s not in (2, 4):
        raise WrongSample(
            f"expected two lines or more in steps of 2 or 4 seconds, got {len(times)} in steps of {cycle_s}"
        )
    return SignalFile(cycle_s, tuple(levels))


def _seconds(line: int, row: list[str]) -> int:
    found = _TIME.fullmatch(row[0].strip()) if row else None
    if found is None:
        got = row[0] if row else ""
        raise WrongSample(f"line {line}, column 1: expected a time such as 0:00:02, got {got[:60]!r}")
    hours, minutes, seconds = map(int, found.groups())
    return 3600 * hours + 60 * minutes + seconds


def _ppm(line: int, row: list[str]) -> int:
    text = row[1].strip() if len(row) > 1 else ""
    level = float(text) if _LEVEL.fullmatch(text) else 2.0
    if not -1 <= level <= 1:
        raise WrongSample(f"line {line}, column 2: expected a signal from -1 to 1, got {text[:60]!r}")
    return round(level * 1_000_000)
