"""The operation on meter readings: what was metered at a site, for its participant and around an operator's orders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gridsignal_schemas.messages import MeterReading
from gridsignal_services import problems
from gridsignal_services.access import Audience, Principal
from gridsignal_services.dispatch.door import Door, owns
from gridsignal_services.dispatch.periods import WEEK, From, To, must_be_a_period
from gridsignal_services.dispatch.views import Readings, ignored, overlaps
from gridsignal_services.dispatch.written import json_of
from gridsignal_services.ledger.delivered import orders_of
from gridsignal_services.ledger.reduce import Ledger

_AROUND = timedelta(hours=1)
_Window = tuple[datetime, datetime | None]


def add_to(router: APIRouter, door: Door) -> None:
    """Adds /v1/readings."""

    @router.get("/readings", tags=["readings"], response_model=Readings, summary="List meter readings of a site")
    async def readings(
        request: Request,
        site: Annotated[str, Query(examples=["fra-1"])],
        from_: From,
        to: To,
    ) -> Response:
        """Meter readings that touch [from, to), a week at most: of your site, or of one around your orders to it.

        An operator sees what was metered from an hour before its order to an hour after it: ramps and rebound.
        """
        who = door.principal(request)
        door.only(request, "site", "from", "to")
        windows = await _windows_of(door, who, site, from_, to)

        def text(reading: MeterReading) -> str:
            return reading.model_dump_json() if windows is None or _touches(reading, windows) else ""

        async with door.turn(who) as work:
            with work.here():
                metered = list(door.readings.meters.between(site, from_, to))
                passed_over = door.readings.meters.passed_over(site, from_, to)
            if windows is not None:
                passed_over = [each for each in passed_over if _touches(each.reading, windows)]
            texts = await work.each(metered, text)
        head = Readings(readings=[], ignored=[ignored(each) for each in passed_over])
        return json_of(head, "readings", filter(None, texts))


async def seen_periods(
    door: Door, who: Principal, site: str, from_: datetime, to: datetime
) -> list[tuple[datetime, datetime]]:
    """What they may see of a site in [from, to), in order of time. Raises Problem 404 or 422."""
    windows = await _windows_of(door, who, site, from_, to)
    if windows is None:
        return [(from_, to)]
    found: list[tuple[datetime, datetime]] = []
    for since, until in sorted((max(since, from_), min(until or to, to)) for since, until in windows):
        if found and since <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], until)
        elif since < until:
            found.append((since, until))
    return found


async def _windows_of(door: Door, who: Principal, site: str, from_: datetime, to: datetime) -> list[_Window] | None:
    """The periods around their own orders to a site; None for who may see all of it. Raises Problem 404 or 422."""
    must_be_a_period(from_, to, WEEK)
    if door.sees(who, Audience(sites=frozenset({site}))):
        return None
    windows = list(_windows(await door.ledgers_in(who, from_ - _AROUND, to + _AROUND), who, site))
    if not windows:
        raise problems.not_found("site")
    return windows


def _windows(ledgers: Iterable[Ledger], who: Principal, site: str) -> Iterator[_Window]:
    """The periods around the principal's own orders to a site."""
    for ledger in ledgers:
        for tracked in orders_of(ledger.book, site):
            order = tracked.order
            if owns(who, ledger.requests[order.request_id]):
                yield order.starts_at - _AROUND, order.ends_at + _AROUND if order.ends_at else None


def _touches(reading: MeterReading, windows: list[_Window]) -> bool:
    return any(overlaps(reading.starts_at, reading.ends_at, *window) for window in windows)
