"""What was heard of prices and carbon, as a plan needs it: a value for each quarter hour, and when it was known. Pure.

What is not known yet is taken to be what it was 24 hours before, or the last that is known. Bounded: KEPT quarter hours
of each curve. When full: the oldest are forgotten. Conflates: an earlier version of a figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import fmean

from gridsignal.agent.curves import SLOT, SLOT_S, Curve, Outlook
from gridsignal_schemas.messages import Accounting, CarbonIntensity, PriceProduct, SpotPrice

KEPT = 96 * 10
_DAY = timedelta(days=1)


class HeardCurve:
    """Values of quarter hours, the newest word of each."""

    def __init__(self) -> None:
        self._known: dict[datetime, tuple[float, datetime]] = {}

    def take(
        self, starts_at: datetime, resolution_s: int, values: Sequence[Decimal | None], known_at: datetime
    ) -> None:
        """A series as it was published; an older one changes nothing."""
        for slot, value in _slots(starts_at, resolution_s, values):
            before = self._known.get(slot)
            if before is None or before[1] <= known_at:
                self._known[slot] = value, known_at
        for slot in sorted(self._known)[:-KEPT]:
            del self._known[slot]

    def curve(self, starts_at: datetime, slots: int) -> Curve | None:
        """So many quarter hours from then on; None where nothing is known of them or of the day before."""
        values, known_at, forecast_from = list[float](), list[datetime](), slots
        for slot in range(slots):
            at = starts_at + slot * SLOT
            found = self._known.get(at)
            if found is None:
                forecast_from = min(forecast_from, slot)
                before = values[slot - 96] if slot >= 96 else self._known.get(at - _DAY, (None, None))[0]
                value = before if before is not None else values[-1] if values else None
                if value is None:
                    return None
                values.append(value)
            else:
                values.append(found[0])
                known_at.append(found[1])
        if not known_at:
            return None
        return Curve(values=tuple(values), known_at=max(known_at), forecast_from=forecast_from)


def _slots(
    starts_at: datetime, resolution_s: int, values: Sequence[Decimal | None]
) -> Iterator[tuple[datetime, float]]:
    """Quarter hours of longer intervals, and the mean of whole quarter hours of shorter ones."""
    inside = dict[datetime, list[float]]()
    for at, value in enumerate(values):
        start = starts_at + timedelta(seconds=at * resolution_s)
        if value is None:
            continue
        if resolution_s >= SLOT_S:
            for part in range(resolution_s // SLOT_S):
                yield start + part * SLOT, float(value)
        else:
            slot = start - timedelta(seconds=start.timestamp() % SLOT_S)
            inside.setdefault(slot, []).append(float(value))
    for slot, found in inside.items():
        if len(found) * resolution_s == SLOT_S:
            yield slot, fmean(found)


class Heard:
    """Day-ahead prices and average carbon of one zone."""

    def __init__(self, zone: str, currency: str) -> None:
        self._zone, self._currency = zone, currency
        self._prices, self._carbon = HeardCurve(), HeardCurve()

    def take(self, record: object) -> bool:
        """Whether the record says something of these curves."""
        match record:
            case SpotPrice(zone=self._zone, product=PriceProduct.DAY_AHEAD, currency=self._currency):
                curve, values = self._prices, record.prices_per_mwh
            case CarbonIntensity(zone=self._zone, accounting=Accounting.AVERAGE):
                curve, values = self._carbon, record.grams_per_kwh
            case _:
                return False
        curve.take(record.starts_at, record.resolution_s, values, record.issued_at or record.observed_at)
        return True

    def outlook(self, now: datetime, slots: int) -> Outlook | None:
        """From this quarter hour on; None as long as no price is known. Without carbon a plan goes by price alone."""
        starts_at = now - timedelta(seconds=now.timestamp() % SLOT_S)
        prices = self._prices.curve(starts_at, slots)
        if prices is None:
            return None
        carbon = self._carbon.curve(starts_at, slots)
        nothing = Curve(values=(0.0,) * slots, known_at=prices.known_at, forecast_from=0)
        return Outlook(starts_at=starts_at, prices=prices, carbon=carbon or nothing)
