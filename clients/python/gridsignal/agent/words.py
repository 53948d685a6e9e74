"""How the agent tells people powers and counts. Decisions: values in, words out."""

from __future__ import annotations

from decimal import Decimal

from gridsignal_schemas.values import KW, MW, text_of_decimal


def power(watts: float) -> str:
    """To the watt, in the unit that people read it in: 14 MW, 9.2 MW, 350 kW, 12 W."""
    whole = round(watts)
    size, unit = next(((size, unit) for size, unit in ((MW, "MW"), (KW, "kW")) if abs(whole) >= size), (1, "W"))
    return f"{text_of_decimal(Decimal(whole) / size)} {unit}"


def counted(number: int, one: str, many: str) -> str:
    """1 order, 2 orders, no order."""
    return f"no {one}" if number == 0 else f"{number} {one if number == 1 else many}"
