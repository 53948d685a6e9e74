"""A site's consumption hour by hour, matched by certificates and by what was known of its zone's carbon.

    uncovered = max(0, consumed - certified)
    grams     = consumed x intensity        by average and by marginal, each by one basis

Nothing is filled in: an hour without figures of its meters has none here, and one without carbon no grams.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from gridsignal_schemas.messages import Accounting
from gridsignal_schemas.reports import (
    CarbonTotal,
    HourCarbon,
    MatchedHour,
    MatchingRow,
    MatchingTotal,
    SiteMatching,
    Uncounted,
)
from gridsignal_services.carbon.certificates import Counted, Hour
from gridsignal_services.carbon.known import ACCOUNTINGS, Bases, Intensity, chosen, vintages_of
from gridsignal_services.settlement.carry import carried
from gridsignal_services.settlement.energy import WATT_US_PER_WH, Energy, Installed

HOUR = timedelta(hours=1)
_PLACES = 10_000


class Site(NamedTuple):
    """Whose hours they are."""

    name: str
    zone: str
    timezone: str
    """Its zone's, an IANA name."""
    capacity_w: int
    meters: Mapping[str, Installed]
    """All of the connection; empty: those that speak."""

    @property
    def tz(self) -> ZoneInfo:
        """Its zone's time."""
        return ZoneInfo(self.timezone)


def hours_between(starts_at: datetime, ends_at: datetime) -> list[Hour]:
    """The hours from a local midnight on; the last ends with the period."""
    hours: list[Hour] = []
    while starts_at < ends_at:
        hours.append((starts_at, min(starts_at + HOUR, ends_at)))
        starts_at += HOUR
    return hours


def matched(
    site: Site,
    energies: Sequence[tuple[Hour, Energy]],
    certified: Counted,
    uncounted: list[Uncounted],
    bases: Bases,
    known_at: datetime,
) -> SiteMatching:
    """A site's month, from the energy of each hour, in order of time."""
    consumed = _consumed(energies)
    lines = [
        _Line(hour, energy, wh, certified.get(hour[0], {}))
        for (hour, energy), wh in zip(energies, consumed, strict=True)
    ]
    of = {accounting: _carbon(site.zone, accounting, lines, bases, known_at) for accounting in ACCOUNTINGS}
    hours = [
        _hour(line, *(of[accounting].hours[place] for accounting in ACCOUNTINGS)) for place, line in enumerate(lines)
    ]
    return SiteMatching(
        site=site.name,
        zone=site.zone,
        timezone=site.timezone,
        totals=total_of(hours),
        carbon=[of[accounting].total for accounting in ACCOUNTINGS],
        uncounted=uncounted,
        hours=hours,
    )


def total_of(hours: Iterable[MatchedHour]) -> MatchingTotal:
    """The sums of these hours."""
    found = list(hours)
    known = [hour for hour in found if hour.consumed_wh is not None]
    consumed, matched_wh = sum(hour.consumed_wh or 0 for hour in known), sum(hour.matched_wh or 0 for hour in known)
    return MatchingTotal(
        hours=len(found),
        hours_missing=len(found) - len(known),
        hours_uncovered=sum(1 for hour in known if hour.uncovered_wh),
        consumed_wh=consumed,
        certified_wh=sum(hour.certified_wh for hour in found),
        matched_wh=matched_wh,
        uncovered_wh=consumed - matched_wh,
        matched_share=share(matched_wh, consumed),
    )


def total_of_sites(totals: Sequence[MatchingTotal]) -> MatchingTotal:
    """The sums of several sites."""
    names = [name for name in MatchingTotal.model_fields if name != "matched_share"]
    sums = {name: sum(getattr(total, name) for total in totals) for name in names}
    return MatchingTotal(**sums, matched_share=share(sums["matched_wh"], sums["consumed_wh"]))


def carbon_of_sites(totals: Iterable[CarbonTotal]) -> list[CarbonTotal]:
    """The sums of several sites; what is of different zones or bases is never added."""
    found: dict[tuple[object, ...], list[CarbonTotal]] = {}
    for total in totals:
        found.setdefault((total.accounting, total.zone, total.basis), []).append(total)
    names = ("grams", "uncovered_grams", "known_wh", "unknown_wh", "hours_unknown")
    return [
        same[0].model_copy(update={name: sum(getattr(total, name) for total in same) for name in names})
        for same in found.values()
    ]


def share(part: int, whole: int) -> Decimal | None:
    """To four places, rounded down: all is what is all."""
    return Decimal(part * _PLACES // whole) / _PLACES if whole else None


class _Line(NamedTuple):
    hour: Hour
    energy: Energy
    consumed_wh: int | None
    certificates: Mapping[str, int]

    @property
    def certified_wh(self) -> int:
        return sum(self.certificates.values())

    @property
    def matched_wh(self) -> int | None:
        return None if self.consumed_wh is None else min(self.consumed_wh, self.certified_wh)

    @property
    def uncovered_wh(self) -> int | None:
        return None if self.consumed_wh is None else self.consumed_wh - min(self.consumed_wh, self.certified_wh)


def _consumed(energies: Sequence[tuple[Hour, Energy]]) -> list[int | None]:
    """Whole watt-hours that add up to the rounded sum; None where there is no figure."""
    exact = [None if energy.watt_us is None else max(energy.watt_us, Fraction(0)) for _, energy in energies]
    whole = iter(carried(each / WATT_US_PER_WH for each in exact if each is not None))
    return [None if each is None else next(whole) for each in exact]


@dataclass(slots=True)
class _Carbon:
    """What one accounting makes of all hours."""

    total: CarbonTotal
    hours: list[HourCarbon | None] = field(default_factory=list)


def _carbon(zone: str, accounting: Accounting, lines: Sequence[_Line], bases: Bases, known_at: datetime) -> _Carbon:
    known = chosen(bases, accounting, lines[0].hour[0], lines[-1].hour[1]) if lines else None
    said = [None if known is None else known.over(*line.hour) for line in lines]
    grams = _grams(said, [line.consumed_wh for line in lines])
    uncovered = _grams(said, [line.uncovered_wh for line in lines])
    of = [
        None if each is None else _hour_carbon(each, one, rest)
        for each, one, rest in zip(said, grams, uncovered, strict=True)
    ]
    unknown = [line.consumed_wh for line, each in zip(lines, of, strict=True) if each is None]
    unknown_wh, consumed_wh = sum(wh or 0 for wh in unknown), sum(line.consumed_wh or 0 for line in lines)
    total = CarbonTotal(
        accounting=accounting,
        basis=None if known is None else known.basis,
        zone=zone,
        known_at=known_at,
        grams=sum(each or 0 for each in grams),
        uncovered_grams=sum(each or 0 for each in uncovered),
        known_wh=consumed_wh - unknown_wh,
        unknown_wh=unknown_wh,
        hours_unknown=sum(1 for wh in unknown if wh is not None),
    )
    return _Carbon(total, of)


def _grams(said: Sequence[Intensity | None], energies: Sequence[int | None]) -> list[int | None]:
    """Whole grams that add up to the rounded sum; None where either is unknown."""
    exact = [
        None if each is None or wh is None else each.grams_per_kwh * wh / 1000
        for each, wh in zip(said, energies, strict=True)
    ]
    whole = iter(carried(each for each in exact if each is not None))
    return [None if each is None else next(whole) for each in exact]


def _hour_carbon(intensity: Intensity, grams: int | None, uncovered: int | None) -> HourCarbon:
    return HourCarbon(
        grams_per_kwh=Decimal(round(intensity.grams_per_kwh * _PLACES)) / _PLACES,
        grams=grams,
        uncovered_grams=uncovered,
        vintages=vintages_of(intensity.sources),
    )


def _hour(line: _Line, average: HourCarbon | None, marginal: HourCarbon | None) -> MatchedHour:
    return MatchedHour(
        starts_at=line.hour[0],
        ends_at=line.hour[1],
        consumed_wh=line.consumed_wh,
        missing=line.energy.gap,
        qualities=sorted(line.energy.qualities),
        certificates=sorted(line.certificates),
        certified_wh=line.certified_wh,
        matched_wh=line.matched_wh,
        uncovered_wh=line.uncovered_wh,
        average=average,
        marginal=marginal,
    )


_PLAIN = MatchingRow.model_fields.keys() & MatchedHour.model_fields.keys()


def rows(month: str, sites: Iterable[SiteMatching]) -> Iterator[MatchingRow]:
    """Each hour of each site."""
    for site in sites:
        for hour in site.hours:
            plain: dict[str, Any] = {
                name: getattr(hour, name) for name in MatchedHour.model_fields if name in MatchingRow.model_fields
            }
            yield MatchingRow(
                month=month,
                site=site.site,
                zone=site.zone,
                **plain,
                **_columns("average", hour.average),
                **_columns("marginal", hour.marginal),
            )


def _columns(prefix: str, carbon: HourCarbon | None) -> dict[str, Any]:
    names = ("grams_per_kwh", "grams", "uncovered_grams")
    return {f"{prefix}_{name}": None if carbon is None else getattr(carbon, name) for name in names}
