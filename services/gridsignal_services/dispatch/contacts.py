"""The operation on contacts: which sites were heard, and what their failsafe profiles make of a silence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fastapi import APIRouter, Request, Response

from gridsignal_schemas.values import Identifier, Shape, Timestamp, Zone
from gridsignal_services.access import Principal
from gridsignal_services.alerting.contact import Contact
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.listing import APage, Page, ZoneFilter, must_be_theirs
from gridsignal_services.dispatch.sheet import as_asked, sheet_at
from gridsignal_services.dispatch.written import written
from gridsignal_services.registry import FailsafeEntry


class ContactView(Shape):
    """A site with a failsafe profile, and how it stands by it; without a profile nothing is told of a site."""

    zone: Zone
    site: Identifier
    contact: Contact
    """UNKNOWN: never heard. FAILSAFE: by its profile it keeps its limit; also a site that is heard again, until its
    time is over or a permit has let it go. ALONE: that time is over, and it is silent still."""
    is_silent: bool
    """Nothing was heard for longer than its heartbeat."""
    heard_at: Timestamp | None
    """When the log had something that the site sent, such as a reading; null: never."""
    until: Timestamp | None
    """When its failsafe is over at the latest; null: it is in none."""
    failsafe: FailsafeEntry
    """What was agreed."""


class ContactsPage(Shape):
    """A page of contacts; pass `next` as `after` for the following one."""

    contacts: list[ContactView]
    next: str | None


_CONTACTS = sheet_at("/v1/contacts", ContactView, rows="contacts")


def routes(door: Door) -> APIRouter:
    """The router of /v1/contacts."""
    router = APIRouter(prefix="/v1", tags=["sites"])

    @router.get("/contacts", response_model=ContactsPage, summary="List which sites are silent or in failsafe")
    async def contacts(request: Request, *, page: APage, zone: ZoneFilter = None) -> Response:
        """Sites with a failsafe profile, by name: yours, or as an operator those in your zones."""
        who = door.principal(request)
        door.only(request, "zone", *Page.NAMES)
        must_be_theirs(door, who, zone)
        await door.catch_up(request)
        async with door.turn(who) as work:
            now = door.clock.now()
            views = {view.site: view for view in _views(door, who, zone, now)}
            chosen, following = page.of(sorted(views))
            head = ContactsPage(contacts=[], next=following)
            answer = await written(head, "contacts", chosen, lambda site: views[site], work)
            return await as_asked(request, answer, _CONTACTS, work)

    return router


def _views(door: Door, who: Principal, zone: str | None, now: datetime) -> Iterator[ContactView]:
    mine = door.entitlements(who)
    for site, entry in door.registry.sites.items():
        seen = entry.zone in mine.zones if who.role == "operator" else site in mine.sites
        if not seen or entry.failsafe is None or zone not in (None, entry.zone):
            continue
        stand = door.contacts.stand(entry.participant, site, entry.failsafe, now)
        yield ContactView(
            zone=entry.zone,
            site=site,
            contact=stand.contact,
            is_silent=stand.is_silent,
            heard_at=door.contacts.heard_at(entry.participant, site),
            until=stand.until,
            failsafe=entry.failsafe,
        )
