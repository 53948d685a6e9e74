"""The operations on prices and carbon: what is known of a period, now or as of an earlier moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.vintages import (
    Best,
    CarbonCurve,
    CarbonPoint,
    Logged,
    PriceCurve,
    PricePoint,
    curve,
    point,
)
from gridsignal_schemas.values import Shape, Timestamp
from gridsignal_services.dispatch.archive import TooMuch
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.listing import must_be_theirs
from gridsignal_services.dispatch.periods import MONTH, From, To, must_be_a_period
from gridsignal_services.dispatch.sheet import as_asked, sheet_at
from gridsignal_services.dispatch.written import around, json
from gridsignal_services.rest import problems

ZoneName = Annotated[str, Query(examples=["DE-LU"])]
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
        return await _answer(door, request, zone, (from_, to, as_of or door.clock.now()), Prices)

    @router.get("/carbon", response_model=Carbon, summary="Carbon intensity of a period")
    async def carbon(request: Request, zone: ZoneName, from_: From, to: To, as_of: AsOf = None) -> Response:
        """Carbon intensity of the intervals that touch [from, to), a month at most, as it was known at `as_of`: now,
        unless another moment is named. AVERAGE and MARGINAL, and every other basis and source, are curves apart."""
        return await _answer(door, request, zone, (from_, to, as_of or door.clock.now()), Carbon)

    return router


_SHEETS = {
    Prices: sheet_at("/v1/prices", PriceCurve, PricePoint, rows="curves", parts="points"),
    Carbon: sheet_at("/v1/carbon", CarbonCurve, CarbonPoint, rows="curves", parts="points"),
}
_Shown = type[Prices] | type[Carbon]


async def _answer(
    door: Door, request: Request, zone: str, asked: tuple[datetime, datetime, datetime], shape: _Shown
) -> Response:
    """A month of five-minute prices is thousands of figures: they are put together and written away from the loop."""
    from_, to, moment = asked
    who = door.principal(request)
    door.only(request, "zone", "from", "to", "as_of")
    must_be_theirs(door, who, zone)
    must_be_a_period(from_, to, MONTH)
    await door.catch_up(request)
    stream = "prices" if shape is Prices else "carbon"
    async with door.turn(who) as work:
        try:
            logged = await door.archive.published(stream, zone, from_, moment, door.replica.grid, to=to, work=work)
        except TooMuch:
            raise problems.invalid([fault("PERIOD", "?as_of", "expected a moment nearer to from")]) from None
        pieces = await work.each_away(texts(shape(as_of=moment, curves=[]), logged, Best(from_, to, moment)))
        return await as_asked(request, json("".join(pieces)), _SHEETS[shape], work)


_FEW = 256
"""Values that are put together or written in a millisecond or two."""


def texts(head: Prices | Carbon, logged: list[Logged], best: Best) -> Iterator[str]:
    """The answer's text, in pieces of a few values; empty where nothing is written yet."""
    seen = 0
    for known in logged:
        best.take(known)
        seen += len(known.series.intervals())
        if seen >= _FEW:
            seen = 0
            yield ""
    before, after = around(head, "curves")
    for values in best.curves():
        yield before
        before = ","
        start, end = around(curve(values), "points")
        for first in range(0, len(values), _FEW):
            yield start + ",".join(point(value).model_dump_json() for value in values[first : first + _FEW])
            start = ","
        yield end
    yield after if before == "," else before + after
