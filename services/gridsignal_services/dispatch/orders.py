"""The operations on orders, and what else can be read: offers, sites, readings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from gridsignal_schemas.messages import DispatchOrder, MeterReading, SiteRegistration
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.values import Timestamp
from gridsignal_services import problems
from gridsignal_services.access import Audience, Principal
from gridsignal_services.dispatch import commands
from gridsignal_services.dispatch.door import Door, must_be_accepted, owns, paged
from gridsignal_services.dispatch.examples import EXTEND, RELEASE, takes
from gridsignal_services.dispatch.listing import (
    After,
    Limit,
    NewestFirst,
    OfferStates,
    OrderStates,
    Since,
    Until,
    listed,
)
from gridsignal_services.dispatch.shapes import ExtendBody, ReleaseBody
from gridsignal_services.dispatch.signals import From, To
from gridsignal_services.dispatch.views import (
    Offers,
    Orders,
    OrderView,
    Readings,
    SiteView,
    ignored,
    offer_view,
    order_view,
    overlaps,
    site_view,
)
from gridsignal_services.ledger.book import TrackedOffer, TrackedOrder
from gridsignal_services.ledger.delivered import orders_of
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.work import Work

MeteredFrom = Annotated[Timestamp | None, Query(examples=["2024-05-12T18:00:00Z"])]


def routes(door: Door) -> APIRouter:
    """The router of /v1/orders, /v1/offers, /v1/sites and /v1/readings."""
    router = APIRouter(prefix="/v1")
    _orders(router, door)
    _order(router, door)
    _changes(router, door)
    _others(router, door)
    _meters(router, door)
    return router


def _orders(router: APIRouter, door: Door) -> None:
    @router.get("/orders", tags=["orders"], summary="List orders")
    async def every(
        request: Request,
        request_id: str | None = None,
        state: OrderStates = None,
        from_: Since = None,
        to: Until = None,
        newest_first: NewestFirst = False,
        after: After = None,
        limit: Limit = 100,
    ) -> Orders:
        """Orders that you may see, with what was delivered; oldest first unless you want the newest first."""
        who = door.principal(request)
        door.only(request, "request_id", "state", "from", "to", "newest_first", "after", "limit")
        await door.catch_up(request)
        work = door.work(who)

        def keeps(entry: _Entry) -> bool:
            ledger, tracked = entry
            order = tracked.order
            return (
                request_id in (None, order.request_id)
                and state in (None, tracked.state)
                and overlaps(order.starts_at, order.ends_at, from_, to)
                and door.sees(who, ledger.audience_of(order))
            )

        seen = await listed(_entries(door), keeps, _issued_at, work, newest_first=newest_first)
        chosen, following = paged(seen, after, limit)
        views: list[OrderView] = []
        shown = 0
        for order_id in chosen:
            if shown > _INTERVALS:  # the page ends early: what follows is asked for like any other page
                return Orders(orders=views, next=views[-1].order.order_id)
            views.append(await _view(door, *seen[order_id], work))
            shown += len(views[-1].metered)
        return Orders(orders=views, next=following)


def _order(router: APIRouter, door: Door) -> None:
    @router.get("/orders/{order_id}", tags=["orders"], summary="Show an order")
    async def one(order_id: str, request: Request, metered_from: MeteredFrom = None) -> OrderView:
        """One order, its history, and its delivered energy by metered interval."""
        who = door.principal(request)
        door.only(request, "metered_from")
        await door.catch_up(request)
        return await _view(door, *door.order(who, order_id), door.work(who), metered_from)


_INTERVALS = 2000
"""Metered intervals on one page of orders, give or take one order's."""


async def _view(
    door: Door, ledger: Ledger, tracked: TrackedOrder, work: Work, since: datetime | None = None
) -> OrderView:
    metered = await door.measuring.of(ledger.book, tracked, work, since)
    with work.here():
        return order_view(ledger.book, tracked, metered)


class _Entry(NamedTuple):
    ledger: Ledger
    tracked: TrackedOrder


def _entries(door: Door) -> Iterator[tuple[str, _Entry]]:
    for ledger in door.ledgers():
        for order_id, tracked in ledger.orders.items():
            yield order_id, _Entry(ledger, tracked)


def _issued_at(entry: _Entry) -> datetime:
    return entry.tracked.history[0].at


def _changes(router: APIRouter, door: Door) -> None:
    @router.post(
        "/orders/{order_id}/extend", tags=["orders"], summary="Extend an order", openapi_extra=takes(ExtendBody, EXTEND)
    )
    async def extend(order_id: str, request: Request, response: Response) -> OrderView:
        """Lets an order end later, within what the site offered."""
        who = door.operator(request)
        ledger, tracked = door.order(who, order_id, own=True)
        body = await door.body(request, ExtendBody)
        if faults := commands.extension_faults(tracked, body):
            raise problems.conflict(faults)
        if body.ends_at != tracked.order.ends_at:
            must_be_accepted(await door.submit(commands.ending(tracked, body.ends_at, body, who), who, response))
        return await _view(door, ledger, tracked, door.work(who))

    @router.post(
        "/orders/{order_id}/release",
        tags=["orders"],
        summary="Release an order early",
        openapi_extra=takes(ReleaseBody, RELEASE),
    )
    async def release(order_id: str, request: Request, response: Response) -> OrderView:
        """Lets an order end earlier: now, unless an end is named. What was delivered until then counts."""
        who = door.operator(request)
        ledger, tracked = door.order(who, order_id, own=True)
        body = await door.body(request, ReleaseBody)
        ends_at = body.ends_at or _soonest(door.clock.now(), ledger.now, tracked.order)
        if faults := commands.release_faults(tracked, ends_at, body):
            raise problems.conflict(faults)
        if ends_at != tracked.order.ends_at:
            must_be_accepted(await door.submit(commands.ending(tracked, ends_at, body, who), who, response))
        return await _view(door, ledger, tracked, door.work(who))


_A_MOMENT = timedelta(seconds=1)


def _soonest(now: datetime, log_clock: datetime | None, order: DispatchOrder) -> datetime:
    """A moment from now: an order can't end before the log has said so, and the log's clock runs on until then."""
    soonest = max(max(now, log_clock or now) + _A_MOMENT, order.starts_at)
    return soonest if order.ends_at is None else min(soonest, order.ends_at)


def _others(router: APIRouter, door: Door) -> None:
    @router.get("/offers", tags=["offers"], summary="List offers")
    async def offers(
        request: Request,
        request_id: str | None = None,
        state: OfferStates = None,
        newest_first: NewestFirst = False,
        after: After = None,
        limit: Limit = 100,
    ) -> Offers:
        """Your offers, or those on your requests; pages go by participant:offer_id."""
        who = door.principal(request)
        door.only(request, "request_id", "state", "newest_first", "after", "limit")
        await door.catch_up(request)
        work = door.work(who)

        def keeps(entry: tuple[Ledger, TrackedOffer]) -> bool:
            ledger, tracked = entry
            return (
                request_id in (None, tracked.offer.request_id)
                and state in (None, tracked.state)
                and door.sees_offer(who, ledger, tracked)
            )

        entries = (
            (f"{key[0]}:{key[1]}", (ledger, tracked))
            for ledger in door.ledgers()
            for key, tracked in ledger.offers.items()
        )
        seen = await listed(entries, keeps, lambda entry: entry[1].receipt.received_at, work, newest_first=newest_first)
        chosen, following = paged(seen, after, limit)
        with work.here():
            return Offers(offers=[offer_view(seen[i][1]) for i in chosen], next=following)

    @router.get("/sites", tags=["sites"], summary="List sites")
    async def sites(request: Request) -> list[SiteRegistration | SiteView]:
        """Your connection points, as the log knows them; as an operator, those in your zones and whether a baseline is
        declared there."""
        who = door.principal(request)
        mine, now = door.entitlements(who), door.clock.now()
        known = [(ledger.book, site) for ledger in door.ledgers() for site in ledger.sites.values()]
        if who.role == "operator":
            return [site_view(book, site, now) for book, site in known if site.zone in mine.zones]
        return [site for _, site in known if site.site in mine.sites]


def _meters(router: APIRouter, door: Door) -> None:
    @router.get("/readings", tags=["readings"], summary="List meter readings of a site")
    async def readings(
        request: Request,
        site: Annotated[str, Query(examples=["fra-1"])],
        from_: From,
        to: To,
    ) -> Readings:
        """Meter readings that touch [from, to), a week at most: of your site, or of one around your orders to it.

        An operator sees what was metered from an hour before its order to an hour after it: ramps and rebound.
        """
        who = door.principal(request)
        door.only(request, "site", "from", "to")
        if to - from_ > _LONGEST_LOOK:
            raise problems.invalid([fault("PERIOD", "?to", f"expected at most {_LONGEST_LOOK.days} days after from")])
        metered = list(door.readings.meters.between(site, from_, to))
        passed_over = door.readings.meters.passed_over(site, from_, to)
        if not door.sees(who, Audience(sites=frozenset({site}))):
            windows = list(_windows(door, who, site))
            if not windows:
                raise problems.not_found("site")
            metered = [reading for reading in metered if _touches(reading, windows)]
            passed_over = [each for each in passed_over if _touches(each.reading, windows)]
        return Readings(readings=metered, ignored=[ignored(each) for each in passed_over])


_LONGEST_LOOK = timedelta(days=7)
_AROUND = timedelta(hours=1)


def _windows(door: Door, who: Principal, site: str) -> Iterator[tuple[datetime, datetime | None]]:
    """The periods around the principal's own orders to a site."""
    for ledger in door.ledgers():
        for tracked in orders_of(ledger.book, site):
            order = tracked.order
            if owns(who, ledger.requests[order.request_id]):
                yield order.starts_at - _AROUND, order.ends_at + _AROUND if order.ends_at else None


def _touches(reading: MeterReading, windows: list[tuple[datetime, datetime | None]]) -> bool:
    return any(overlaps(reading.starts_at, reading.ends_at, *window) for window in windows)
