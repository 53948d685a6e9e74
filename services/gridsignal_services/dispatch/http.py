"""The operators' REST door as a FastAPI application; every error is problem+json."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response, Security
from fastapi.security import HTTPBearer
from prometheus_client import CollectorRegistry, Counter

from gridsignal_services import problems
from gridsignal_services.accepted import CSV, JSON, preferred
from gridsignal_services.asgi import add_pages, application
from gridsignal_services.dispatch import orders, requests, signals, totals
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.shown import LISTS, show_answers
from gridsignal_services.problems import MEDIA_TYPE, ProblemBody
from gridsignal_services.telemetry import Health, logger
from gridsignal_services.threshold import add_problems, answer

_log = logger("dispatch")
_STATUSES = {400, 401, 403, 404, 406, 409, 412, 413, 415, 422, 428, 429, 503}


def app(door: Door, health: Health, counted: CollectorRegistry) -> FastAPI:
    """The application: operations below /v1, health beside them; answers are counted in `counted`."""
    made = application(
        title="gridsignal dispatch",
        summary="Ask data centers for power up or down, see their offers and why each lost, order, and read what came.",
        version="1",
        redirect_slashes=False,  # a redirect would go where the caller's Host header says
        # for the page's Authorize button; who asks is found out by each operation, with its own answers
        dependencies=[Security(HTTPBearer(auto_error=False, description="A token of your organisation."))],
        responses={status: {"model": ProblemBody, "content": {MEDIA_TYPE: {}}} for status in _STATUSES},
    )
    _front(made)
    for router in (requests.routes(door), orders.routes(door), signals.routes(door), totals.routes(door)):
        show_answers(router)
        made.include_router(router)
    _count(made, health, counted)
    add_pages(made, health)
    add_problems(made, _log)
    return made


def _not_acceptable(request: Request) -> problems.Problem | None:
    accept = request.headers.getlist("accept")
    types = (JSON, CSV) if request.method in ("GET", "HEAD") and request.url.path in LISTS else (JSON,)
    return None if preferred(accept, types) else problems.not_acceptable(types, ", ".join(accept))


def _front(made: FastAPI) -> None:
    @made.get("/", include_in_schema=False)
    async def front() -> dict[str, str]:
        return {
            "service": made.title,
            "what": made.summary or "",
            "documentation": "/docs",
            "openapi": "/openapi.json",
            "data_centers": "connect to the gateway by WebSocket, at a port of its own",
        }


def _count(made: FastAPI, health: Health, counted: CollectorRegistry) -> None:
    answered = Counter("gridsignal_dispatch_answers", "Answers by status.", ["status"], registry=counted)

    @made.middleware("http")
    async def count(request: Request, pass_on: Callable[[Request], Awaitable[Response]]) -> Response:
        is_operation = request.url.path.startswith("/v1/")
        if is_operation and not health.ready:
            response = answer(problems.not_ready())
        elif is_operation and (unheard := _not_acceptable(request)):
            response = answer(unheard)
        else:
            response = await pass_on(request)
        answered.labels(response.status_code).inc()
        return response
