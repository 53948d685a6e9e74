"""An hour of regulation as a CSV has it, a line for each 10 seconds: what was asked for and what was done.

Columns: `seconds, agc_mw, eco_basepoint_mw, ramp_mw_per_min, areg_mw, fleet_treg_mw, fleet_signal_mw`, and where
somebody has worked them out already `interval, expected_reg_mw, response_mw`, which must agree with the others.
A file with `seconds, expected_reg_mw, response_mw` alone will do, too.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping

from gridsignal_services.regulation.scoring import AHEAD, HOUR, SAMPLE_S, Sample

MEASURED = ("agc_mw", "eco_basepoint_mw", "ramp_mw_per_min", "areg_mw", "fleet_treg_mw", "fleet_signal_mw")
WORKED_OUT = ("expected_reg_mw", "response_mw")
_KNOWN = ("interval", "seconds", *MEASURED, *WORKED_OUT)
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?")
_MOST = HOUR + AHEAD + 1
_CLOSE_MW = 1e-6
"""What rounding may make of a figure that was worked out elsewhere."""


class WrongSample(ValueError):
    """A line that can't be read: says which line and column, what was expected and what was got."""


def samples(lines: Iterable[str]) -> list[Sample]:
    """The samples of a CSV with a head line. Raises WrongSample."""
    rows = csv.DictReader(lines, restkey="", strict=True, skipinitialspace=True)
    try:
        columns = [name.strip() for name in rows.fieldnames or ()]
        _check_columns(columns)
        rows.fieldnames = columns
        found = list(_read(rows, _Hour(columns)))
    except csv.Error as broken:
        line = rows.reader.line_num
        raise WrongSample(f"line {line}: expected a row of CSV, got one that can't be read: {broken}") from None
    return found


def _read(rows: csv.DictReader[str], hour: _Hour) -> Iterator[Sample]:
    for number, row in enumerate(rows):
        if number == _MOST:
            raise WrongSample(f"line {rows.line_num}: expected an hour and 5 minutes, {_MOST} lines at most, got more")
        yield hour.sample(rows.line_num, row)


def _check_columns(columns: list[str]) -> None:
    if "seconds" not in columns or not (set(MEASURED) <= set(columns) or set(WORKED_OUT) <= set(columns)):
        raise WrongSample(
            f"line 1: expected the columns seconds, {', '.join(MEASURED)}, or seconds, {', '.join(WORKED_OUT)},"
            f" got {', '.join(columns)[:200] or 'none'}"
        )
    for name in columns:
        if name not in _KNOWN or columns.count(name) > 1:
            raise WrongSample(f"line 1: expected each of {', '.join(_KNOWN)} once at most, got {name[:60]!r}")


class _Hour:
    """What a line is read with: the time it should have, and the base point as the ramp has let it come so far."""

    def __init__(self, columns: list[str]) -> None:
        self._measured = set(MEASURED) <= set(columns)
        self._next_s: float | None = None
        self._base_mw: float | None = None

    def sample(self, line: int, row: Mapping[str | None, str | list[str] | None]) -> Sample:
        """The line's ten seconds."""
        if row.get("") is not None:
            raise WrongSample(f"line {line}: expected as many cells as columns, got more")
        figures = {name: _figure(line, name, row.get(name)) for name in _KNOWN if name in row and name != "interval"}
        self._check_time(line, figures["seconds"])
        if not self._measured:
            return Sample(*(figures[name] for name in WORKED_OUT))
        worked_out = self._work_out(line, figures)
        for name, ours in zip(WORKED_OUT, (worked_out.expected_mw, worked_out.response_mw), strict=True):
            if name in figures and not math.isclose(figures[name], ours, rel_tol=1e-6, abs_tol=_CLOSE_MW):
                expected = f"{ours:.9g} by the other columns"
                raise WrongSample(f"line {line}, column {name}: expected {expected}, got {figures[name]:.9g}")
        return worked_out

    def _check_time(self, line: int, seconds: float) -> None:
        if self._next_s is not None and seconds != self._next_s:
            wanted = f"{self._next_s:.9g}, {SAMPLE_S} after the line before"
            raise WrongSample(f"line {line}, column seconds: expected {wanted}, got {seconds:.9g}")
        self._next_s = seconds + SAMPLE_S

    def _work_out(self, line: int, figures: Mapping[str, float]) -> Sample:
        for name in ("ramp_mw_per_min", "areg_mw", "fleet_treg_mw"):
            if figures[name] < 0 or (name == "fleet_treg_mw" and figures[name] == 0):
                least = "above 0" if name == "fleet_treg_mw" else "of 0 or more"
                raise WrongSample(f"line {line}, column {name}: expected a number {least}, got {figures[name]:.9g}")
        wanted = figures["eco_basepoint_mw"]
        if self._base_mw is None:
            self._base_mw = wanted
        step = figures["ramp_mw_per_min"] * SAMPLE_S / 60
        self._base_mw += min(step, max(-step, wanted - self._base_mw))
        expected = figures["areg_mw"] * figures["fleet_signal_mw"] / figures["fleet_treg_mw"]
        return Sample(expected, figures["agc_mw"] - self._base_mw)


def _figure(line: int, column: str, cell: str | list[str] | None) -> float:
    text = cell.strip() if isinstance(cell, str) else ""
    if not _NUMBER.fullmatch(text):
        raise WrongSample(f"line {line}, column {column}: expected a number such as -2.47, got {text[:60]!r}")
    return float(text)
