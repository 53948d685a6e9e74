"""A linear program with whole numbers, as lists; and what a solver makes of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(slots=True)
class Program:
    """Columns and rows; what the columns gain is to be as much as possible. Every list has an entry for each column, or
    for each row."""

    gain: list[float] = field(default_factory=list)
    """What a unit of a column adds to the welfare."""
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    rows: list[dict[int, float]] = field(default_factory=list)
    """Coefficients by column."""
    least: list[float] = field(default_factory=list)
    most: list[float] = field(default_factory=list)

    def column(self, gain: float, upper: float, lower: float = 0.0, whole: bool = False) -> int:
        """A new column: its place."""
        self.gain.append(gain)
        self.lower.append(lower)
        self.upper.append(upper)
        self.whole.append(whole)
        return len(self.gain) - 1

    def row(self, coefficients: dict[int, float], least: float, most: float) -> int:
        """A new row: its place."""
        self.rows.append(coefficients)
        self.least.append(least)
        self.most.append(most)
        return len(self.rows) - 1


class Status(StrEnum):
    """How good an answer is."""

    OPTIMAL = "OPTIMAL"
    TIME_LIMIT = "TIME_LIMIT"
    """The best that was found in time: `gap` says how far from the best there may be."""


class NoAnswer(RuntimeError):
    """The solver found nothing in its time."""


@dataclass(frozen=True, slots=True)
class Solution:
    """What a program comes to."""

    welfare: float
    columns: Sequence[float]
    duals: Sequence[float]
    """Of each row; nothing where whole numbers are looked for."""
    status: Status
    gap: float
    """How far the best may be from it, as a share of the welfare."""
    bound: float
    """No choice has more welfare than this."""


Solve = Callable[[Program, float], Solution]
"""A solver: a program, and the seconds that it may take. Raises NoAnswer."""
