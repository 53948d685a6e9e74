"""The operation on meter readings: what was metered at a site, for its participant and around an operator's orders."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gridsignal_schemas.messages import MeterReading
from gridsignal_schemas.rules.baselines import FOR_EVER
from gridsignal_schemas.rules.readings import is_carried
from gridsignal_services.access import Audience, Principal
from gridsignal_services.dispatch.door import Door, may_read, owns, reads_of
from gridsignal_services.dispatch.past import readable, shorter
from gridsignal_services.dispatch.periods import WEEK, From, To, must_be_a_period
from gridsignal_services.dispatch.sheet import as_asked, sheet_at
from gridsignal_services.dispatch.views import Readings, ignored
from gridsignal_services.dispatch.written import json_of
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.rest import problems
from gridsignal_services.work import Work

_READINGS = sheet_at("/v1/readings", MeterReading, rows="readings")
_AROUND = timedelta(hours=1)
Window = tuple[datetime, datetime]


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
        must_be_a_period(from_, to, WEEK)
        await door.catch_up(request)

        def text(reading: MeterReading) -> str:
            return reading.model_dump_json() if windows is None or touches(reading, windows) else ""

        async with door.turn(who) as work:
            windows = await _windows_of(door, who, site, from_, to, work)
            with shorter(), readable():
                metered = await door.readings.meters.between(site, from_, to, work, reads_of(who))
            with work.here():
                entry = door.registry.sites.get(site)
                metered = [each for each in metered if is_carried(each, None if entry is None else entry.capacity_w)]
                passed_over = [
                    each
                    for each in door.readings.meters.passed_over(site, from_, to)
                    if may_read(who, each.reading.participant)
                ]
                if windows is not None:
                    passed_over = [each for each in passed_over if touches(each.reading, windows)]
            texts = await work.each(metered, text)
            head = Readings(readings=[], ignored=[ignored(each) for each in passed_over])
            return await as_asked(request, json_of(head, "readings", filter(None, texts)), _READINGS, work)


async def seen_periods(
    door: Door, who: Principal, site: str, from_: datetime, to: datetime, work: Work
) -> list[Window]:
    """What they may see of a site in [from, to), in order of time. Raises Problem 404 or 422."""
    must_be_a_period(from_, to, WEEK)
    windows = await _windows_of(door, who, site, from_, to, work)
    if windows is None:
        return [(from_, to)]
    cut = ((max(since, from_), min(until, to)) for since, until in windows)
    return [(since, until) for since, until in cut if since < until]


async def _windows_of(
    door: Door, who: Principal, site: str, from_: datetime, to: datetime, work: Work
) -> list[Window] | None:
    """The periods around their own orders to a site; None for who may see all of it. Raises Problem 404 or 422."""
    if door.sees(who, Audience(sites=frozenset({site}))):
        return None
    zones = door.entitlements(who).zones
    live = [(ledger, order_id) for ledger in door.ledgers() for order_id in ledger.book.orders_of_site.get(site, ())]
    windows = [found for found in await work.each(live, lambda each: _window(who, *each)) if found is not None]
    past = await door.past(who, work).ordered_at(site, zones, from_ - _AROUND, to + _AROUND)  # and what left since
    windows += [_around(*period) for period in past]
    if not windows:
        raise problems.not_found("site")
    with work.here():
        return joined(windows)


def _window(who: Principal, ledger: Ledger, order_id: str) -> Window | None:
    """The period around an order, where it is the principal's own."""
    tracked = ledger.orders.get(order_id)  # it may have left since
    if tracked is None or not owns(who, ledger.requests[tracked.order.request_id]):
        return None
    return _around(tracked.order.starts_at, tracked.order.ends_at)


def _around(starts_at: datetime, ends_at: datetime | None) -> Window:
    return starts_at - _AROUND, ends_at + _AROUND if ends_at else FOR_EVER


def joined(windows: Iterable[Window]) -> list[Window]:
    """The same time in as few periods as can be, in order: each is asked of every reading."""
    found: list[Window] = []
    for since, until in sorted(windows):
        if found and since <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], until)
        else:
            found.append((since, until))
    return found


def touches(reading: MeterReading, windows: Sequence[Window]) -> bool:
    at = bisect_left(windows, reading.ends_at, key=itemgetter(0))  # the last that begins before its end
    return at > 0 and reading.starts_at < windows[at - 1][1]
