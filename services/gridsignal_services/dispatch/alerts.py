"""The operations on alerts: what is in force, and what each site said and its meters showed, as three states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gridsignal_schemas.messages import AckState, GridAlert
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.values import Identifier, Shape, Timestamp
from gridsignal_services.access import Principal
from gridsignal_services.alerting.table import KnownAlert, KnownRevision, Name, Said
from gridsignal_services.alerting.verified import BEFORE, SINCE, moved
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.listing import ADated, APage, Dated, Page, ZoneFilter, listed, must_be_theirs
from gridsignal_services.dispatch.past import readable
from gridsignal_services.dispatch.sheet import as_asked, sheet_at
from gridsignal_services.dispatch.written import written
from gridsignal_services.kept_file import TooMany
from gridsignal_services.registry import SiteEntry
from gridsignal_services.rest import problems
from gridsignal_services.work import Work

Provider = Annotated[str | None, Query(description="Who delivered it.", examples=["tso-north"])]
InForce = Annotated[bool | None, Query(description="Only what is not over (true), or is (false).")]


class AlertView(Shape):
    """An alert and where it stands."""

    alert: GridAlert
    """The newest revision."""
    logged_at: Timestamp
    """When the log had that revision."""
    is_over: bool
    """It has ended, or another alert said that it takes its place."""
    superseded_by: Identifier | None
    """The alert that says so; a drill takes the place of drills alone."""
    receive_by: Timestamp | None
    """By when each site has to have it; null: the alert names no time."""
    apply_by: Timestamp | None
    """By when each site has to have done what is asked; null: the alert names no time."""


class Step(Shape):
    """Something that a site was to do by a time."""

    at: Timestamp | None
    """When the log had it; null: not so far."""
    is_late: bool
    """It came after its time, or its time has passed without it."""


class Verified(Shape):
    """What the meters of the connection showed, whatever the site says."""

    at: Timestamp | None
    """End of the first metered interval that moved as was asked, by a hundredth of the connection's capacity or more;
    null: none so far, or the alert asks for no movement (only SHED and RAISE do)."""
    power_w: int | None
    """The most that it moved as was asked, in watts, within six hours."""


class SiteAlert(Shape):
    """One site and one revision of an alert: received, applied and verified are three states."""

    site: Identifier
    received: Step
    """By the site's software; any other word says so, too."""
    understood_at: Timestamp | None
    will_act_at: Timestamp | None
    cannot_act_at: Timestamp | None
    applied: Step
    """By the site's own word."""
    verified: Verified
    """By its meters."""
    actor: str | None
    """Who gave the newest word, and why; null: nobody said anything."""
    reason_code: str | None
    reason: str | None


class Alerts(Shape):
    """A page of alerts; pass `next` as `after` for the following one."""

    alerts: list[AlertView]
    next: str | None


class AlertSites(AlertView):
    """An alert, and a page of the sites in its zone; pass `next` as `after` for the following one."""

    sites: list[SiteAlert]
    next: str | None


_ALERTS = sheet_at("/v1/alerts", GridAlert, AlertView, rows="alerts", record="alert")


def routes(door: Door) -> APIRouter:
    """The router of /v1/alerts."""
    router = APIRouter(prefix="/v1", tags=["alerts"])
    _add_list(router, door)
    _add_one(router, door)
    return router


def _add_list(router: APIRouter, door: Door) -> None:
    @router.get("/alerts", response_model=Alerts, summary="List alerts")
    async def alerts(
        request: Request,
        *,
        asked: ADated,
        zone: ZoneFilter = None,
        provider: Provider = None,
        in_force: InForce = None,
    ) -> Response:
        """Alerts of your zones, the newest revision of each, by when it was logged."""
        who = door.principal(request)
        door.only(request, "zone", "provider", "in_force", *Dated.NAMES)
        must_be_theirs(door, who, zone)
        asked.must_not_be_reversed()
        await door.catch_up(request)
        mine, now = door.entitlements(who).zones, door.clock.now()

        def keeps(known: KnownAlert) -> bool:
            alert = known.newest.alert
            return (
                alert.zone in mine
                and zone in (None, alert.zone)
                and provider in (None, alert.provider)
                and in_force in (None, not known.is_over(now))
                and asked.touches(alert.starts_at, alert.ends_at)
            )

        async with door.turn(who) as work:
            entries = [(":".join(name), known) for name, known in door.alerts.all()]
            found = await listed(entries, keeps, _logged_at, work, newest_first=asked.newest_first)
            chosen, following = asked.of(found)
            page = Alerts(alerts=[], next=following)
            answer = await written(page, "alerts", chosen, lambda name: alert_view(found[name], now), work)
            return await as_asked(request, answer, _ALERTS, work)


def _add_one(router: APIRouter, door: Door) -> None:
    @router.get("/alerts/{alert_id}", response_model=AlertSites, summary="Show an alert and what sites say of it")
    async def alert(
        alert_id: str,
        request: Request,
        *,
        page: APage,
        zone: ZoneFilter = None,
        provider: Provider = None,
        revision: Annotated[int | None, Query(ge=1, description="Null: the newest.")] = None,
    ) -> Response:
        """What the sites of its zone said of one revision, and what their meters showed: to the operator that issued
        the alert. A participant sees its own sites alone; of another's alert an operator sees no site."""
        who = door.principal(request)
        door.only(request, "zone", "provider", "revision", *Page.NAMES)
        must_be_theirs(door, who, zone)
        await door.catch_up(request)
        async with door.turn(who) as work:
            known = _named(door, who, (zone, provider, alert_id))
            of = known.newest if revision is None else known.revisions.get(revision)
            if of is None:
                raise problems.not_found("alert")
            now = door.clock.now()
            sites = dict(sorted(_sites(door, who, of.alert)))
            chosen, following = page.of(sites)
            shown = [await site_alert(door, of, site, sites[site], now, work) for site in chosen]
            head = AlertSites(**dict(alert_view(known, now, of)), sites=[], next=following)
            return await written(head, "sites", shown, lambda each: each, work)


def alert_view(known: KnownAlert, now: datetime, of: KnownRevision | None = None) -> AlertView:
    """An alert as it is shown, by its newest revision unless another is named."""
    shown = of or known.newest
    return AlertView(
        alert=shown.alert,
        logged_at=shown.logged_at,
        is_over=known.is_over(now),
        superseded_by=known.superseded_by,
        receive_by=shown.receive_by,
        apply_by=shown.apply_by,
    )


async def site_alert(
    door: Door, of: KnownRevision, site: str, entry: SiteEntry, now: datetime, work: Work
) -> SiteAlert:
    """What a site said of a revision, and what its meters showed. Raises Problem 503 where older readings can't be."""
    begins_at, power = of.begins_at, None
    with suppress(TooMany), readable():
        meters = door.readings.meters
        period = begins_at - BEFORE, begins_at + SINCE
        readings = await meters.between(site, *period, work, entry.participant)
        with work.here():
            power = moved(of.alert.action, begins_at, entry.capacity_w, readings)
    said = {state: word for state, word in of.of(site).items() if word.ack.participant == entry.participant}
    newest = max(said.values(), key=_said_at, default=None)
    verified = Verified(at=None, power_w=None) if power is None else Verified(at=power.at, power_w=power.power_w)
    return SiteAlert(
        site=site,
        received=_step(min(map(_said_at, said.values()), default=None), of.receive_by, now),
        understood_at=_at(said, AckState.UNDERSTOOD),
        will_act_at=_at(said, AckState.WILL_ACT),
        cannot_act_at=_at(said, AckState.CANNOT_ACT),
        applied=_step(_at(said, AckState.APPLIED), of.apply_by, now),
        verified=verified,
        actor=None if newest is None else newest.ack.actor,
        reason_code=None if newest is None else newest.ack.reason_code,
        reason=None if newest is None else newest.ack.reason,
    )


def _named(door: Door, who: Principal, name: tuple[str | None, str | None, str]) -> KnownAlert:
    """The alert of this id that they may see. Raises Problem 404, 422 where several providers or zones have one."""
    mine = door.entitlements(who).zones
    found = {each: known for each, known in door.alerts.of_id(name[2]) if each[0] in mine and _fits(each, name)}
    if not found:
        raise problems.not_found("alert")
    if len(found) > 1:
        choices = ", ".join(f"{provider} in {zone}" for zone, provider, _ in sorted(found))
        raise problems.invalid([fault("AMBIGUOUS", "?provider", f"expected one of {choices:.400} to be named")])
    return next(iter(found.values()))


def _fits(name: Name, asked: tuple[str | None, str | None, str]) -> bool:
    return all(wanted in (None, got) for got, wanted in zip(name, asked, strict=True))


def _sites(door: Door, who: Principal, alert: GridAlert) -> Iterator[tuple[str, SiteEntry]]:
    """The sites of the zone whose words they may read."""
    for site, entry in door.registry.sites.items():
        theirs = who.organisation == (entry.participant if who.role == "participant" else alert.provider)
        if theirs and entry.zone == alert.zone:
            yield site, entry


def _logged_at(known: KnownAlert) -> datetime:
    return known.newest.logged_at


def _said_at(said: Said) -> datetime:
    return said.logged_at


def _at(said: Mapping[AckState, Said], state: AckState) -> datetime | None:
    return said[state].logged_at if state in said else None


def _step(at: datetime | None, by: datetime | None, now: datetime) -> Step:
    return Step(at=at, is_late=by is not None and (at or now) > by)
