"""A recorded signal: what PJM's test files have in them, and what is wrong in others."""

from __future__ import annotations

import re

import pytest

from gridsignal_services.regulation.sample_rows import WrongSample
from gridsignal_services.regulation.signal_file import MOST, signal_of


def test_a_file_as_pjm_publishes_it_is_read() -> None:
    found = signal_of(",RegDTest,,\n0:00:00,0.00633,,\n0:00:02,-1.00000,,\n0:00:04,1,,\n".splitlines(keepends=True))
    assert (found.cycle_s, found.levels_ppm) == (2, (6330, -1_000_000, 1_000_000))


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("", "expected two lines or more in steps of 2 or 4 seconds, got 0 in steps of 0"),
        ("t,s\n0:00:00,0\n", "got 1 in steps of 0"),
        ("t,s\n0:00:00,0\n0:00:03,0\n", "in steps of 2 or 4 seconds, got 2 in steps of 3"),
        ("t,s\n0:00:00,0\n0:00:02,0\n0:00:05,0\n", "line 4: expected 0:00:04, got 0:00:05"),
        ("t,s\n0,0\n", "line 2, column 1: expected a time such as 0:00:02, got '0'"),
        ("t,s\n\n", "line 2, column 1: expected a time such as 0:00:02, got ''"),
        ("t,s\n0:00:00,1.1\n", "line 2, column 2: expected a signal from -1 to 1, got '1.1'"),
        ("t,s\n0:00:00,nan\n", "expected a signal from -1 to 1, got 'nan'"),
        ("t,s\n0:00:00\n", "expected a signal from -1 to 1, got ''"),
        ('t,s\n"0:00:00', "line 2: expected a row of CSV"),
    ],
)
def test_a_line_that_is_wrong_is_named(lines: str, fault: str) -> None:
    with pytest.raises(WrongSample, match=re.escape(fault)):
        signal_of(lines.splitlines(keepends=True))


def test_no_more_than_a_day_is_read() -> None:
    def day() -> list[str]:
        return ["t,s\n", *(f"{at // 1800}:{at // 30 % 60:02}:{at % 30 * 2:02},0\n" for at in range(MOST))]

    assert len(signal_of(day()).levels_ppm) == MOST
    with pytest.raises(WrongSample, match=f"expected {MOST} cycles at most, got more"):
        signal_of([*day(), "24:00:00,0\n"])
