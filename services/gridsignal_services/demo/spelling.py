"""How figures are written for people."""

from __future__ import annotations

from datetime import datetime

from gridsignal_schemas.messages import SpotPrice
from gridsignal_schemas.values import MW, text_of_decimal
from gridsignal_services.demo.story import MARKET


def mw(power_w: float) -> str:
    """Watts as megawatts."""
    return f"{power_w / MW:.1f}"


def clock(when: datetime) -> str:
    """Market time."""
    return f"{when.astimezone(MARKET):%H:%M}"


def span(curve: SpotPrice) -> tuple[str, str]:
    """The lowest and the highest price."""
    known = [price for price in curve.prices_per_mwh if price is not None]
    return text_of_decimal(min(known)), text_of_decimal(max(known))
