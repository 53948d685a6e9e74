"""What was delivered, and what it is worth; the formulas of the contract, for watts and for energies alike.

deviation = s x (baseline - actual) with s = +1 for LOAD_DECREASE and -1 for LOAD_INCREASE;
delivered = clamp(deviation - ahead, 0, ordered), where orders that were accepted before take `ahead`;
deficiency = max(0, ordered - deviation), as in the worked example of UFTP 3.1.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import TypeVar

from gridsignal_schemas.messages import Direction
from gridsignal_schemas.values import WATT_SECONDS_PER_MWH

_CENT_OF_CENT = Decimal("0.0001")

X = TypeVar("X", int, Fraction)
"""Watts, or an energy: exact."""


def deviation(direction: Direction, baseline: X, actual: X) -> X:
    """How far the site moved in the ordered direction; negative where it moved the other way."""
    return baseline - actual if direction is Direction.LOAD_DECREASE else actual - baseline


def share_of(deviated: X, ahead: X, ordered: X) -> tuple[X, X]:
    """What an order delivered of a deviation of which others take `ahead` first, and what it lacks.

    One deviation is never paid twice. A move the wrong way is missing once: from the order that was accepted first.
    """
    nothing = deviated - deviated
    delivered = min(max(deviated - ahead, nothing), ordered)
    return delivered, ordered - delivered if ahead else max(nothing, ordered - deviated)


def wh_of(watt_seconds: int) -> int:
    """Whole watt-hours, rounded half up. A sum is rounded once: add watt-seconds up, never watt-hours."""
    return (watt_seconds + 1800) // 3600


def amount(watt_seconds: int, price_per_mwh: Decimal) -> Decimal:
    """Money for an energy, in the price's currency, four places."""
    value = Decimal(watt_seconds) / WATT_SECONDS_PER_MWH * price_per_mwh
    return value.quantize(_CENT_OF_CENT, ROUND_HALF_EVEN)
