"""The operations on orders, and what else can be read: offers, sites, readings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gridsignal_schemas.messages import DispatchOrder, OrderState, SiteRegistration
from gridsignal_schemas.values import Timestamp
from gridsignal_services.access import Audience
from gridsignal_services.dispatch import commands, problems
from gridsignal_services.dispatch.door import Door, must_be_accepted
from gridsignal_services.dispatch.examples import EXTEND, RELEASE, takes
from gridsignal_services.dispatch.requests import Limit
from gridsignal_services.dispatch.shapes import ExtendBody, ReleaseBody
from gridsignal_services.dispatch.views import (
    Offers,
    Orders,
    OrderView,
    Readings,
    offer_view,
    order_view,
    page,
)
from gridsignal_services.ledger.lifecycle import OfferState


def routes(door: Door) -> APIRouter:
    """The router of /v1/orders, /v1/offers, /v1/sites and /v1/readings."""
    router = APIRouter(prefix="/v1")
    _orders(router, door)
    _changes(router, door)
    _others(router, door)
    _meters(router, door)
    return router


def _orders(router: APIRouter, door: Door) -> None:
    @router.get("/orders", tags=["orders"])
    async def every(
        request: Request,
        request_id: str | None = None,
        state: OrderState | None = None,
        after: str | None = None,
        limit: Limit = 100,
    ) -> Orders:
        """Orders that you may see, oldest first, with what was delivered."""
        who = door.principal(request)
        await door.catch_up(request)
        seen = {
            order_id: (ledger, tracked)
            for ledger in door.ledgers()
            for order_id, tracked in ledger.orders.items()
            if door.sees(who, ledger.audience_of(tracked.order))
            and request_id in (None, tracked.order.request_id)
            and state in (None, tracked.state)
        }
        chosen, following = page(seen, after, limit)
        views = [order_view(seen[i][0].book, seen[i][1], door.readings.meters) for i in chosen]
        return Orders(orders=views, next=following)

    @router.get("/orders/{order_id}", tags=["orders"])
    async def one(order_id: str, request: Request) -> OrderView:
        """One order, its history, and its delivered energy by metered interval."""
        who = door.principal(request)
        await door.catch_up(request)
        ledger, tracked = door.order(who, order_id)
        return order_view(ledger.book, tracked, door.readings.meters)


def _changes(router: APIRouter, door: Door) -> None:
    @router.post("/orders/{order_id}/extend", tags=["orders"], openapi_extra=takes(ExtendBody, EXTEND))
    async def extend(order_id: str, request: Request, response: Response) -> OrderView:
        """Lets an order end later, within what the site offered."""
        who = door.operator(request)
        ledger, tracked = door.order(who, order_id, own=True)
        body = await door.body(request, ExtendBody)
        if faults := commands.extension_faults(tracked, body):
            raise problems.conflict(faults)
        if body.ends_at != tracked.order.ends_at:
            must_be_accepted(await door.submit(commands.ending(tracked, body.ends_at, body, who), who, response))
        return order_view(ledger.book, tracked, door.readings.meters)

    @router.post("/orders/{order_id}/release", tags=["orders"], openapi_extra=takes(ReleaseBody, RELEASE))
    async def release(order_id: str, request: Request, response: Response) -> OrderView:
        """Lets an order end earlier: now, unless an end is named. What was delivered until then counts."""
        who = door.operator(request)
        ledger, tracked = door.order(who, order_id, own=True)
        body = await door.body(request, ReleaseBody)
        ends_at = body.ends_at or _soonest(door.clock.now(), ledger.now, tracked.order)
        if faults := commands.release_faults(tracked, ends_at, body):
            raise problems.conflict(faults)
        must_be_accepted(await door.submit(commands.ending(tracked, ends_at, body, who), who, response))
        return order_view(ledger.book, tracked, door.readings.meters)


def _soonest(now: datetime, log_clock: datetime | None, order: DispatchOrder) -> datetime:
    """Now, or a moment later: the log's clock decides, and it stands still between records."""
    soonest = max(now, log_clock or now, order.starts_at)
    return soonest if order.ends_at is None else min(soonest, order.ends_at)


def _others(router: APIRouter, door: Door) -> None:
    @router.get("/offers", tags=["offers"])
    async def offers(
        request: Request,
        request_id: str | None = None,
        state: OfferState | None = None,
        after: str | None = None,
        limit: Limit = 100,
    ) -> Offers:
        """Your offers, or those on your requests; pages go by participant:offer_id."""
        who = door.principal(request)
        await door.catch_up(request)
        seen = {
            f"{key[0]}:{key[1]}": tracked
            for ledger in door.ledgers()
            for key, tracked in ledger.offers.items()
            if door.sees_offer(who, ledger, tracked)
            and request_id in (None, tracked.offer.request_id)
            and state in (None, tracked.state)
        }
        chosen, following = page(seen, after, limit)
        return Offers(offers=[offer_view(seen[i]) for i in chosen], next=following)

    @router.get("/sites", tags=["sites"])
    async def sites(request: Request) -> list[SiteRegistration]:
        """Your connection points, as the log knows them; operators see none."""
        mine = door.entitlements(door.principal(request)).sites
        return [site for ledger in door.ledgers() for site in ledger.sites.values() if site.site in mine]


def _meters(router: APIRouter, door: Door) -> None:
    @router.get("/readings", tags=["readings"])
    async def readings(
        request: Request,
        site: str,
        from_: Annotated[Timestamp, Query(alias="from")],
        to: Annotated[Timestamp, Query()],
    ) -> Readings:
        """Meter readings of a site of yours, or of one you have ordered, that touch [from, to)."""
        who = door.principal(request)
        operators = frozenset(
            ledger.requests[order.order.request_id].request.operator
            for ledger in door.ledgers()
            for order in ledger.orders.values()
            if order.order.site == site
        )
        if not door.sees(who, Audience(sites=frozenset({site}), operators=operators)):
            raise problems.not_found()
        return Readings(readings=list(door.readings.meters.between(site, from_, to)))
