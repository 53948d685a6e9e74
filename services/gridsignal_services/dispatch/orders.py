"""The operations on orders, and what else can be read: offers, sites."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gridsignal_schemas.messages import DispatchOrder, FlexOffer, OrderState, SiteRegistration
from gridsignal_schemas.values import Timestamp
from gridsignal_services.access import Principal
from gridsignal_services.dispatch import baselines, commands, metered, outlook
from gridsignal_services.dispatch.door import Door, must_be_accepted
from gridsignal_services.dispatch.examples import CANCEL, EXTEND, RELEASE, takes
from gridsignal_services.dispatch.listing import (
    ADated,
    AListing,
    Dated,
    Listing,
    OfferStates,
    OrderStates,
    listed,
    must_be_known,
)
from gridsignal_services.dispatch.parts import OFFERS, ORDERS
from gridsignal_services.dispatch.past import PastReader
from gridsignal_services.dispatch.shapes import CancelOrderBody, ExtendBody, ReleaseBody
from gridsignal_services.dispatch.sheet import as_asked, sheet_at
from gridsignal_services.dispatch.views import (
    Offers,
    OfferView,
    Orders,
    OrderView,
    SiteView,
    offer_view,
    order_view,
    site_view,
    with_metered,
)
from gridsignal_services.dispatch.written import json, json_of, written
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedOrder
from gridsignal_services.rest import problems
from gridsignal_services.work import Work

_ORDERS = sheet_at("/v1/orders", DispatchOrder, OrderView, rows="orders", record="order", without="history metered")
_OFFERS = sheet_at("/v1/offers", FlexOffer, OfferView, rows="offers", record="offer")
_OWN_SITES, _SEEN_SITES = sheet_at("/v1/sites", SiteRegistration), sheet_at("/v1/sites", SiteView)
_A_MOMENT = timedelta(seconds=1)
MeteredFrom = Annotated[Timestamp | None, Query(examples=["2024-05-12T18:00:00Z"])]


def routes(door: Door) -> APIRouter:
    """The router of /v1/orders, /v1/offers, /v1/sites, /v1/readings and /v1/baselines."""
    router = APIRouter(prefix="/v1")
    _orders(router, door)
    _order(router, door)
    _changes(router, door)
    _cancelling(router, door)
    _offers(router, door)
    _sites(router, door)
    metered.add_to(router, door)
    baselines.add_to(router, door)
    outlook.add_to(router, door)
    return router


def _orders(router: APIRouter, door: Door) -> None:
    @router.get("/orders", tags=["orders"], response_model=Orders, summary="List orders")
    async def every(
        request: Request,
        request_id: str | None = None,
        state: OrderStates = None,
        *,
        asked: ADated,
    ) -> Response:
        """Orders that you may see, with what was delivered; oldest first unless you want the newest first.

        With `request_id`, `from` or `to` also those of requests that have been over for more than a day."""
        who = door.principal(request)
        door.only(request, "request_id", "state", *Dated.NAMES)
        asked.must_not_be_reversed()
        await door.catch_up(request)

        def keeps(entry: tuple[Ledger, TrackedOrder]) -> bool:
            ledger, tracked = entry
            order = tracked.order
            return (
                request_id in (None, order.request_id)
                and state in (None, tracked.state)
                and asked.touches(order.starts_at, order.ends_at)
                and door.sees(who, ledger.audience_of(order))
            )

        async with door.turn(who) as work:
            past = door.past(who, work)
            known = await past.entries(
                door.ledgers(), lambda ledger: ledger.orders, ORDERS, asked.from_, asked.to, request_id
            )
            seen = await listed(known, keeps, _issued_at, work, newest_first=asked.newest_first)
            await must_be_known(door, who, request_id, seen)
            chosen, following = asked.of(seen)
            texts, shown = list[str](), 0
            for order_id in chosen:
                text, intervals = await _text(door, past, *seen[order_id], work)
                texts.append(text)
                shown += intervals
                if shown > _INTERVALS and order_id != chosen[-1]:
                    following = order_id  # the page ends early: what follows is asked for like any other page
                    break
            return await as_asked(request, json_of(Orders(orders=[], next=following), "orders", texts), _ORDERS, work)


def _order(router: APIRouter, door: Door) -> None:
    @router.get("/orders/{order_id}", tags=["orders"], response_model=OrderView, summary="Show an order")
    async def one(order_id: str, request: Request, metered_from: MeteredFrom = None) -> Response:
        """One order, its history, and its delivered energy by metered interval."""
        who = door.principal(request)
        door.only(request, "metered_from")
        await door.catch_up(request)
        async with door.turn(who) as work:
            ledger, tracked = await door.order(who, order_id, work=work)
            return json((await _text(door, door.past(who, work), ledger, tracked, work, metered_from))[0])


_INTERVALS = 2000
"""Metered intervals on one page of orders, give or take one order's."""
_ON_THE_SPOT = 64
"""Intervals that are written in less time than it takes to have somebody else do it."""


async def _text(
    door: Door, past: PastReader, ledger: Ledger, tracked: TrackedOrder, work: Work, since: datetime | None = None
) -> tuple[str, int]:
    """An order as JSON, and how many intervals it shows. Raises Problem 404."""
    if (holder := await past.holding(ledger, ORDERS, tracked.order.request_id)) is None:
        raise problems.not_found("order")
    with work.here():
        stands = order_view(holder.book, tracked)
    view = with_metered(stands, await door.measuring.of(holder.book, tracked, work, since))
    intervals = len(view.metered)
    if intervals > _ON_THE_SPOT:
        return await work.away(view.model_dump_json), intervals
    with work.here():
        text = view.model_dump_json()
    await work.breath()
    return text, intervals


async def _changed(door: Door, who: Principal, ledger: Ledger, tracked: TrackedOrder, response: Response) -> Response:
    async with door.turn(who, is_owed=True) as work:
        text, _ = await _text(door, door.past(who, work), ledger, tracked, work)
    return json(text, response.headers)


def _issued_at(entry: tuple[Ledger, TrackedOrder]) -> datetime:
    return entry[1].history[0].at


def _changes(router: APIRouter, door: Door) -> None:
    @router.post(
        "/orders/{order_id}/extend",
        tags=["orders"],
        response_model=OrderView,
        summary="Extend an order",
        openapi_extra=takes(ExtendBody, EXTEND),
    )
    async def extend(order_id: str, request: Request, response: Response) -> Response:
        """Lets an order end later: until `extendable_until`, for its site has offered no longer."""
        who = door.operator(request)
        ledger, tracked = await door.order(who, order_id, own=True)
        body = await door.body(request, ExtendBody, who)
        if faults := commands.extension_faults(tracked, body):
            raise problems.conflict(faults)
        if body.ends_at != tracked.order.ends_at:
            record = commands.ending(ledger.book, tracked, body, who, body.ends_at)
            must_be_accepted(await door.submit(record, who, response))
        return await _changed(door, who, ledger, tracked, response)

    @router.post(
        "/orders/{order_id}/release",
        tags=["orders"],
        response_model=OrderView,
        summary="Release an order early",
        openapi_extra=takes(ReleaseBody, RELEASE),
    )
    async def release(order_id: str, request: Request, response: Response) -> Response:
        """Lets an order end earlier: now, unless an end is named. What was delivered until then counts; what is lacking
        from then on is ordered elsewhere only when you clear the request again."""
        who = door.operator(request)
        ledger, tracked = await door.order(who, order_id, own=True)
        body = await door.body(request, ReleaseBody, who)
        ends_at = body.ends_at or _soonest(door.clock.now(), ledger.now, tracked.order)
        if faults := commands.release_faults(tracked, ends_at, body):
            raise problems.conflict(faults)
        if ends_at != tracked.order.ends_at:
            record = commands.ending(ledger.book, tracked, body, who, ends_at)
            must_be_accepted(await door.submit(record, who, response))
        return await _changed(door, who, ledger, tracked, response)


def _cancelling(router: APIRouter, door: Door) -> None:
    @router.post(
        "/orders/{order_id}/cancel",
        tags=["orders"],
        response_model=OrderView,
        summary="Cancel an order",
        openapi_extra=takes(CancelOrderBody, CANCEL),
    )
    async def cancel(order_id: str, request: Request, response: Response) -> Response:
        """Takes one order back before it begins, and lets go of the offer it called. The request stays as it is, and
        what it lacks then is ordered elsewhere only when you clear it again; once no other offer can be called, a
        request without another order is UNMET."""
        who = door.operator(request)
        ledger, tracked = await door.order(who, order_id, own=True)
        body = await door.body(request, CancelOrderBody, who)
        if tracked.state is not OrderState.CANCELLED:
            if faults := commands.cancellation_faults(tracked, body):
                raise problems.conflict(faults)
            record = commands.cancelled(ledger.book, tracked, body, who)
            must_be_accepted(await door.submit(record, who, response))
        return await _changed(door, who, ledger, tracked, response)


def _soonest(now: datetime, log_clock: datetime | None, order: DispatchOrder) -> datetime:
    """A moment from now: an order can't end before the log has said so, and the log's clock runs on until then."""
    soonest = max(max(now, log_clock or now) + _A_MOMENT, order.starts_at)
    return soonest if order.ends_at is None else min(soonest, order.ends_at)


def _offers(router: APIRouter, door: Door) -> None:
    @router.get("/offers", tags=["offers"], response_model=Offers, summary="List offers")
    async def offers(
        request: Request,
        request_id: str | None = None,
        state: OfferStates = None,
        *,
        asked: AListing,
    ) -> Response:
        """Your offers, or those on your requests; pages go by participant:offer_id.

        With `request_id` also those on one that has been over for more than a day."""
        who = door.principal(request)
        door.only(request, "request_id", "state", *Listing.NAMES)
        await door.catch_up(request)

        def keeps(entry: tuple[Ledger, TrackedOffer]) -> bool:
            ledger, tracked = entry
            return (
                request_id in (None, tracked.offer.request_id)
                and state in (None, tracked.state)
                and door.sees_offer(who, ledger, tracked)
            )

        async with door.turn(who) as work:
            past = door.past(who, work)
            known = await past.entries(door.ledgers(), lambda ledger: ledger.offers, OFFERS, request_id=request_id)
            entries = ((f"{key[0]}:{key[1]}", entry) for key, entry in known)
            seen = await listed(entries, keeps, _received_at, work, newest_first=asked.newest_first)
            await must_be_known(door, who, request_id, seen)
            chosen, following = asked.of(seen)
            page = Offers(offers=[], next=following)
            answer = await written(page, "offers", chosen, lambda i: offer_view(seen[i][1]), work)
            return await as_asked(request, answer, _OFFERS, work)


def _sites(router: APIRouter, door: Door) -> None:
    @router.get("/sites", tags=["sites"], response_model=list[SiteRegistration | SiteView], summary="List sites")
    async def sites(request: Request) -> Response:
        """Your connection points, as the log knows them; as an operator, those in your zones and whether a baseline is
        declared there."""
        who = door.principal(request)
        await door.catch_up(request)
        mine, now = door.entitlements(who), door.clock.now()
        known = [(ledger.book, site) for ledger in door.ledgers() for site in ledger.sites.values()]

        def text(entry: tuple[Book, SiteRegistration]) -> str:
            if who.role == "operator":
                return site_view(*entry, now).model_dump_json() if entry[1].zone in mine.zones else ""
            return entry[1].model_dump_json() if entry[1].site in mine.sites else ""

        async with door.turn(who) as work:
            answer = json(f"[{','.join(filter(None, await work.each(known, text)))}]")
            return await as_asked(request, answer, _SEEN_SITES if who.role == "operator" else _OWN_SITES, work)


def _received_at(entry: tuple[Ledger, TrackedOffer]) -> datetime:
    return entry[1].receipt.received_at
