"""The operators' REST door as a FastAPI application; every error is problem+json."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry, Counter
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from gridsignal_schemas.frames import Detail
from gridsignal_services.asgi import add_pages, application
from gridsignal_services.bus import LogUnavailable
from gridsignal_services.dispatch import orders, problems, requests, signals
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.problems import MEDIA_TYPE, Problem, ProblemBody
from gridsignal_services.dispatch.shown import show_answers
from gridsignal_services.dispatch.strict_json import message_of
from gridsignal_services.telemetry import Health, logger

_log = logger("dispatch")
_STATUSES = {400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 429, 503}


def app(door: Door, health: Health) -> FastAPI:
    """The application: operations below /v1, health and metrics beside them."""
    made = application(
        title="gridsignal dispatch",
        summary="Ask data centers for power up or down, see their offers and why each lost, order, and read what came.",
        version="1",
        redirect_slashes=False,  # a redirect would go where the caller's Host header says
        responses={status: {"model": ProblemBody, "content": {MEDIA_TYPE: {}}} for status in _STATUSES},
    )
    for router in (requests.routes(door), orders.routes(door), signals.routes(door)):
        show_answers(router)
        made.include_router(router)
    _health(made, health)
    _problems(made)
    return made


def _health(made: FastAPI, health: Health) -> None:
    registry = CollectorRegistry()
    answered = Counter("gridsignal_dispatch_answers", "Answers by status.", ["status"], registry=registry)

    @made.middleware("http")
    async def count(request: Request, pass_on: Callable[[Request], Awaitable[Response]]) -> Response:
        waits = not health.ready and request.url.path.startswith("/v1/")
        response = _answer(problems.unavailable(health.reason)) if waits else await pass_on(request)
        answered.labels(response.status_code).inc()
        return response

    add_pages(made, health, registry)


def _answer(problem: Problem) -> Response:
    return Response(
        problem.body.model_dump_json(), problem.status, headers=dict(problem.headers), media_type=MEDIA_TYPE
    )


def _problems(made: FastAPI) -> None:
    @made.exception_handler(Problem)
    async def told(_: Request, problem: Problem) -> Response:
        return _answer(problem)

    @made.exception_handler(LogUnavailable)
    async def away(_: Request, error: LogUnavailable) -> Response:
        return _answer(problems.unavailable(str(error)))

    @made.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return _answer(problems.too_slow())  # nobody reads it; it is no failure of ours

    @made.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> Response:
        faults = [
            Detail(code="PARAMETER", pointer=f"?{fault['loc'][-1]}", message=message_of(fault))
            for fault in error.errors()
        ]
        return _answer(problems.invalid(faults))

    @made.exception_handler(HTTPException)
    async def plain(_: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return _answer(problems.not_found())
        return _answer(Problem(error.status_code, "http", str(error.detail), headers=error.headers))

    @made.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        _log.error("an operation failed", path=request.url.path, error=type(error).__name__, exc_info=error)
        return _answer(problems.internal())
