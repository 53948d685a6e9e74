"""Average carbon intensity computed from A75, the generation per production type.

Production-based (imports are not counted) and by a versioned table of factors: IPCC 2014 life-cycle medians and the
direct factors beside them. Consumption series (pumping) carry the same type with an outBiddingZone: storage is left
out, other types' consumption is subtracted, and what is below zero then is a plant's own use: clamped.
Types are published at different times, so an interval that lacks one that reported in the last day is an estimate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from gridsignal_schemas.messages import CarbonIntensity
from gridsignal_services.ingest.curves import Curve, Value, by_day
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
_UTC = ZoneInfo("UTC")

Megawatts = dict[datetime, Decimal]


def records(one: Document, ask: Ask) -> Iterator[CarbonIntensity]:
    """Life-cycle and direct CarbonIntensity per UTC day and status: MEASURED, and ESTIMATED where a type is late."""
    step_s, zone = _step(one), _zone(one, ask)
    generated, consumed = _by_type(one)
    starts = sorted({when for series in generated.values() for when in series})
    found = False
    for whole in (True, False):
        for scope, factors in (("LIFECYCLE", LIFECYCLE), ("DIRECT", DIRECT)):
            told = {
                when: value
                for when in starts
                if _asked(when, step_s, ask) and _is_whole(when, generated) is whole
                if (value := _intensity(when, generated, consumed, factors)) is not None
            }
            for run in _runs(told, step_s):
                found = True
                yield _record(zone, run, scope, "MEASURED" if whole else "ESTIMATED", ask)
    if not found:
        raise NotYetAvailable("entsoe holds no generation for this window yet")


def _step(one: Document) -> int:
    steps = {curve.resolution_s for series in one.series for curve in series.curves}
    if len(steps) != 1:
        raise Malformed(f"expected generation of one resolution, got {sorted(steps)}")
    return steps.pop()


def _zone(one: Document, ask: Ask) -> str:
    names = ("inBiddingZone_Domain.mRID", "outBiddingZone_Domain.mRID")
    areas = {series.fields[name] for series in one.series for name in names if series.fields.get(name)}
    if len(areas) != 1:
        raise Malformed(f"expected one area, got {len(areas)}")
    zone = ZONE_OF_EIC.get(areas.pop())
    if zone is None:
        raise Malformed("expected an area we know")
    return zone


def _by_type(one: Document) -> tuple[dict[str, Megawatts], dict[str, Megawatts]]:
    generated: dict[str, Megawatts] = defaultdict(dict)
    consumed: dict[str, Megawatts] = defaultdict(dict)
    for series in one.series:
        kind = series.fields.get("psrType")
        if not kind:
            raise Malformed("expected a psrType in each series of an A75")
        consumes = "outBiddingZone_Domain.mRID" in series.fields
        _add(consumed[kind] if consumes else generated[kind], series)
    return generated, consumed


def _add(known: Megawatts, series: Series) -> None:
    for curve in series.curves:
        for i, value in enumerate(curve.values):
            when = curve.starts_at + timedelta(seconds=i * curve.resolution_s)
            if value is None:
                continue
            if when in known and known[when] != value:
                raise Malformed(f"two values of {series.fields.get('psrType')} for {when.isoformat()}")
            known[when] = value


def _asked(when: datetime, step_s: int, ask: Ask) -> bool:
    if ask.starts_at is not None and when < ask.starts_at:
        return False
    return ask.ends_at is None or when + timedelta(seconds=step_s) <= ask.ends_at


def _is_whole(when: datetime, generated: dict[str, Megawatts]) -> bool:
    """Whether every type that reported in the last day reports for this interval, too."""
    for series in generated.values():
        if when not in series and any(when - _LOOK_BACK <= other < when for other in series):
            return False
    return True


def _intensity(
    when: datetime, generated: dict[str, Megawatts], consumed: dict[str, Megawatts], factors: dict[str, int]
) -> Value:
    grams = power = Decimal(0)
    for kind, series in generated.items():
        fuel = FUEL_OF_TYPE.get(kind, "unknown")
        if fuel == "storage" or when not in series:
            continue
        net = max(Decimal(0), series[when] - consumed.get(kind, {}).get(when, Decimal(0)))
        power += net
        grams += net * factors.get(fuel, 0)
    return (grams / power).quantize(Decimal("0.0001")) if power else None


def _runs(told: dict[datetime, Decimal], step_s: int) -> Iterator[Curve]:
    """Contiguous runs, cut at UTC midnights."""
    step = timedelta(seconds=step_s)
    run: list[Decimal] = []
    begin: datetime | None = None
    for when in [*sorted(told), None]:
        if begin is not None and (when is None or when != begin + len(run) * step):
            yield from by_day(Curve(begin, step_s, tuple(run)), _UTC)
            begin, run = None, []
        if when is not None:
            begin = begin or when
            run.append(told[when])


def _record(zone: str, curve: Curve, scope: str, status: str, ask: Ask) -> CarbonIntensity:
    return CarbonIntensity.model_validate(
        {
            "zone": zone,
            "accounting": "AVERAGE",
            "scope": scope,
            "mix": "PRODUCTION",
            "starts_at": curve.starts_at,
            "resolution_s": curve.resolution_s,
            "grams_per_kwh": list(curve.values),
            "status": status,
            "flags": ["computed"] if status == "MEASURED" else ["computed", "late_types"],
            "provider": "entsoe",
            "dataset": "A75",
            "factors_version": FACTORS_VERSION,
            "observed_at": ask.now,
            "revision": 1,
        }
    )
