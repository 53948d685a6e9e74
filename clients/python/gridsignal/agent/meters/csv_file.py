"""Readings that another program writes into a CSV file: a head line, then a time with its offset and watts a line.

A line holds until the next one, and for `longest_s` at most: what is beyond that is a gap.
Bounded: the last 4 MiB of the file. When full: what lies before them is not known. Conflates: nothing.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from gridsignal.agent.meters import MeterFailed
from gridsignal.agent.words import power

_MOST_BYTES = 4 * 1024 * 1024


class CsvMeter:
    """The file's columns `time` and `watts`, by the names given."""

    def __init__(self, file: Path, *, time: str = "time", watts: str = "watts", longest_s: int = 60) -> None:
        self._file, self._time, self._watts, self._longest = file, time, watts, timedelta(seconds=longest_s)

    async def mean_w(self, start: datetime, end: datetime) -> int | None:
        return mean_of(list(self._points()), start, end, self._longest)

    async def check(self, now: datetime) -> str:
        points = list(self._points())
        if not points:
            raise MeterFailed(f"{self._file}: expected readings, got none")
        at, watts = points[-1]
        return f"{power(watts)}, {(now - at).total_seconds():.0f} s ago"

    def _points(self) -> Iterator[tuple[datetime, float]]:
        head, lines, first = self._text()
        columns = next(csv.reader([head]), [])
        for name in (self._time, self._watts):
            if name not in columns:
                raise MeterFailed(f"{self._file}: line 1: expected a column {name}, got {', '.join(columns)[:200]}")
        for number, row in enumerate(csv.DictReader(lines, columns), first):
            try:
                at = datetime.fromisoformat(row[self._time] or "")
                watts = float(row[self._watts] or "")
            except (TypeError, ValueError):
                where = f"line {number}" if first == 2 else "a line"
                raise MeterFailed(f"{self._file}: {where}: expected a time and watts, got {row!r:.200}") from None
            if at.tzinfo is None:
                raise MeterFailed(f"{self._file}: expected times with their offset, got {row[self._time]!r:.60}")
            yield at, watts

    def _text(self) -> tuple[str, list[str], int]:
        """The head line, the lines that are read, and the number of the first; a last line without an end is not."""
        try:
            with self._file.open("rb") as opened:
                head = opened.readline()
                size, begin = opened.seek(0, os.SEEK_END), len(head)
                skips = size - begin > _MOST_BYTES
                opened.seek(size - _MOST_BYTES if skips else begin)
                lines = opened.read(_MOST_BYTES).decode("utf-8", errors="replace").split("\n")[:-1]
        except OSError as error:
            raise MeterFailed(f"{self._file}: {error.strerror}") from error
        return head.decode("utf-8-sig", errors="replace").strip(), lines[1:] if skips else lines, 0 if skips else 2


def mean_of(points: Sequence[tuple[datetime, float]], start: datetime, end: datetime, longest: timedelta) -> int | None:
    """The mean over [start, end) of points that each hold until the next, and for so long at most; None with a gap."""
    whole, covered = 0.0, timedelta(0)
    ended = [*points, (end, 0.0)] if points and points[-1][0] < end else list(points)
    for (at, watts), (following, _) in pairwise(ended):
        length = min(following, at + longest, end) - max(at, start)
        if length > timedelta(0) and math.isfinite(watts):
            whole += watts * length.total_seconds()
            covered += length
    return round(whole / covered.total_seconds()) if covered and covered >= end - start else None
