"""The operators' REST door as a FastAPI application; every error is problem+json."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, FastAPI, Request, Response, Security
from fastapi.security import HTTPBearer
from prometheus_client import CollectorRegistry, Counter

from gridsignal_services.console.pages import PATH, Console
from gridsignal_services.dispatch import (
    alerts,
    areas,
    contacts,
    matching,
    me,
    operations,
    orders,
    products,
    proofs,
    regulation,
    requests,
    settlements,
    signals,
    statements,
    totals,
)
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.forms import FORMS
from gridsignal_services.dispatch.operations import Overseen
from gridsignal_services.dispatch.sheet import LISTS
from gridsignal_services.dispatch.shown import show_answers
from gridsignal_services.event_log import EventLog
from gridsignal_services.rest import problems, tracing
from gridsignal_services.rest.accept import CSV, JSON, preferred
from gridsignal_services.rest.asgi import add_pages, application
from gridsignal_services.rest.callers import add_problems, answer, who_asked
from gridsignal_services.rest.problems import MEDIA_TYPE, ProblemBody
from gridsignal_services.telemetry import Health, logger

_log = logger("dispatch")
_STATUSES = {400, 401, 403, 404, 406, 409, 412, 413, 415, 422, 428, 429, 503}

_DESCRIPTION = """\
**After a write.** Each write answers with the header `Gridsignal-Position`. A read that carries it, at whichever
process, answers once that write is in what it reads.

**Lists** have the rows there are when their turn comes: what comes later is left out. They are read in slices between
which the market goes on, so a list is not of one moment: each row is as it stands when it is looked at, and may have
moved on from the state that was asked for by the time it is written. What depends on one row's state is asked of that
row.

**What is over** leaves the lists a day later: a period (`from`, `to`) or a `request_id`, where a list takes
them, brings it back.

**CSV.** With `Accept: text/csv` a list is a table whose columns mean what the fields of their names mean in JSON. An
order's `state` is the present one; what it was issued with, JSON's `order.state`, is `order_state`. A cell that holds
objects is JSON. The next page is in the header `Link`.
"""


def app(
    door: Door, health: Health, counted: CollectorRegistry, events: EventLog, console: Console, overseen: Overseen
) -> FastAPI:
    """The application: operations below /v1, health and the console beside them; answers are counted in `counted`."""
    made = application(
        title="gridsignal dispatch",
        summary="Ask data centers for power up or down, see their offers and why each lost, order, and read what came.",
        version="1",
        description=_DESCRIPTION,
        redirect_slashes=False,  # a redirect would go where the caller's Host header says
        # for the page's Authorize button; who asks is found out by each operation, with its own answers
        dependencies=[Security(HTTPBearer(auto_error=False, description="A token of your organisation."))],
        responses={status: {"model": ProblemBody, "content": {MEDIA_TYPE: {}}} for status in _STATUSES},
    )
    _front(made)
    for router in (*_routers(door), me.routes(door, console), operations.routes(door, overseen)):
        show_answers(router)
        made.include_router(router)
    _count(made, health, counted, events)
    console.add_to(made)
    add_pages(made, health)
    add_problems(made, _log)
    return made


def _routers(door: Door) -> list[APIRouter]:
    rooms = (requests, orders, regulation, alerts, contacts, settlements, statements, matching, signals, totals)
    return [room.routes(door) for room in (*rooms, areas, products, proofs)]


def _not_acceptable(request: Request) -> problems.Problem | None:
    accept = request.headers.getlist("accept")
    types = _types(request.url.path) if request.method in ("GET", "HEAD") else (JSON,)
    return None if preferred(accept, types) else problems.not_acceptable(types, ", ".join(accept))


def _types(path: str) -> tuple[str, ...]:
    """What a path can be had as."""
    if path.startswith(tuple(each.PATH.partition("{")[0] for each in (matching, statements))):
        return FORMS
    return (JSON, CSV) if path in LISTS else (JSON,)


def _front(made: FastAPI) -> None:
    @made.get("/", include_in_schema=False)
    async def front() -> dict[str, str]:
        return {
            "service": made.title,
            "what": made.summary or "",
            "documentation": "/docs",
            "openapi": "/openapi.json",
            "console": PATH,
            "data_centers": "connect to the gateway by WebSocket, at a port of its own",
        }


def _count(made: FastAPI, health: Health, counted: CollectorRegistry, events: EventLog) -> None:
    answered = Counter("gridsignal_dispatch_answers", "Answers by status.", ["status"], registry=counted)

    @made.middleware("http")
    async def count(request: Request, pass_on: Callable[[Request], Awaitable[Response]]) -> Response:
        tracing.enter(request)
        is_operation = request.url.path.startswith("/v1/")
        if is_operation and not health.ready:
            response = answer(problems.not_ready())
        elif is_operation and (unheard := _not_acceptable(request)):
            response = answer(unheard)
        else:
            response = await pass_on(request)
        answered.labels(response.status_code).inc()
        if 400 <= response.status_code < 500 and (by := who_asked(request)) is not None:
            where = {"method": request.method, "path": request.url.path[:200], "status": response.status_code}
            events.tell("operation_refused", by.name, **where)
        return response
