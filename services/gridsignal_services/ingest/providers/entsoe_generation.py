"""Average carbon intensity computed from A75, the generation per production type.

Production-based (imports are not counted) and by a versioned table of factors: IPCC 2014 life-cycle medians and the
direct factors beside them. Consumption series (pumping) carry the same type with an outBiddingZone: storage is left
out, other types' consumption is subtracted, and what is below zero then is a plant's own use: clamped.
Types are published at different times, so an interval that lacks one that reported in the last day is an estimate.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from gridsignal_schemas.messages import CarbonIntensity
from gridsignal_services.ingest.curves import Curve, Value, so_far
from gridsignal_services.ingest.feed import Ask, Malformed, NotYetAvailable
from gridsignal_services.ingest.providers.entsoe_document import Document, Series
from gridsignal_services.ingest.providers.entsoe_zones import ZONE_OF_EIC

FACTORS_VERSION = "ipcc-2014-1"
LIFECYCLE = {
    "coal": 820, "gas": 490, "oil": 650, "biomass": 230, "geothermal": 38, "hydro": 24, "nuclear": 12, "solar": 45,
    "wind": 11, "unknown": 700,
}  # fmt: skip
DIRECT = {"coal": 760, "gas": 370, "oil": 406, "unknown": 575}
"""g/kWh; what is not listed has no stack."""
_FUELS = {
    "biomass": ("B01", "B17"),
    "coal": ("B02", "B05", "B07", "B08"),
    "gas": ("B03", "B04"),
    "oil": ("B06",),
    "geothermal": ("B09",),
    "hydro": ("B11", "B12"),
    "nuclear": ("B14",),
    "solar": ("B16",),
    "wind": ("B18", "B19"),
    "storage": ("B10", "B25"),
}
FUEL_OF_TYPE = {code: fuel for fuel, codes in _FUELS.items() for code in codes}
"""Types that are not listed, also those not invented yet, are unknown."""
_LOOK_BACK = timedelta(hours=24)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Power:
    """Mean power of one type over [starts_at, + step_s)."""

    starts_at: datetime
    step_s: int
    megawatts: Decimal


Hours = dict[datetime, list[Power]]
"""What one type told about each hour."""


def records(one: Document, ask: Ask) -> Iterator[CarbonIntensity]:
    """Life-cycle and direct CarbonIntensity per hour: MEASURED, or ESTIMATED where a type is late.

    An hour is a series of its own, so that an estimate becomes a measurement as its revision.
    """
    zone = _zone(one)
    generated, consumed = _by_type(one)
    told = {kind: sorted(hours) for kind, hours in generated.items()}
    found = False
    for hour in sorted({hour for hours in generated.values() for hour in hours}):
        if not _asked(hour, ask):
            continue
        expected = {kind for kind, hours in told.items() if _reports(hours, hour)}
        for scope, factors in (("LIFECYCLE", LIFECYCLE), ("DIRECT", DIRECT)):
            curve, whole = _intensities(hour, expected, generated, consumed, factors)
            if curve is not None:
                found = True
                yield _record(zone, curve, scope, "MEASURED" if whole else "ESTIMATED", ask)
    if not found:
        raise NotYetAvailable("entsoe holds no generation for this window yet")


def _zone(one: Document) -> str:
    names = ("inBiddingZone_Domain.mRID", "outBiddingZone_Domain.mRID")
    areas = {series.fields[name] for series in one.series for name in names if series.fields.get(name)}
    if len(areas) != 1:
        raise Malformed(f"expected one area, got {len(areas)}")
    area = areas.pop()
    if area not in ZONE_OF_EIC:
        raise Malformed(f"expected an area we know, got {area:.20}")
    return ZONE_OF_EIC[area]


def _by_type(one: Document) -> tuple[dict[str, Hours], dict[str, Hours]]:
    generated: dict[str, Hours] = {}
    consumed: dict[str, Hours] = {}
    for series in one.series:
        kind = series.fields.get("psrType")
        if not kind:
            raise Malformed("expected a psrType in each series of an A75")
        if FUEL_OF_TYPE.get(kind) == "storage":
            continue  # what it gives it took before
        consumes = "outBiddingZone_Domain.mRID" in series.fields
        _add((consumed if consumes else generated).setdefault(kind, {}), series)
    return generated, consumed


def _add(known: Hours, series: Series) -> None:
    for curve in series.curves:
        if 3600 % curve.resolution_s:
            raise Malformed(f"expected steps that divide an hour, got {curve.resolution_s} s")
        for i, value in enumerate(curve.values):
            if value is not None:
                when = curve.starts_at + timedelta(seconds=i * curve.resolution_s)
                hour = known.setdefault(when.replace(minute=0, second=0, microsecond=0), [])
                _join(hour, Power(when, curve.resolution_s, value), series.fields.get("psrType", ""))


def _join(hour: list[Power], power: Power, kind: str) -> None:
    end = power.starts_at + timedelta(seconds=power.step_s)
    for other in hour:
        if power.starts_at < other.starts_at + timedelta(seconds=other.step_s) and other.starts_at < end:
            if other != power:
                raise Malformed(f"two values of {kind} for {power.starts_at.isoformat()}")
            return
    hour.append(power)


def _asked(hour: datetime, ask: Ask) -> bool:
    if ask.starts_at is not None and hour < ask.starts_at:
        return False
    return ask.ends_at is None or hour + _HOUR <= ask.ends_at


def _reports(told: list[datetime], hour: datetime) -> bool:
    """Whether a type reported in the day before an hour, or in it."""
    at = bisect_right(told, hour)
    return at > 0 and hour - told[at - 1] <= _LOOK_BACK


def _intensities(
    hour: datetime,
    expected: set[str],
    generated: dict[str, Hours],
    consumed: dict[str, Hours],
    factors: Mapping[str, int],
) -> tuple[Curve | None, bool]:
    """An hour's curve, in the coarsest step of its types, and whether every expected type told all of it."""
    told = {kind: powers for kind in expected if (powers := generated[kind].get(hour))}
    drawn = {kind: powers for kind in told if (powers := consumed.get(kind, {}).get(hour))}
    step_s = max(power.step_s for powers in (*told.values(), *drawn.values()) for power in powers)
    values: list[Value] = []
    whole = True
    for i in range(3600 // step_s):
        starts_at = hour + timedelta(seconds=i * step_s)
        mix = {kind: power for kind, all_ in told.items() if (power := _mean(all_, starts_at, step_s)) is not None}
        pumped = {kind: power for kind, all_ in drawn.items() if (power := _mean(all_, starts_at, step_s)) is not None}
        values.append(_intensity(mix, pumped, factors))
        whole = whole and (not mix or set(mix) == expected)
    return so_far(Curve(hour, step_s, tuple(values))), whole


def _mean(powers: list[Power], starts_at: datetime, step_s: int) -> Value:
    """Mean power over a step; None unless all of it is told."""
    end = starts_at + timedelta(seconds=step_s)
    inside = [power for power in powers if starts_at <= power.starts_at < end]
    if sum(power.step_s for power in inside) != step_s:
        return None
    return sum((power.megawatts * power.step_s for power in inside), Decimal(0)) / step_s


def _intensity(mix: Mapping[str, Decimal], pumped: Mapping[str, Decimal], factors: Mapping[str, int]) -> Value:
    grams = power = Decimal(0)
    for kind, generated in mix.items():
        fuel = FUEL_OF_TYPE.get(kind, "unknown")
        net = max(Decimal(0), generated - pumped.get(kind, Decimal(0)))
        power += net
        grams += net * factors.get(fuel, 0)
    return (grams / power).quantize(Decimal("0.0001")) if power else None


def _record(zone: str, curve: Curve, scope: str, status: str, ask: Ask) -> CarbonIntensity:
    values = list(curve.values)
    late = ["late_types"] if status == "ESTIMATED" else []
    return CarbonIntensity.model_validate(
        {
            "zone": zone,
            "accounting": "AVERAGE",
            "scope": scope,
            "mix": "PRODUCTION",
            "starts_at": curve.starts_at,
            "resolution_s": curve.resolution_s,
            "grams_per_kwh": values,
            "status": status,
            "flags": ["computed", *late, *(["gap"] if None in values else [])],
            "provider": "entsoe",
            "dataset": "A75",
            "factors_version": FACTORS_VERSION,
            "observed_at": ask.now,
            "revision": 1,
        }
    )
