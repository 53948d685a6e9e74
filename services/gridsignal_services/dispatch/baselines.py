"""The operations on baselines: what a site has declared, and what was fixed of its history for a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gridsignal_schemas.messages import BaselineFixed
from gridsignal_schemas.rules.baselines import Declared, counting, runs_of
from gridsignal_schemas.rules.profile import Block
from gridsignal_schemas.values import Identifier, Shape, Timestamp
from gridsignal_services.access import Principal
from gridsignal_services.dispatch.door import Door, may_read, owns
from gridsignal_services.dispatch.listing import APage, Page
from gridsignal_services.dispatch.metered import seen_periods
from gridsignal_services.dispatch.parts import OFFERS
from gridsignal_services.dispatch.periods import From, To
from gridsignal_services.dispatch.sheet import as_asked, sheet_at
from gridsignal_services.dispatch.written import written
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedRequest


class BaselineStretch(Shape):
    """A part of a period over which one declaration holds one power."""

    starts_at: Timestamp
    ends_at: Timestamp
    power_w: int
    """What the site will draw if nobody asks for anything, in watts."""
    method: str
    """How the figure came about, by the site's word."""
    declared_at: Timestamp
    """When the log had it: for requests that were made before, an earlier declaration counts."""


class Baselines(Shape):
    """What a site has declared, in order of time; where nothing is declared there is a gap."""

    site: Identifier
    stretches: list[BaselineStretch]


class FixedBaselines(Shape):
    """A page of baselines from history; pass `next` as `after` for the following one."""

    baselines: list[BaselineFixed]
    """By site."""
    next: str | None


_FIXED = sheet_at("/v1/requests/{request_id}/baselines", BaselineFixed, rows="baselines")
_STRETCHES = sheet_at("/v1/baselines", BaselineStretch, rows="stretches")


def add_to(router: APIRouter, door: Door) -> None:
    """Adds /v1/baselines, and what was fixed for a request."""
    _add_fixed(router, door)

    @router.get("/baselines", tags=["sites"], response_model=Baselines, summary="Show what a site has declared")
    async def baselines(
        request: Request, site: Annotated[str, Query(examples=["fra-1"])], from_: From, to: To
    ) -> Response:
        """The newest baseline of each moment of [from, to), a week at most: of your site, or of one around your orders
        to it: an operator sees what was declared from an hour before its order to an hour after it."""
        who = door.principal(request)
        door.only(request, "site", "from", "to")
        await door.catch_up(request)
        async with door.turn(who) as work:
            periods = await seen_periods(door, who, site, from_, to, work)
            declared = [
                each
                for ledger in door.ledgers()
                for each in ledger.book.declared.get(site, ())
                if may_read(who, each.baseline.participant)
            ]
            found = (stretch for since, until in periods for stretch in stretches(declared, since, until))
            answer = await written(Baselines(site=site, stretches=[]), "stretches", found, lambda each: each, work)
            return await as_asked(request, answer, _STRETCHES, work)


def _add_fixed(router: APIRouter, door: Door) -> None:
    @router.get(
        "/requests/{request_id}/baselines",
        tags=["sites"],
        response_model=FixedBaselines,
        summary="Show the baselines fixed for a request",
    )
    async def fixed(request_id: str, request: Request, *, page: APage) -> Response:
        """What sites would draw by the request's baseline method, from their history, as it was fixed when the gate had
        closed: of your own sites, or as the operator of those that you have an order to. Pages go by site, and end
        early after 5000 intervals."""
        who = door.principal(request)
        door.only(request, *Page.NAMES)
        await door.catch_up(request)
        async with door.turn(who) as work:
            ledger, tracked = await door.request(who, request_id, kinds=OFFERS, work=work)
            records = {each.site: each for each in fixed_for(door, who, ledger, tracked)}
            chosen, following = page.within(records, lambda site: len(records[site].power_w) + 1)
            head = FixedBaselines(baselines=[], next=following)
            answer = await written(head, "baselines", chosen, lambda site: records[site], work)
            return await as_asked(request, answer, _FIXED, work)


def fixed_for(door: Door, who: Principal, ledger: Ledger, tracked: TrackedRequest) -> Iterator[BaselineFixed]:
    """Those of a request that somebody may see, by site."""
    book, request_id = ledger.book, tracked.request.request_id
    ordered = {book.orders[name].order.site for name in tracked.orders if name in book.orders}
    offered = {book.offers[key].offer.site for key in tracked.offers if key in book.offers}
    for site in sorted(ordered | offered):
        if (known := book.fixed.get((request_id, site))) is None:
            continue
        if door.sees(who, ledger.audience_of(known.record)) or (owns(who, tracked) and site in ordered):
            yield known.record


def stretches(declared: Sequence[Declared], starts_at: datetime, ends_at: datetime) -> Iterator[BaselineStretch]:
    """What holds over a period of declarations in the order of the log: of two the later."""
    for stretch in counting(declared, starts_at, ends_at):
        yield from map(partial(_shown, stretch.declared), runs_of(stretch))


def _shown(declared: Declared, run: Block) -> BaselineStretch:
    return BaselineStretch(
        starts_at=run.starts_at,
        ends_at=run.ends_at,
        power_w=run.power_w,
        method=declared.baseline.method,
        declared_at=declared.receipt.received_at,
    )
