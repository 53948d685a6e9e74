"""What was known at a time: prices until the end of the day that is published, carbon with a forecast's error. Pure.

Day-ahead prices of a day are known from 13:00 of the day before, in the zone's market time. What is not known yet is
taken to be what it was 24 hours before. Forecast carbon is off by an error that grows with the hours ahead.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from gridsignal.agent.curves import SLOT, Curve, Outlook
from gridsignal.agent.series import Series

PUBLISHED = time(13)
CARBON_ERROR = 0.15
"""Standard deviation of forecast carbon a day ahead, as a share; it grows with the square root of the hours."""
_TIME = {
    "US-CAL-CISO": "America/Los_Angeles",
    "US-TEX-ERCO": "America/Chicago",
    "US-MIDA-PJM": "America/New_York",
    "US-NY-NYIS": "America/New_York",
    "GB": "Europe/London",
}
_DAY_SLOTS = 96


def known_until(zone: str, now: datetime) -> datetime:
    """Until when prices are known at a moment."""
    local = now.astimezone(ZoneInfo(_TIME.get(zone, "Europe/Brussels")))
    days = 2 if local.time() >= PUBLISHED else 1
    return datetime.combine(local.date() + timedelta(days=days), time(0), local.tzinfo).astimezone(UTC)


def outlook_at(series: Series, now: datetime, slots: int, seed: int, *, perfect: bool = False) -> Outlook:
    """The outlook that somebody had at a moment; a perfect one has what came."""
    prices, carbon = (np.array(series.slots(each, now, slots)) for each in (series.prices, series.carbon))
    known = slots
    if not perfect:
        known = min(slots, int((known_until(series.zone, now) - now) / SLOT))
        for slot in range(known, slots):
            before = slot - _DAY_SLOTS
            prices[slot] = prices[before] if before >= 0 else series.slots(series.prices, now + before * SLOT, 1)[0]
        noise = np.random.default_rng((seed, int(now.timestamp()))).standard_normal(slots // 4 + 1)
        walk = np.repeat(np.cumsum(noise) * CARBON_ERROR / np.sqrt(24), 4)[:slots]
        carbon = carbon * np.clip(1 + walk, 0.2, 3.0)
    return Outlook(
        starts_at=now,
        prices=Curve(values=tuple(prices.tolist()), known_at=now, forecast_from=known),
        carbon=Curve(values=tuple(carbon.tolist()), known_at=now, forecast_from=0),
    )
