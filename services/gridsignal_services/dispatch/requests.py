"""The operations on requests: ask, amend, cancel, look, clear, award."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request, Response

from gridsignal_schemas.messages import DispatchRequest
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import RequestState
from gridsignal_schemas.rules.products import product_faults
from gridsignal_schemas.rules.requests import request_faults
from gridsignal_services.access import Principal
from gridsignal_services.dispatch import commands
from gridsignal_services.dispatch.book import BookView
from gridsignal_services.dispatch.book_answer import book_answer, held_of
from gridsignal_services.dispatch.door import Door, must_be_accepted, owns
from gridsignal_services.dispatch.examples import AWARD, CANCEL, REQUEST, takes
from gridsignal_services.dispatch.listing import (
    ADated,
    Dated,
    RequestStates,
    ZoneFilter,
    listed,
    must_be_theirs,
)
from gridsignal_services.dispatch.parts import REQUESTS, WHOLE
from gridsignal_services.dispatch.shapes import AwardBody, CancelBody, ClearBody, RequestBody
from gridsignal_services.dispatch.sheet import as_asked, sheet_at
from gridsignal_services.dispatch.views import Requests, RequestView, request_view, state_shown, stays_for
from gridsignal_services.dispatch.written import written
from gridsignal_services.ledger.overtaken import Overtaken
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedRequest
from gridsignal_services.rest import problems

_REQUESTS = sheet_at("/v1/requests", DispatchRequest, RequestView, rows="requests", record="request")


def routes(door: Door) -> APIRouter:
    """The router of everything below /v1/requests."""
    router = APIRouter(prefix="/v1/requests", tags=["requests"])
    _asking(router, door)
    _changing(router, door)
    _listing(router, door)
    _showing(router, door)
    _clearing(router, door)
    return router


def _asking(router: APIRouter, door: Door) -> None:
    @router.post(
        "", status_code=201, summary="Create a request", openapi_extra=takes(RequestBody, REQUEST, idempotent=True)
    )
    async def ask(request: Request, response: Response) -> RequestView:
        """Asks for power up or down. The same Idempotency-Key with the same body answers the same request again; with
        another body it is a conflict that says what differs, and `Location` says where the request is."""
        who = door.operator(request)
        key = door.idempotency_key(request)
        body = await door.body(request, RequestBody, who)
        request_id = commands.request_id_of(who.organisation, key)
        _must_be_free(door, request_id, body.zone)
        record = _checked(door, who, body, request_id, 1)
        outcome = await door.submit(record, who, response)
        if not outcome.accepted and not outcome.duplicate and outcome.code == "CONFLICT":
            raise await _another(door, who, record)
        must_be_accepted(outcome)
        response.headers["Location"] = f"/v1/requests/{record.request_id}"
        if outcome.duplicate:
            response.status_code = 200
        return await _view(door, who, record.request_id)


def _changing(router: APIRouter, door: Door) -> None:
    @router.put("/{request_id}", summary="Amend a request", openapi_extra=takes(RequestBody, REQUEST))
    async def amend(request_id: str, request: Request, response: Response) -> RequestView:
        """The next revision of an OPEN request; `If-Match: "N"` names the revision it was written for.

        The same amendment again, with the same If-Match, answers the same: an answer may get lost.
        """
        who = door.operator(request)
        _, tracked = await door.request(who, request_id, own=True)
        body = await door.body(request, RequestBody, who)
        current, written_for = tracked.request, _written_for(request)
        if body.zone != current.zone:
            raise problems.invalid([fault("ZONE", "/zone", f"expected {current.zone}: a request stays in its zone")])
        if written_for == current.revision - 1:
            again = commands.asked(body, request_id, current.revision, who.organisation, door.registry, current)
            if again == current:
                return await _view(door, who, request_id)
        if written_for != current.revision:
            message = f"expected revision {current.revision}, got {written_for}"
            raise problems.precondition_failed([fault("REVISION", "If-Match", message)])
        record = _checked(door, who, body, request_id, current.revision + 1)
        must_be_accepted(await door.submit(record, who, response))
        return await _view(door, who, request_id)

    @router.post("/{request_id}/cancel", summary="Cancel a request", openapi_extra=takes(CancelBody, CANCEL))
    async def cancel(request_id: str, request: Request, response: Response) -> RequestView:
        """Takes a request back: offers are released, orders cancelled, running ones end now."""
        who = door.operator(request)
        _, tracked = await door.request(who, request_id, own=True)
        body = await door.body(request, CancelBody, who)
        if tracked.state is not RequestState.CANCELLED:
            must_be_accepted(await door.submit(commands.cancellation(tracked.request, body, who), who, response))
        return await _view(door, who, request_id)


def _listing(router: APIRouter, door: Door) -> None:
    @router.get("", response_model=Requests, summary="List requests")
    async def every(
        request: Request,
        zone: ZoneFilter = None,
        state: RequestStates = None,
        *,
        listing: ADated,
    ) -> Response:
        """Requests that you may see, oldest first unless you want the newest first.

        With `from` or `to` also those that have been over for more than a day."""
        who = door.principal(request)
        door.only(request, "zone", "state", *Dated.NAMES)
        must_be_theirs(door, who, zone)
        listing.must_not_be_reversed()
        await door.catch_up(request)
        now = door.clock.now()

        def keeps(entry: tuple[Ledger, TrackedRequest]) -> bool:
            tracked, own = entry[1], owns(who, entry[1])
            asked = tracked.request
            return (
                zone in (None, asked.zone)
                and listing.touches(asked.starts_at, asked.ends_at)
                and door.sees_request(who, *entry)
                and (listing.has_period or own or stays_for(who.name, entry[0].book, tracked, now))
                and (state is None or state is state_shown(who.name, entry[0].book, tracked, now, own=own))
            )

        async with door.turn(who) as work:
            past = door.past(who, work)
            known = await past.entries(
                door.ledgers(), lambda ledger: ledger.requests, REQUESTS, listing.from_, listing.to
            )
            seen = await listed(known, keeps, _made_at, work, newest_first=listing.newest_first)
            chosen, following = listing.of(seen)
            page = Requests(requests=[], next=following)
            answer = await written(page, "requests", chosen, lambda i: _view_of(door, who, seen[i]), work)
            return await as_asked(request, answer, _REQUESTS, work)


def _showing(router: APIRouter, door: Door) -> None:
    @router.get("/{request_id}", summary="Show a request")
    async def one(request_id: str, request: Request) -> RequestView:
        """One request and where it stands."""
        who = door.principal(request)
        await door.catch_up(request)
        return await _view(door, who, request_id)

    @router.get("/{request_id}/book", response_model=BookView, summary="Show a request's offers in merit order")
    async def book(request_id: str, request: Request) -> Response:
        """Every offer in merit order, where it stands and why it lost; and every clearing."""
        who = door.principal(request)
        await door.catch_up(request)
        async with door.turn(who) as work:
            ledger, _ = await door.request(who, request_id, own=True, kinds=WHOLE, work=work)
            return await book_answer(door, who, work, ledger, request_id)


def _clearing(router: APIRouter, door: Door) -> None:
    clearing = takes(ClearBody, {"reason": "the gate need not be waited for"})

    @router.post(
        "/{request_id}/clear",
        response_model=BookView,
        summary="Clear a request now, in merit order",
        openapi_extra=clearing,
    )
    async def clear(request_id: str, request: Request, response: Response) -> Response:
        """Clears now, in merit order."""
        who = door.operator(request)
        body = await door.body(request, ClearBody, who)
        return await _clear(door, who, request_id, response, body.reason, None)

    @router.post(
        "/{request_id}/award",
        response_model=BookView,
        summary="Award offers by hand",
        openapi_extra=takes(AwardBody, AWARD),
    )
    async def award(request_id: str, request: Request, response: Response) -> Response:
        """Awards what you picked, with the reason why not by merit order."""
        who = door.operator(request)
        body = await door.body(request, AwardBody, who)
        if faults := commands.pick_faults(body):
            raise problems.invalid(faults)
        return await _clear(door, who, request_id, response, body.reason, body)


async def _clear(
    door: Door, who: Principal, request_id: str, response: Response, reason: str, picked: AwardBody | None
) -> Response:
    async with door.turn(who) as work:
        ledger, _ = await door.request(who, request_id, own=True, kinds=WHOLE, work=work)
    overtaken = Overtaken()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with door.turn(who) as work:
                held, now = await held_of(door, who, work, ledger, request_id), _now(door, ledger.now)
                clearing = await work.away(
                    commands.cleared,
                    held,
                    ledger.position,
                    request_id,
                    now,
                    who,
                    reason,
                    picked,
                    overtaken.left_out(),
                )
        except ValueError as unpicked:
            raise problems.invalid([fault("PICK", "/picks", str(unpicked))]) from None
        outcome = await door.submit(clearing, who, response)
        if outcome.code not in _OVERTAKEN or attempt == _ATTEMPTS:
            break
        overtaken.add(clearing, outcome.faults)
        await door.moved_on(ledger)  # somebody was faster: decide anew from what holds then
    must_be_accepted(outcome)
    async with door.turn(who, is_owed=True) as work:
        return await book_answer(door, who, work, ledger, request_id, response.headers)


_ATTEMPTS = 5
"""The last is made without whoever took back what the others awarded, where it is in merit order: as its owner's is."""
_OVERTAKEN = frozenset({"ANNOUNCEMENT_OWED", "REQUEST_REVISION", "OFFER_NOT_CALLABLE"})


def _now(door: Door, log_clock: datetime | None) -> datetime:
    now = door.clock.now()
    return now if log_clock is None else max(now, log_clock)


def _checked(door: Door, who: Principal, body: RequestBody, request_id: str, revision: int) -> DispatchRequest:
    """The record, once nothing is wrong with it that can be known beforehand."""
    if faults := commands.body_faults(body, door.entitlements(who), door.registry):
        raise problems.invalid(faults)
    ledger = door.replica.ledger_of(body.zone)
    known = ledger.requests.get(request_id)
    before = None if known is None else known.request
    record = commands.asked(body, request_id, revision, who.organisation, door.registry, before)
    if faults := commands.own_rule_faults(body, record):
        raise problems.invalid(faults)
    past = ledger.book.past.requests
    is_repeat = revision in known.digests if known is not None else past.find((request_id, revision)) is not None
    if not is_repeat and (faults := [*request_faults(record, _now(door, ledger.now)), *product_faults(record)]):
        raise problems.invalid(faults)
    return record


async def _view(door: Door, who: Principal, request_id: str) -> RequestView:
    return _view_of(door, who, await door.request(who, request_id))


def _made_at(entry: tuple[Ledger, TrackedRequest]) -> datetime:
    return entry[1].receipts[1].received_at


def _view_of(door: Door, who: Principal, entry: tuple[Ledger, TrackedRequest]) -> RequestView:
    return request_view(who.name, entry[0].book, entry[1], door.clock.now(), own=owns(who, entry[1]))


async def _another(door: Door, who: Principal, asked: DispatchRequest) -> problems.Problem:
    """The key was used for another question, or the request that it made was amended since."""
    _, tracked = await door.request(who, asked.request_id, own=True)
    first = tracked.request
    faults = commands.differences(first, asked) if first.revision == 1 else []
    since = "" if first.revision == 1 else f"; its request was amended since (revision {first.revision})"
    used = fault("CONFLICT", "Idempotency-Key", f"expected a new key, or what this one asked first{since}")
    refused = problems.conflict(faults or [used])
    refused.headers["Location"] = f"/v1/requests/{asked.request_id}"
    return refused


def _must_be_free(door: Door, request_id: str, zone: str) -> None:
    """An idempotency key that made a request in another zone can't make one here: zones share no order."""
    for ledger in door.ledgers():
        known = ledger.requests.get(request_id)
        is_past = request_id in ledger.book.past.audiences and ledger is not door.replica.ledger_of(zone)
        if is_past or (known is not None and known.request.zone != zone):
            raise problems.conflict([fault("CONFLICT", "Idempotency-Key", "this key made a request of another zone")])


def _written_for(request: Request) -> int:
    """The revision an amendment was written for. Raises Problem 428 without one, 400 for anything else."""
    wanted = request.headers.get("if-match")
    if wanted is None:
        raise problems.precondition_required("If-Match", 'expected If-Match: "N", the revision you amend, got none')
    digits = wanted.strip().strip('"')
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise problems.bad_request("REVISION", "If-Match", f'expected If-Match: "N" with a revision, got {wanted:.20}')
    return int(digits)
