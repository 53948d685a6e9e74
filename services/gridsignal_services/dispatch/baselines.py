"""The operation on baselines: what a site has declared, for its participant and around an operator's orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gridsignal_schemas.rules.baselines import Declared, counting, runs_of
from gridsignal_schemas.rules.profile import Block
from gridsignal_schemas.values import Identifier, Shape, Timestamp
from gridsignal_services.dispatch.door import Door, may_read
from gridsignal_services.dispatch.metered import seen_periods
from gridsignal_services.dispatch.periods import From, To
from gridsignal_services.dispatch.sheet import as_asked, sheet_at
from gridsignal_services.dispatch.written import written


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


_STRETCHES = sheet_at("/v1/baselines", BaselineStretch, rows="stretches")


def add_to(router: APIRouter, door: Door) -> None:
    """Adds /v1/baselines."""

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
