"""The operation on matching: a month's consumption, matched hour by hour by certificates and by the zone's carbon.

Bounded: a report by `MOST_SITES`; an hour of a site by what Meters reads at once, of more it has no figures.
When full: Problem 422 that says what to narrow. Conflates: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query, Request, Response

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import EnergyCertificate, MeterReading
from gridsignal_schemas.reports import MatchingReport, MatchingRow, SiteMatching
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.vintages import Best, Logged
from gridsignal_schemas.sheets import Sheet
from gridsignal_schemas.values import MAX_POWER_W, rfc3339
from gridsignal_services.access import Audience, Principal
from gridsignal_services.carbon.certificates import Hour, Taken
from gridsignal_services.carbon.known import Bases, known_of
from gridsignal_services.carbon.matching import (
    Site,
    carbon_of_sites,
    hours_between,
    matched,
    rows,
    total_of_sites,
)
from gridsignal_services.carbon.read_month import ReadMonth
from gridsignal_services.dispatch.archive import TooMuch
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.forms import PAGE_HEADERS, FormAsked, form_of
from gridsignal_services.dispatch.listing import ZoneFilter, must_be_theirs
from gridsignal_services.dispatch.matching_page import matching_page
from gridsignal_services.dispatch.past import readable
from gridsignal_services.dispatch.periods import asked_month
from gridsignal_services.dispatch.statement import Month
from gridsignal_services.kept_file import TooMany
from gridsignal_services.ledger.delivered import meters_of
from gridsignal_services.metering.meters import Meters
from gridsignal_services.rest import problems
from gridsignal_services.rest.accept import CSV, HTML, JSON
from gridsignal_services.work import Work

PATH = "/v1/reports/matching/{month}"
MOST_SITES = 20
KNOWN_AFTER = timedelta(days=7)
"""How long after a month its carbon is looked up as it was known: by then what is measured has come."""
_KEPT = timedelta(days=TOPICS["readings"].retention_days)
_DAY_HOURS = 24
_MOMENT = timedelta(microseconds=1)
_FEW = 64
"""Series that are taken in a few milliseconds."""
_SHEET = Sheet.of("", MatchingRow)


class _Asked(NamedTuple):
    """What a report is asked to have."""

    month: Month
    site: str | None
    zone: str | None


def routes(door: Door) -> APIRouter:
    """The router of /v1/reports/matching."""
    router = APIRouter(prefix="/v1", tags=["reports"])

    @router.get(PATH.removeprefix("/v1"), response_model=MatchingReport, summary="Match a month's consumption by hour")
    async def matching(
        month: Annotated[str, Path(description="YYYY-MM, by the time of each site's zone.", examples=["2024-05"])],
        request: Request,
        site: Annotated[str | None, Query(examples=["fra-1"])] = None,
        zone: ZoneFilter = None,
        form: FormAsked = None,
    ) -> Response:
        """What a participant's sites took from the grid, hour by hour: how much of it certificates cover, and the
        carbon of the zone by average and by marginal, kept apart. What is not known is null, and said.

        `Accept: text/html` or `format=page` gives a page to print."""
        who = door.principal(request)
        door.only(request, "site", "zone", "format")
        must_be_theirs(door, who, zone)
        await door.catch_up(request)
        if who.role != "participant":  # an operator reads what was metered around its orders alone
            raise problems.participants_only()
        asked = _Asked(asked_month(month), site, zone)
        async with door.turn(who) as work:
            report = await _report(door, who, asked, work)
            answer = await _answer(report, form_of(request, form), work)
        answer.headers["Vary"] = "Accept"
        return answer

    return router


async def _answer(report: MatchingReport, form: str, work: Work) -> Response:
    if form == JSON:
        return Response(await work.away(report.model_dump_json), media_type=JSON)
    if form == CSV:
        return Response(await work.away(_sheet, report), media_type=f"{CSV}; charset=utf-8")
    page = await work.away(matching_page, report)
    return Response(page, headers=PAGE_HEADERS, media_type=f"{HTML}; charset=utf-8")


def _sheet(report: MatchingReport) -> str:
    return _SHEET.text([row.model_dump(mode="json") for row in rows(report.month, report.sites)])


# --- which sites and hours ----------------------------------------------------------------------------------------


async def _report(door: Door, who: Principal, asked: _Asked, work: Work) -> MatchingReport:
    """Raises Problem 404, 422, 503."""
    now, month = door.clock.now(), asked.month
    chosen = _sites(door, who, asked)
    for site in chosen:
        _must_be_kept(month, site.tz, now)
    zones = dict[str, tuple[Bases, datetime]]()
    taken, found = Taken(), list[SiteMatching]()
    for site in chosen:
        hours = [hour for hour in hours_between(month.begins(site.tz), month.ends(site.tz)) if hour[1] <= now]
        if site.zone not in zones:
            known_at = min(now, month.ends(site.tz) + KNOWN_AFTER)
            zones[site.zone] = await _bases(door, site.zone, hours, known_at, work), known_at
        with readable():
            read = await read_month(door.readings.meters, who.organisation, site, hours, taken, work)
        certificates = read.certified, read.uncounted
        found.append(await work.away(matched, site, read.energies, *certificates, *zones[site.zone]))
    return MatchingReport(
        month=str(month),
        of=who.name,
        as_of=now,
        site=asked.site,
        zone=asked.zone,
        totals=total_of_sites([each.totals for each in found]),
        carbon=carbon_of_sites([total for each in found for total in each.carbon]),
        sites=found,
    )


def _sites(door: Door, who: Principal, asked: _Asked) -> list[Site]:
    """Those that are asked for, by name. Raises Problem 404 or 422."""
    registry = door.registry
    if asked.site is not None:
        entry = registry.sites.get(asked.site)
        if entry is None or not door.sees(who, Audience(sites=frozenset({asked.site}))):
            raise problems.not_found("site")
        if asked.zone not in (None, entry.zone):
            expected = f"expected the zone of {asked.site}, {entry.zone}, or none"
            raise problems.invalid([fault("ZONE", "?zone", expected)])
        return [_site(door, asked.site)]
    mine = sorted(door.entitlements(who).sites)
    found = [_site(door, name) for name in mine if asked.zone in (None, registry.sites[name].zone)]
    if len(found) > MOST_SITES:
        expected = f"expected a zone or a site, for there are {len(found)} sites, more than {MOST_SITES}"
        raise problems.invalid([fault("PERIOD", "?site", expected)])
    return found


def _site(door: Door, name: str) -> Site:
    entry = door.registry.sites[name]
    book = door.replica.ledger_of(entry.zone).book
    timezone = door.registry.zones[entry.zone].timezone
    return Site(name, entry.zone, timezone, entry.capacity_w, meters_of(book, name))


def _must_be_kept(month: Month, zone_time: ZoneInfo, now: datetime) -> None:
    """Raises Problem 422 for a month of which there is nothing so far, or nothing any more."""
    if month.begins(zone_time) >= now:
        got = rfc3339(month.begins(zone_time))
        raise problems.invalid([fault("PERIOD", "?month", f"expected a month that has begun, got one from {got} on")])
    if month.ends(zone_time) <= now - _KEPT:
        expected = f"expected a month of the last {_KEPT.days} days, for so long readings are kept, got {month}"
        raise problems.invalid([fault("PERIOD", "?month", expected)])


# --- what a zone's carbon was ---------------------------------------------------------------------------------------


async def _bases(door: Door, zone: str, hours: Sequence[Hour], known_at: datetime, work: Work) -> Bases:
    """What was known at a moment of these hours. Raises Problem 422, LogUnavailable."""
    if not hours:
        return {}
    from_, to = hours[0][0], hours[-1][1]
    try:
        logged = await door.archive.published("carbon", zone, from_, known_at, door.replica.grid, to=to, work=work)
    except TooMuch:
        expected = f"expected a zone with less carbon published than {zone} has in this month"
        raise problems.invalid([fault("PERIOD", "?month", expected)]) from None
    best = Best(from_, to, known_at)
    await work.each_away(_taken(best, logged))
    return await work.away(known_of, best)


def _taken(best: Best, logged: Sequence[Logged]) -> Iterator[None]:
    for first in range(0, len(logged), _FEW):
        for known in logged[first : first + _FEW]:
            best.take(known)
        yield


# --- what a site's meters said ----------------------------------------------------------------------------------------


async def read_month(
    meters: Meters, participant: str, site: Site, hours: Sequence[Hour], taken: Taken, work: Work
) -> ReadMonth:
    """What a site's meters said of these hours: read by the day, and one of too many readings by the hour.

    Raises Unreadable."""
    read = ReadMonth()

    async def take(some: Sequence[Hour]) -> None:
        since = some[0][0] - _MOMENT  # what a register was where the first reading begins is said where the last ends
        try:
            said = await meters.in_order_of_log(site.name, participant, since, some[-1][1], work)
        except TooMany:
            if len(some) == 1:
                read.lose(some[0], taken)
                return
            for hour in some:
                await take([hour])
        else:
            await work.away(read.take, said, some, site, taken)

    for first in range(0, len(hours), _DAY_HOURS):
        await take(hours[first : first + _DAY_HOURS])
    return read


def an_hour(reading: MeterReading, known: Logged) -> MatchingReport:
    """What the OpenAPI document shows: one hour, half of it covered."""
    starts_at = reading.starts_at.replace(minute=0)
    hour = starts_at, starts_at + timedelta(hours=1)
    said = EnergyCertificate(certificate_id="gc-7", energy_wh=reading.import_w // 2, source="WIND")
    drawn = reading.model_copy(update={"starts_at": hour[0], "ends_at": hour[1], "certificates": [said]})
    best, month, site = (
        Best(*hour, known.at),
        ReadMonth(),
        Site(reading.site, reading.zone, "Europe/Berlin", MAX_POWER_W, {}),
    )
    best.take(known)
    month.take([drawn], [hour], site, Taken())
    found = matched(site, month.energies, month.certified, month.uncounted, known_of(best), known.at)
    return MatchingReport(
        month=str(Month(starts_at.year, starts_at.month)),
        of=f"participant:{reading.participant}",
        as_of=known.at,
        site=reading.site,
        zone=None,
        totals=found.totals,
        carbon=found.carbon,
        sites=[found],
    )
