"""How exact figures are shown: rounded once, half to even, and as few digits as they have."""

from __future__ import annotations

from fractions import Fraction

POWER_PLACES = 4
"""Decimal places of watts."""
FACTOR_PLACES = 10
"""Decimal places of a factor."""


def figure(value: Fraction, places: int = POWER_PLACES) -> int | float:
    """A figure as JSON has it: a whole number, or a decimal with at most so many places."""
    rounded = round(value, places)
    return rounded.numerator if rounded.denominator == 1 else float(rounded)
