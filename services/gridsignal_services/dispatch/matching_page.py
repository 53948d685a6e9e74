"""A month's matching as a page to print, by the same means as a statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement
from zoneinfo import ZoneInfo

from gridsignal_schemas.reports import CarbonTotal, HourCarbon, MatchedHour, MatchingReport, MatchingTotal, SiteMatching
from gridsignal_schemas.values import rfc3339, text_of_decimal
from gridsignal_services.dispatch.page import Bar, chart, facts, named, new_page, table, text, when, written_page

_TOTAL = (
    "site", "hours", "without figures", "not covered", "consumed Wh", "certified Wh", "matched Wh", "uncovered Wh",
    "matched",
)  # fmt: skip
_CARBON = (
    "accounting",
    "zone",
    "basis",
    "known at",
    "grams",
    "of it uncovered",
    "of Wh",
    "unknown Wh",
    "unknown hours",
)
_HOUR = (
    "from", "to", "consumed Wh", "matched Wh", "uncovered Wh", "average g/kWh", "grams", "marginal g/kWh", "grams",
    "certificates", "readings",
)  # fmt: skip


def matching_page(report: MatchingReport) -> str:
    """The page; each site's hours are by its zone's clock."""
    page, body = new_page(f"Hourly matching of {report.month} for {report.of}")
    facts(
        body,
        ("as of", rfc3339(report.as_of)),
        ("zone", report.zone or "all"),
        ("site", report.site or "all"),
    )
    lines = [("all", report.totals), *((site.site, site.totals) for site in report.sites)]
    table(body, _TOTAL, (_total(name, total) for name, total in lines), range(1, len(_TOTAL)))
    text(body, "p", "Average and marginal say different things and are never added. Unknown hours are in no sum.")
    table(body, _CARBON, map(_carbon, report.carbon), range(4, len(_CARBON)))
    for site in report.sites:
        _site(body, site)
    return written_page(page)


def _total(name: str, total: MatchingTotal) -> tuple[str, ...]:
    counts = (total.hours, total.hours_missing, total.hours_uncovered)
    energies = (total.consumed_wh, total.certified_wh, total.matched_wh, total.uncovered_wh)
    share = "-" if total.matched_share is None else f"{text_of_decimal(total.matched_share * 100)} %"
    return (name, *map(str, counts), *map(str, energies), share)


def _carbon(total: CarbonTotal) -> tuple[str, ...]:
    sums = (total.grams, total.uncovered_grams, total.known_wh, total.unknown_wh, total.hours_unknown)
    return (str(total.accounting), total.zone, named(total.basis), rfc3339(total.known_at), *map(str, sums))


def _site(body: Element, site: SiteMatching) -> None:
    zone_time = ZoneInfo(site.timezone)
    section = SubElement(body, "section", id=f"site-{site.site}")
    text(section, "h2", f"Site {site.site}, {site.zone}")
    for day, hours in groupby(site.hours, key=lambda hour: hour.starts_at.astimezone(zone_time).date()):
        _day(section, f"{site.site} on {day}", list(hours), zone_time)
    if site.uncounted:
        text(section, "h3", "Certificates that count for nothing")
        rows = (
            (each.certificate_id, *_ends(each.starts_at, each.ends_at, zone_time), each.why) for each in site.uncounted
        )
        table(section, ("certificate", "from", "to", "why"), rows)


def _day(section: Element, name: str, hours: Sequence[MatchedHour], zone_time: tzinfo) -> None:
    text(section, "h3", name)
    what = "consumed (outline) and matched (filled) by hour"
    chart(section, what, name, [Bar(hour.consumed_wh or 0, hour.matched_wh) for hour in hours])
    table(section, _HOUR, (_hour(hour, zone_time) for hour in hours), range(2, 9))


def _hour(hour: MatchedHour, zone_time: tzinfo) -> tuple[str, ...]:
    energies = (hour.consumed_wh, hour.matched_wh, hour.uncovered_wh)
    said = " ".join(filter(None, (*hour.qualities, hour.missing)))
    carbon = (*_grams(hour.average), *_grams(hour.marginal))
    return (
        *_ends(hour.starts_at, hour.ends_at, zone_time),
        *map(_figure, energies),
        *carbon,
        " ".join(hour.certificates),
        said,
    )


def _grams(carbon: HourCarbon | None) -> Iterable[str]:
    return ("-", "-") if carbon is None else (text_of_decimal(carbon.grams_per_kwh), _figure(carbon.grams))


def _figure(value: int | None) -> str:
    return "-" if value is None else str(value)


def _ends(starts_at: datetime, ends_at: datetime, zone_time: tzinfo) -> tuple[str, str]:
    return when(starts_at, zone_time), when(ends_at, zone_time)
