"""What was delivered, and what it is worth; the formulas of the contract.

delivered = clamp(s x (baseline - actual), 0, ordered) with s = +1 for LOAD_DECREASE and -1 for LOAD_INCREASE;
deficiency = max(0, ordered - s x (baseline - actual)), as in the worked example of UFTP 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from gridsignal_schemas.messages import Direction
from gridsignal_schemas.values import WATT_SECONDS_PER_MWH

_CENT_OF_CENT = Decimal("0.0001")


def deviation_w(direction: Direction, baseline_w: int, actual_w: int) -> int:
    """How far the site moved in the ordered direction, in watts; negative where it moved the other way."""
    sign = 1 if direction is Direction.LOAD_DECREASE else -1
    return sign * (baseline_w - actual_w)


def deficiency_w(direction: Direction, baseline_w: int, actual_w: int, ordered_w: int) -> int:
    """What was missing, in watts; a move the wrong way adds to it."""
    return max(0, ordered_w - deviation_w(direction, baseline_w, actual_w))


def shared_delivery_w(deviation: int, ordered_w: Sequence[int]) -> list[int]:
    """One deviation shared by overlapping orders, in order of their acceptance: never paid twice."""
    left, shares = max(deviation, 0), []
    for ordered in ordered_w:
        share = min(left, ordered)
        shares.append(share)
        left -= share
    return shares


def wh_of(watt_seconds: int) -> int:
    """Whole watt-hours, rounded half up. A sum is rounded once: add watt-seconds up, never watt-hours."""
    return (watt_seconds + 1800) // 3600


def amount(watt_seconds: int, price_per_mwh: Decimal) -> Decimal:
    """Money for an energy, in the price's currency, four places."""
    value = Decimal(watt_seconds) / WATT_SECONDS_PER_MWH * price_per_mwh
    return value.quantize(_CENT_OF_CENT, ROUND_HALF_EVEN)
