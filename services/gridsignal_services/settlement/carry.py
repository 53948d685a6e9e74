"""Rounding that carries its remainder: parts add up to their rounded sum, to the last unit."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from gridsignal_services.settlement.rules import Rounding


def rounded(value: Fraction, rounding: Rounding = Rounding.HALF_UP) -> int:
    """A whole number; HALF_UP is away from zero."""
    if rounding is Rounding.HALF_EVEN:
        return round(value)
    whole = int(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole


def carried(parts: Iterable[Fraction], rounding: Rounding = Rounding.HALF_UP) -> list[int]:
    """Whole parts: each is what their rounded sum grows by, so all of them are the rounded sum of all."""
    exact, told, whole = Fraction(0), 0, []
    for part in parts:
        exact += part
        whole.append(rounded(exact, rounding) - told)
        told += whole[-1]
    return whole
