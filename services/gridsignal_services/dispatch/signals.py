"""The operations on prices and carbon: what is known of a period, now or as of an earlier moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.values import Shape, Timestamp
from gridsignal_services import problems
from gridsignal_services.access import Audience
from gridsignal_services.dispatch import vintages
from gridsignal_services.dispatch.archive import TooMuch
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.vintages import CarbonCurve, Logged, PriceCurve

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

    @router.get("/prices", response_model=Prices, summary="Prices of a period")
    async def prices(request: Request, zone: ZoneName, from_: From, to: To, as_of: AsOf = None) -> Response:
        """Prices of the intervals that touch [from, to), a month at most, as they were known at `as_of`: now, unless
        another moment is named. The best figure of each interval: the highest status, then the latest vintage."""
        return await _answer(door, request, zone, (from_, to, as_of or door.clock.now()), _Prices)

    @router.get("/carbon", response_model=Carbon, summary="Carbon intensity of a period")
    async def carbon(request: Request, zone: ZoneName, from_: From, to: To, as_of: AsOf = None) -> Response:
        """Carbon intensity of the intervals that touch [from, to), a month at most, as it was known at `as_of`: now,
        unless another moment is named. AVERAGE and MARGINAL, and every other basis and source, are curves apart."""
        return await _answer(door, request, zone, (from_, to, as_of or door.clock.now()), _Carbon)

    return router


class _Prices:
    stream = "prices"

    @staticmethod
    def text(logged: list[Logged], from_: datetime, to: datetime, as_of: datetime) -> str:
        return Prices(as_of=as_of, curves=vintages.prices(logged, from_, to, as_of)).model_dump_json()


class _Carbon:
    stream = "carbon"

    @staticmethod
    def text(logged: list[Logged], from_: datetime, to: datetime, as_of: datetime) -> str:
        return Carbon(as_of=as_of, curves=vintages.carbon(logged, from_, to, as_of)).model_dump_json()


async def _answer(
    door: Door,
    request: Request,
    zone: str,
    asked: tuple[datetime, datetime, datetime],
    signal: type[_Prices] | type[_Carbon],
) -> Response:
    """A month of five-minute prices is thousands of figures: they are put together and written away from the loop."""
    from_, to, moment = asked
    who = door.principal(request)
    door.only(request, "zone", "from", "to", "as_of")
    if not from_ < to <= from_ + LONGEST:
        raise problems.invalid([fault("PERIOD", "?to", f"expected after from and at most {LONGEST.days} days later")])
    if not door.sees(who, Audience(zone=zone)):
        raise problems.not_found("zone")
    work = door.work(who)
    try:
        logged = await door.archive.published(signal.stream, zone, from_, moment, door.replica.grid, to=to, work=work)
    except TooMuch:
        raise problems.invalid([fault("PERIOD", "?as_of", "expected a moment nearer to from")]) from None
    return Response(await work.away(signal.text, logged, from_, to, moment), media_type="application/json")
