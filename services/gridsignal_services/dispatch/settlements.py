"""The operations on settlements: what orders came to, and the operator's answer to a dispute."""

from __future__ import annotations

from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response

from gridsignal_schemas.messages import DispatchRequest, DisputeRejected, RunMode, Settlement
from gridsignal_schemas.rules.lifecycle import ORDER_OVER
from gridsignal_schemas.values import rfc3339
from gridsignal_services.dispatch.door import Door, must_be_accepted
from gridsignal_services.dispatch.examples import REJECT, takes
from gridsignal_services.dispatch.listing import ADated, Dated, SettlementStates, listed, must_be_known
from gridsignal_services.dispatch.parts import ORDERS
from gridsignal_services.dispatch.shapes import RejectBody
from gridsignal_services.dispatch.sheet import as_asked, sheet_at
from gridsignal_services.dispatch.views import Settlements, SettlementView, lines_of, settlement_view
from gridsignal_services.dispatch.written import written
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOrder, TrackedSettlement
from gridsignal_services.rest import problems
from gridsignal_services.settlement.pinned import rule_of

_SETTLEMENTS = sheet_at("/v1/settlements", Settlement, SettlementView, rows="settlements", record="settlement")


def routes(door: Door) -> APIRouter:
    """The router of /v1/settlements and what lies below an order's settlement."""
    router = APIRouter(prefix="/v1", tags=["settlements"])
    _listing(router, door)
    _one(router, door)
    return router


def _listing(router: APIRouter, door: Door) -> None:
    @router.get("/settlements", response_model=Settlements, summary="List settlements")
    async def every(
        request: Request,
        request_id: str | None = None,
        state: SettlementStates = None,
        *,
        asked: ADated,
    ) -> Response:
        """The newest version of each settlement that you may see, by the end of its order; pages go by order, and end
        early after 5000 intervals.

        With `request_id`, `from` or `to` also those of requests that have been settled for more than a day."""
        who = door.principal(request)
        door.only(request, "request_id", "state", *Dated.NAMES)
        asked.must_not_be_reversed()
        await door.catch_up(request)

        def keeps(entry: tuple[Ledger, TrackedSettlement]) -> bool:
            ledger, tracked = entry
            if (newest := tracked.newest) is None or request_id not in (None, newest.request_id):
                return False
            if not tracked.is_asked_for(state) or not door.sees(who, ledger.audience_of(newest)):
                return False
            starts_at = newest.intervals[0].starts_at if newest.intervals else tracked.ended_at
            return asked.touches(starts_at, tracked.ended_at)

        async with door.turn(who) as work:
            past = door.past(who, work)
            known = await past.entries(
                door.ledgers(), lambda ledger: ledger.book.settlements, ORDERS, asked.from_, asked.to, request_id
            )
            seen = await listed(known, keeps, _ended_at, work, newest_first=asked.newest_first)
            await must_be_known(door, who, request_id, seen)
            chosen, following = asked.within(seen, lambda i: lines_of(seen[i][1].newest))
            page = Settlements(settlements=[], next=following)
            answer = await written(page, "settlements", chosen, lambda i: settlement_view(seen[i][1]), work)
            return await as_asked(request, answer, _SETTLEMENTS, work)


def _one(router: APIRouter, door: Door) -> None:
    @router.get("/orders/{order_id}/settlement", summary="Show an order's settlement")
    async def one(order_id: str, request: Request) -> SettlementView:
        """The newest version of what an order came to, and what is disputed."""
        who = door.principal(request)
        await door.catch_up(request)
        ledger, tracked = await door.order(who, order_id)
        return settlement_view(_settlement(ledger, tracked)[0])

    @router.post(
        "/orders/{order_id}/settlement/disputes/reject",
        summary="Reject a dispute",
        openapi_extra=takes(RejectBody, REJECT),
    )
    async def reject(order_id: str, request: Request, response: Response) -> SettlementView:
        """Lets the newest version stand against a dispute, and says why."""
        who = door.operator(request)
        ledger, tracked = await door.order(who, order_id, own=True)
        body = await door.body(request, RejectBody, who)
        _, newest = _settlement(ledger, tracked)
        order = tracked.order
        record = DisputeRejected(
            zone=order.zone,
            request_id=order.request_id,
            participant=order.participant,
            site=order.site,
            order_id=order_id,
            settlement_id=newest.settlement_id,
            version=body.version or newest.version,
            reason_code=body.reason_code,
            actor=who.name,
            reason=body.reason,
        )
        must_be_accepted(await door.submit(record, who, response))
        return settlement_view(_settlement(ledger, tracked)[0])


def _settlement(ledger: Ledger, order: TrackedOrder) -> tuple[TrackedSettlement, Settlement]:
    """With its newest version. Raises Problem 404 where none was written so far, and says to its parties why."""
    tracked = ledger.book.settlements.get(order.order.order_id)
    if tracked is None or tracked.newest is None:
        request = ledger.requests[order.order.request_id].request
        raise problems.nothing_yet(why_unsettled(request, order, tracked))
    return tracked, tracked.newest


def why_unsettled(request: DispatchRequest, order: TrackedOrder, tracked: TrackedSettlement | None) -> str:
    """Why an order has no settlement so far, and when the first version is due if one is."""
    if request.settlement is None:
        return "This order is not settled: its request names no rule."
    if order.order.run_mode is RunMode.DRY_RUN:
        return "This order is not settled: it is a dry run."
    wait = timedelta(seconds=rule_of(request.settlement.parameters).provisional_after_s)
    if tracked is None and order.state in ORDER_OVER:
        return "This order is not settled: it never took effect."
    stands = "not over yet" if tracked is None else "over, and not settled yet"
    ends_at = order.order.ends_at if tracked is None else tracked.ended_at
    due = f"{wait.total_seconds():g} seconds after its end" if ends_at is None else f"at {rfc3339(ends_at + wait)}"
    return f"This order is {stands}: the first version of its settlement is due {due}."


def _ended_at(entry: tuple[Ledger, TrackedSettlement]) -> datetime:
    return entry[1].ended_at
