"""Average carbon intensity computed from A75, the generation per production type.

Production-based (imports are not counted) and by a versioned table of factors: IPCC 2014 life-cycle medians and the
direct factors beside them. Consumption series (pumping) carry the same type with an outBiddingZone: storage is left
out, other types' consumption is subtracted, and what is below zero then is a plant's own use: clamped.
Types are published at different times, so an interval that lacks one that reported in the last day is an estimate.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from gridsignal_schemas.messages import CarbonIntensity
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.curves import Curve, Value, so_far
from gridsignal_services.ingest.feed import Ask, Malformed, NotYetAvailable
from gridsignal_services.ingest.providers.entsoe_document import STORAGE, Document, Series
from gridsignal_services.ingest.providers.entsoe_zones import zone_of

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
    "storage": tuple(STORAGE),
}
FUEL_OF_TYPE = {code: fuel for fuel, codes in _FUELS.items() for code in codes}
"""Types that are not listed, also those not invented yet, are unknown."""
_KIND = re.compile("[A-Z][0-9]{2}")
_MEGAWATTS = frozenset({"MAW", "MW"})
_LOOK_BACK = 24
_HOUR_S = 3600

Steps = dict[int, tuple[int, Decimal]]
"""What one type told about an hour: seconds into it -> (length of the step in seconds, mean megawatts)."""
Hours = dict[int, Steps]
"""By hours since 1970."""
Mix = dict[str, Decimal]
"""Net megawatts of each type."""


def records(one: Document, ask: Ask) -> Iterator[CarbonIntensity]:
    """Life-cycle and direct CarbonIntensity per hour: MEASURED, or ESTIMATED where a type is late.

    An hour is a series of its own, so that an estimate becomes a measurement as its revision.
    """
    zone = _zone(one, ask)
    generated, consumed = _by_type(one, ask)
    hours_of = {kind: sorted(hours) for kind, hours in generated.items()}
    found = False
    for hour in sorted({hour for hours in generated.values() for hour in hours}):
        if not _asked(hour, ask):
            continue
        expected = {kind for kind, hours in hours_of.items() if _reports(hours, hour)}
        step_s, mixes = _mixes(hour, expected, generated, consumed)
        whole = all(not mix or mix.keys() == expected for mix in mixes)
        for scope, factors in (("LIFECYCLE", LIFECYCLE), ("DIRECT", DIRECT)):
            values = tuple(_intensity(mix, factors) for mix in mixes)
            curve = so_far(Curve(datetime.fromtimestamp(hour * _HOUR_S, UTC), step_s, values))
            if curve is not None:
                found = True
                yield _record(zone, curve, scope, "MEASURED" if whole else "ESTIMATED", ask)
    if not found:
        raise NotYetAvailable("entsoe holds no generation for this window yet")


def _zone(one: Document, ask: Ask) -> str:
    names = ("inBiddingZone_Domain.mRID", "outBiddingZone_Domain.mRID")
    areas = {series.fields[name] for series in one.series for name in names if series.fields.get(name)}
    if len(areas) != 1:
        raise Malformed(f"expected one area, got {len(areas)}")
    area = areas.pop()
    zone = zone_of(area, ask)
    if zone is None:
        raise Malformed(f"expected an area we know, got {area:.20}: [markets.ZONE] area says it")
    return zone


def _by_type(one: Document, ask: Ask) -> tuple[dict[str, Hours], dict[str, Hours]]:
    generated: dict[str, Hours] = {}
    consumed: dict[str, Hours] = {}
    for series in one.series:
        kind = series.fields.get("psrType", "")
        if not _KIND.fullmatch(kind):
            raise Malformed(f"expected a psrType such as B04 in each series of an A75, got {kind or 'none':.20}")
        if (unit := series.fields.get("quantity_Measure_Unit.name") or "MAW").upper() not in _MEGAWATTS:
            raise Malformed(f"expected {kind} in MAW, got {unit:.10}")
        consumes = "outBiddingZone_Domain.mRID" in series.fields
        _add((consumed if consumes else generated).setdefault(kind, {}), series, ask)
    return generated, consumed


def _add(known: Hours, series: Series, ask: Ask) -> None:
    kind = series.fields.get("psrType", "")
    disputed: set[tuple[int, int]] = set()
    for curve in series.curves:
        step_s, start_s = curve.resolution_s, int(curve.starts_at.timestamp())
        if _HOUR_S % step_s or start_s % step_s:
            raise Malformed(f"expected steps that divide an hour, got {step_s} s from {rfc3339(curve.starts_at)}")
        for i, value in enumerate(curve.values):
            if value is None:
                continue
            hour, second = divmod(start_s + i * step_s, _HOUR_S)
            steps = known.setdefault(hour, {})
            if steps.setdefault(second, (step_s, value)) != (step_s, value):
                ask.left_out.add(f"two values of {kind} in the hour from {datetime.fromtimestamp(hour * _HOUR_S, UTC)}")
                disputed.add((hour, second))
    for hour, second in disputed:
        del known[hour][second]


def _asked(hour: int, ask: Ask) -> bool:
    if ask.starts_at is not None and hour * _HOUR_S < ask.starts_at.timestamp():
        return False
    return ask.ends_at is None or (hour + 1) * _HOUR_S <= ask.ends_at.timestamp()


def _reports(hours: list[int], hour: int) -> bool:
    """Whether a type reported in the day before an hour, or in it."""
    at = bisect_right(hours, hour)
    return at > 0 and hour - hours[at - 1] <= _LOOK_BACK


def _mixes(
    hour: int, expected: set[str], generated: dict[str, Hours], consumed: dict[str, Hours]
) -> tuple[int, list[Mix]]:
    """The coarsest step of an hour's types in seconds, and what each generated, net, in each step."""
    steps_of = {kind: steps for kind in expected if (steps := generated[kind].get(hour))}
    drawn = {kind: steps for kind in steps_of if (steps := consumed.get(kind, {}).get(hour))}
    step_s = max(length for steps in (*steps_of.values(), *drawn.values()) for length, _ in steps.values())
    mixes: list[Mix] = []
    for second in range(0, _HOUR_S, step_s):
        mix = {kind: mean for kind, steps in steps_of.items() if (mean := _mean(steps, second, step_s)) is not None}
        for kind in mix.keys() & drawn.keys():
            mix[kind] -= _mean(drawn[kind], second, step_s) or 0
        mixes.append(mix)
    return step_s, mixes


def _mean(steps: Steps, second: int, step_s: int) -> Value:
    """Mean power over a step; None unless all of it is told."""
    length, value = steps.get(second, (0, None))
    if length == step_s:
        return value
    inside = [step for at, step in steps.items() if second <= at < second + step_s]
    if sum(length for length, _ in inside) != step_s:
        return None
    return sum((megawatts * length for length, megawatts in inside), Decimal(0)) / step_s


def _intensity(mix: Mix, factors: Mapping[str, int]) -> Value:
    grams = power = Decimal(0)
    for kind, net in mix.items():
        if net > 0:  # less than nothing is a plant's own use
            power += net
            grams += net * factors.get(FUEL_OF_TYPE.get(kind, "unknown"), 0)
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
