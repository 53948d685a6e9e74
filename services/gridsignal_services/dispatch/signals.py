"""The operations on prices and carbon: what is known of a period, now or as of an earlier moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request

from gridsignal_schemas.values import Shape, Timestamp
from gridsignal_services import problems
from gridsignal_services.access import Audience
from gridsignal_services.dispatch import vintages
from gridsignal_services.dispatch.archive import TooMuch
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.vintages import CarbonCurve, Logged, PriceCurve
from gridsignal_services.ledger.rules import fault

LONGEST = timedelta(days=31)
ZoneName = Annotated[str, Query(examples=["DE-LU"])]
From = Annotated[Timestamp, Query(alias="from", examples=["2024-05-12T18:00:00Z"])]
To = Annotated[Timestamp, Query(examples=["2024-05-12T19:00:00Z"])]
AsOf = Annotated[Timestamp | None, Query(examples=["2024-05-11T12:00:00Z"])]


class Prices(Shape):
    """What was known of a zone's prices at a moment."""

    as_of: Timestamp
    curves: list[PriceCurve]


class Carbon(Shape):
    """What was known of a zone's carbon intensity at a moment."""

    as_of: Timestamp
    curves: list[CarbonCurve]


def routes(door: Door) -> APIRouter:
    """The router of /v1/prices and /v1/carbon."""
    router = APIRouter(prefix="/v1", tags=["signals"])

    @router.get("/prices")
    async def prices(request: Request, zone: ZoneName, from_: From, to: To, as_of: AsOf = None) -> Prices:
        """Prices of the intervals that touch [from, to), a month at most, as they were known at `as_of`: now, unless
        another moment is named. The best figure of each interval: the highest status, then the latest vintage."""
        moment = as_of or door.clock.now()
        logged = await _published(door, request, "prices", zone, (from_, to, moment))
        return Prices(as_of=moment, curves=vintages.prices(logged, from_, to, moment))

    @router.get("/carbon")
    async def carbon(request: Request, zone: ZoneName, from_: From, to: To, as_of: AsOf = None) -> Carbon:
        """Carbon intensity of the intervals that touch [from, to), a month at most, as it was known at `as_of`: now,
        unless another moment is named. AVERAGE and MARGINAL, and every other basis and source, are curves apart."""
        moment = as_of or door.clock.now()
        logged = await _published(door, request, "carbon", zone, (from_, to, moment))
        return Carbon(as_of=moment, curves=vintages.carbon(logged, from_, to, moment))

    return router


async def _published(
    door: Door, request: Request, stream: str, zone: str, asked: tuple[datetime, datetime, datetime]
) -> list[Logged]:
    from_, to, moment = asked
    who = door.principal(request)
    door.only(request, "zone", "from", "to", "as_of")
    if not from_ < to <= from_ + LONGEST:
        raise problems.invalid([fault("PERIOD", "?to", f"expected after from and at most {LONGEST.days} days later")])
    if not door.sees(who, Audience(zone=zone)):
        raise problems.not_found()
    try:
        return await door.archive.published(stream, zone, from_, moment, door.replica.grid)
    except TooMuch:
        raise problems.invalid([fault("PERIOD", "?as_of", "expected a moment nearer to from")]) from None
