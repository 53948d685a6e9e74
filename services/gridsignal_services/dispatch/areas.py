"""The operations on areas: which there are, and what is committed in them, for the operator who runs them."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response

from gridsignal_schemas.messages import AreaRegistration
from gridsignal_services.access import Principal
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.sheet import as_asked, sheet_at
from gridsignal_services.dispatch.written import json
from gridsignal_services.ledger.area_curve import AreaCurve, area_curve, zone_curve
from gridsignal_services.ledger.book import Book
from gridsignal_services.rest import problems

_AREAS = sheet_at("/v1/areas", AreaRegistration)


def routes(door: Door) -> APIRouter:
    """Everything below /v1/areas."""
    router = APIRouter(prefix="/v1", tags=["areas"])

    @router.get("/areas", response_model=list[AreaRegistration], summary="List areas")
    async def areas(request: Request) -> Response:
        """The areas that you run, in each zone with sites of theirs, as the log knows them: with the zone's share of
        their limits."""
        who = _operator(door, request)
        door.only(request)
        await door.catch_up(request)
        async with door.turn(who) as work:
            mine = [area for _, area in _areas(door, who)]
            answer = json(f"[{','.join(await work.each(mine, AreaRegistration.model_dump_json))}]")
            return await as_asked(request, answer, _AREAS, work)

    @router.get("/areas/{area}/curve", response_model=AreaCurve, summary="Show what is committed in an area")
    async def curve(area: str, request: Request) -> AreaCurve:
        """Over the next day: what the orders of all requests, answered or not, may change in an area that you run,
        beside its limits. Only you are shown it, for it adds up what others do."""
        who = _operator(door, request)
        door.only(request)
        await door.catch_up(request)
        async with door.turn(who) as work:
            held = [(book, each) for book, each in _areas(door, who) if each.area == area]
            if not held:
                raise problems.not_found("area")
            since = door.clock.now().replace(second=0, microsecond=0)
            with work.here():
                zones = [zone_curve(book, (each.zone, area), since) for book, each in held]
            return area_curve(area, since, zones)

    return router


def _operator(door: Door, request: Request) -> Principal:
    """Raises Problem 401 or 403."""
    who = door.principal(request)
    if who.role != "operator":
        raise problems.operators_only()
    return who


def _areas(door: Door, who: Principal) -> Iterator[tuple[Book, AreaRegistration]]:
    """Those that they run and that have not ended, in order of their names."""
    mine = {name for name, entry in door.registry.areas.items() if entry.operator == who.organisation}
    known = [(ledger.book, area) for ledger in door.ledgers() for area in ledger.book.areas.values() if area.sites]
    for book, area in sorted(known, key=lambda each: (each[1].area, each[1].zone)):
        if area.area in mine:
            yield book, area
