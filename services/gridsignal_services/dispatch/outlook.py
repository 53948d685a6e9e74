"""The operation that says what a site's baseline for a request would be made of, before it offers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request

from gridsignal_schemas.messages import BaselineFixed, DayLeftOut, RuleName
from gridsignal_schemas.values import Identifier, Shape
from gridsignal_services.access import Principal
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.past import readable
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.owning.fixing import foreseen
from gridsignal_services.rest import problems
from gridsignal_services.settlement.pinned import DECLARED
from gridsignal_services.work import Work


class Counting(StrEnum):
    """What a baseline is."""

    HISTORY = "HISTORY"
    """By the request's method."""
    DECLARED = "DECLARED"
    """What the site has declared before the request."""


class BaselineOutlook(Shape):
    """What a site's baseline for a request would be made of, had the gate closed now; or is, where it has."""

    request_id: Identifier
    site: Identifier
    method: RuleName
    """The baseline method of the request."""
    counts: Counting
    """HISTORY by the method; DECLARED where it reads none, or has too little to go by."""
    is_fixed: bool
    """Whether the gate has closed and this is what counts; readings may still change it before."""
    reason: str
    """For people: what the method needs and did not find, and what holds in its place; or empty."""
    days: list[str]
    """The days that it is the mean of, newest first."""
    left_out: list[DayLeftOut]
    """The days that it could not go by, and why."""


def add_to(router: APIRouter, door: Door) -> None:
    """Adds /v1/requests/{request_id}/baseline."""

    @router.get(
        "/requests/{request_id}/baseline",
        tags=["requests"],
        response_model=BaselineOutlook,
        summary="Show what a site's baseline would be made of",
    )
    async def baseline(
        request: Request, request_id: str, site: Annotated[str, Query(examples=["fra-1"])]
    ) -> BaselineOutlook:
        """Of your own site, by the readings and orders so far: whether its history is enough for the request's method,
        and what holds where it is not. Ask before you offer."""
        who = door.principal(request)
        door.only(request, "site")
        await door.catch_up(request)
        async with door.turn(who) as work:
            ledger, tracked = await door.request(who, request_id, work=work)
            entry = door.registry.sites.get(site)
            is_theirs = entry is not None and who.role == "participant" and entry.participant == who.organisation
            if not is_theirs or entry is None or entry.zone != tracked.request.zone:
                raise problems.not_found("site")
            pinned = tracked.request.baseline_method or DECLARED
            method = RuleName(name=pinned.name, version=pinned.version, sha256=pinned.sha256)
            fixed = ledger.book.fixed.get((tracked.request.request_id, site))
            if fixed is not None and fixed.record.participant == who.organisation:
                return outlook_of(fixed.record, is_fixed=True)
            record = await _foreseen(door, who, ledger, request_id, site, work)
            if record is not None:
                return outlook_of(record, is_fixed=False)
            return BaselineOutlook(
                request_id=request_id, site=site, method=method, counts=Counting.DECLARED, is_fixed=False, reason="",
                days=[], left_out=[],
            )  # fmt: skip


async def _foreseen(
    door: Door, who: Principal, ledger: Ledger, request_id: str, site: str, work: Work
) -> BaselineFixed | None:
    """What would be fixed by now; None where the request's method reads no history."""
    with work.here():
        unfixed = foreseen(ledger, request_id, site, who.organisation, door.registry)
    if unfixed is None:
        return None
    with readable():
        held = await door.readings.meters.held_of_each(site, who.organisation, unfixed.periods())
    return await work.away(unfixed.fixed, held)


def outlook_of(record: BaselineFixed, *, is_fixed: bool) -> BaselineOutlook:
    """What a record says, or would say."""
    return BaselineOutlook(
        request_id=record.request_id,
        site=record.site,
        method=record.method,
        counts=Counting.HISTORY if record.power_w else Counting.DECLARED,
        is_fixed=is_fixed,
        reason=record.reason,
        days=record.days,
        left_out=record.left_out or [],
    )
