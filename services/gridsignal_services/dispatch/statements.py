"""The operation on statements: what the orders of a month came to, as JSON, as CSV, or as a page to print.

Bounded: a statement by `MOST_ORDERS`, a page of it by its `limit` of orders and by `MOST_LINES` of their intervals.
When full: Problem 422 that says what to narrow; a page that ends early names the next. Conflates: nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query, Request, Response

from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.sheets import Sheet
from gridsignal_services.access import Audience, Principal
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.emissions import carbon_of
from gridsignal_services.dispatch.forms import PAGE_HEADERS, FormAsked, form_of
from gridsignal_services.dispatch.listing import APage, Page, ZoneFilter, listed, must_be_theirs
from gridsignal_services.dispatch.parts import ORDERS
from gridsignal_services.dispatch.past import shorter
from gridsignal_services.dispatch.periods import asked_month
from gridsignal_services.dispatch.statement import (
    Month,
    Statement,
    StatementLine,
    StatementOrder,
    Sums,
    statement_lines,
    statement_order,
)
from gridsignal_services.dispatch.statement_page import statement_page
from gridsignal_services.dispatch.views import lines_of
from gridsignal_services.dispatch.written import written
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOrder, TrackedSettlement
from gridsignal_services.rest import problems
from gridsignal_services.rest.accept import CSV, HTML, JSON
from gridsignal_services.work import Work

PATH = "/v1/statements/{month}"
MOST_ORDERS = 20_000
"""Of one statement."""
_SHEET = Sheet.of("", StatementLine)
_DAY = timedelta(days=1)


class _Asked(NamedTuple):
    """What a statement is asked to have."""

    month: Month
    zone: str | None
    site: str | None
    order_id: str | None


def routes(door: Door) -> APIRouter:
    """The router of /v1/statements."""
    router = APIRouter(prefix="/v1", tags=["settlements"])

    @router.get(
        PATH.removeprefix("/v1"),
        response_model=Statement,
        summary="Show a month's statement",
    )
    async def statement(
        month: Annotated[str, Path(description="YYYY-MM, by the time of each order's zone.", examples=["2024-05"])],
        request: Request,
        zone: ZoneFilter = None,
        site: Annotated[str | None, Query(examples=["fra-1"])] = None,
        order_id: str | None = None,
        form: FormAsked = None,
        *,
        page: APage,
    ) -> Response:
        """What the orders that began in a month came to, by the newest version of each settlement; those that are over
        and not settled so far stand among them. A participant reads its own orders, an operator those on its requests.

        The totals are of all pages. `Accept: text/html` or `format=page` gives a page to print."""
        who = door.principal(request)
        door.only(request, "zone", "site", "order_id", "format", *Page.NAMES)
        asked = _Asked(asked_month(month), zone, site, order_id)
        must_be_theirs(door, who, zone)
        await door.catch_up(request)
        async with door.turn(who) as work:
            head, orders = await _page(door, who, asked, page, work)
            answer = await _answer(door, head, orders, form_of(request, form), work)
        answer.headers["Vary"] = "Accept"
        if head.next is not None:
            answer.headers["Link"] = f'<?{request.url.include_query_params(after=head.next).query}>; rel="next"'
        return answer

    return router


async def _page(
    door: Door, who: Principal, asked: _Asked, page: Page, work: Work
) -> tuple[Statement, list[StatementOrder]]:
    """A page without its orders, and these. Raises Problem 404, 422, 503."""
    seen, sums = await _seen(door, who, asked, work), Sums()
    await work.each(seen.values(), lambda order: sums.add(order.settlement))
    chosen, following = page.within(seen, lambda name: lines_of(seen[name].settlement))
    carbon, carbon_totals = await carbon_of(door, seen.values(), frozenset(chosen), work)

    def with_carbon(name: str) -> StatementOrder:
        return seen[name].model_copy(update={"carbon": carbon.get(name, [])})

    head = Statement(
        month=str(asked.month),
        of=who.name,
        as_of=door.clock.now(),
        zone=asked.zone,
        site=asked.site,
        count=len(seen),
        unsettled=sums.unsettled,
        totals=sums.totals(),
        carbon=carbon_totals,
        orders=[],
        next=following,
    )
    return head, await work.each(chosen, with_carbon)


async def _answer(door: Door, head: Statement, orders: list[StatementOrder], form: str, work: Work) -> Response:
    if form == JSON:
        return await written(head, "orders", orders, lambda order: order, work)
    if form == CSV:
        rows = await work.each_away(_rows(head.month, orders))
        return Response("".join(rows), media_type=f"{CSV}; charset=utf-8")
    times = {order.zone: _time_of(door, order.zone) for order in orders}
    page = await work.each_away(statement_page(head, orders, times))
    return Response("".join(page), headers=PAGE_HEADERS, media_type=f"{HTML}; charset=utf-8")


def _rows(month: str, orders: Sequence[StatementOrder]) -> Iterator[str]:
    """The head line, then each order's rows."""
    yield _SHEET.text([])
    for order in orders:
        text = _SHEET.text([line.model_dump(mode="json") for line in statement_lines(month, order)])
        yield text.partition("\n")[2]


# --- which orders ---------------------------------------------------------------------------------------------------


async def _seen(door: Door, who: Principal, asked: _Asked, work: Work) -> dict[str, StatementOrder]:
    """The orders of a statement, by their start. Raises Problem 404, 422, 503."""
    keeps = _keeps(door, who, asked)
    if asked.order_id is not None:
        ledger, order = await door.order(who, asked.order_id, work=work)
        tracked = ledger.book.settlements.get(asked.order_id)
        if tracked is None or not keeps(ledger, order):
            expected = f"expected an order that is to be settled, is over, and is of what else was asked: {asked.month}"
            raise problems.invalid([fault("PERIOD", "?order_id", expected)])
        return {asked.order_id: statement_order(order.order, tracked)}
    found = await _found(door, who, asked, keeps, work)
    if not found and asked.site is not None and not _knows(door, who, asked.site):
        raise problems.not_found("site")
    return await listed(found.items(), lambda _: True, lambda order: order.starts_at, work, newest_first=False)


_Keeps = Callable[[Ledger, TrackedOrder], bool]


def _keeps(door: Door, who: Principal, asked: _Asked) -> _Keeps:
    def keeps(ledger: Ledger, one: TrackedOrder) -> bool:
        order = one.order
        return (
            asked.zone in (None, order.zone)
            and asked.site in (None, order.site)
            and asked.month.has(order.starts_at, _time_of(door, order.zone))
            and door.sees(who, ledger.audience_of(order))
        )

    return keeps


async def _found(door: Door, who: Principal, asked: _Asked, keeps: _Keeps, work: Work) -> dict[str, StatementOrder]:
    """In memory, then what has left it: a day at a time, for a month may be more than one question may find."""
    found: dict[str, StatementOrder] = {}

    def take(entry: tuple[Ledger, str, TrackedSettlement]) -> None:
        ledger, order_id, tracked = entry
        order = ledger.orders.get(order_id)  # it may have left since: then it is found below
        if order is not None and keeps(ledger, order):
            found[order_id] = statement_order(order.order, tracked)
            if len(found) > MOST_ORDERS:
                expected = f"expected a zone or a site, for there are more than {MOST_ORDERS} orders in this month"
                raise problems.invalid([fault("PERIOD", "?site", expected)])

    def entries(ledgers: list[Ledger]) -> list[tuple[Ledger, str, TrackedSettlement]]:
        return [(ledger, *each) for ledger in ledgers for each in ledger.book.settlements.items()]

    await work.each(entries(list(door.ledgers())), take)
    past, zones = door.past(who, work), [asked.zone] if asked.zone else sorted(door.entitlements(who).zones)
    times = [_time_of(door, zone) for zone in zones]
    since, until = (
        pick(at(time) for time in times) for pick, at in ((min, asked.month.begins), (max, asked.month.ends))
    )
    while since < until:
        with shorter():
            over = await past.touching(ORDERS, zones, since, min(since + _DAY, until))
        await work.each(entries(over), take)
        since += _DAY
    return found


def _time_of(door: Door, zone: str) -> ZoneInfo:
    """A zone's time; UTC for one that has left the registry since."""
    market = door.registry.zones.get(zone)
    return market.tz if market else ZoneInfo("UTC")


def _knows(door: Door, who: Principal, site: str) -> bool:
    """Whether a site is theirs, or lies in an operator's zone: then there was just nothing to settle."""
    entry = door.registry.sites.get(site)
    in_zone = who.role == "operator" and entry is not None and entry.zone in door.entitlements(who).zones
    return in_zone or door.sees(who, Audience(sites=frozenset({site})))
