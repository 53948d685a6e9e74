"""What a call costs, in lines of Python that it runs: the same on every machine, however busy it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


def lines_of(call: Callable[[], object]) -> int:
    """How many lines a call runs, those of all it calls included."""
    count = 0

    def line(_: FrameType, event: str, __: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    before = sys.gettrace()
    sys.settrace(line)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def lines_of_each(steps: Iterator[object]) -> list[int]:
    """How many lines each step runs."""
    counts, end = list[int](), object()
    found: object = None

    def step() -> None:
        nonlocal found
        found = next(steps, end)

    while found is not end:
        counts.append(lines_of(step))
    return counts
