"""The threshold of every REST door: who knocks, what they carry, and how they are told what is wrong."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from structlog.typing import FilteringBoundLogger

from gridsignal_protocol.bucket import Bucket
from gridsignal_schemas import strict_json
from gridsignal_schemas.frames import Detail
from gridsignal_schemas.rules.shapes import message_of
from gridsignal_schemas.strict_json import MAX_BODY
from gridsignal_services.access import Principal
from gridsignal_services.access.bearer import bearer_of
from gridsignal_services.access.tokens import Unauthorized, Verifier
from gridsignal_services.bus import LogUnavailable, PositionGone, Unwritable
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.clock import MACHINE_TIME, Time
from gridsignal_services.registry import Registry
from gridsignal_services.rest import problems
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.rest.problems import MEDIA_TYPE, Problem
from gridsignal_services.slots import Slots
from gridsignal_services.work import Work

_AT_ONCE_BYTES = 4 * 1024
"""A longer body is read beside the loop."""
_ANSWERING = 4
"""Organisations whose long answers are made at the same time."""
BODY_S = 10.0
"""A body that takes longer is not waited for."""

M = TypeVar("M", bound=BaseModel)


def who_asked(request: Request) -> Principal | None:
    """Who was found to ask; None for whoever showed no good token."""
    found: Principal | None = getattr(request.state, "caller", None)
    return found


class Callers:
    """Who knocks at one door, how often, and what their answers cost.

    Bounded: two buckets for each role and organisation of the registry; one long answer of each at a time, and of
    `_ANSWERING`. When full: 429 with Retry-After; the next long answer waits. Conflates: nothing.
    """

    def __init__(self, verifier: Verifier, limits: RestLimits, registry: Registry, time: Time = MACHINE_TIME) -> None:
        self._verifier, self._limits, self._time = verifier, limits, time
        self._asked = MemoryCache(now_s=time.steady_s)
        self._worked: dict[str, Bucket] = {}
        self._answering = Slots(_ANSWERING, most=1)
        self.registry = registry
        """Whom the door knows now: another one, once the registry has changed."""

    def principal(self, request: Request, scope: str) -> Principal:
        """Who asks. Raises Problem 401, 403, or 429 for an organisation that asks too fast or for too much."""
        found = _principal(request, self._verifier, scope, self._time.wall())
        if not self.registry.knows(found):
            raise problems.not_registered()
        request.state.caller = found
        if (connection := getattr(request.state, "connection", None)) is not None:
            connection.admit()
        if wait_s := self._asked.take_now(found.name, self._limits.bucket):
            raise problems.rate_limited(math.ceil(wait_s))
        self._must_have_time(found.name)
        return found

    def work(self, principal: Principal) -> Work:
        """Counts an answer's computing against whoever asked."""
        return Work(lambda spent_s: self._spend(principal.name, spent_s))

    @asynccontextmanager
    async def turn(self, principal: Principal, *, is_owed: bool = False) -> AsyncIterator[Work]:
        """`work` for a long answer, in the organisation's turn.

        Raises Problem 429 where those before took too much, unless the answer is owed to a write that is on the log.
        """
        async with self._answering.place(principal.name):
            if not is_owed:
                self._must_have_time(principal.name)
            yield self.work(principal)

    async def body(self, request: Request, shape: type[M], principal: Principal) -> M:
        """The body, read exactly, a long one in `turn`. Raises Problem 400, 408, 413, 415, 422, 429."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise problems.unsupported_media_type()
        try:
            async with asyncio.timeout(BODY_S):
                text = await _bounded(request)
        except TimeoutError:
            raise problems.too_slow() from None
        try:
            if len(text) <= _AT_ONCE_BYTES:
                with self.work(principal).here():
                    return strict_json.read(shape, text)
            async with self.turn(principal) as work:
                return await work.away(strict_json.read, shape, text)
        except strict_json.NotJson as fault:
            raise problems.bad_request("NOT_JSON", "", str(fault)) from None
        except strict_json.NotTheShape as fault:
            raise problems.invalid(fault.faults) from None

    def _must_have_time(self, name: str) -> None:
        worked = self._worked.get(name)
        if worked is not None and not worked.take(self._time.steady_s(), 0.0):
            raise problems.rate_limited(math.ceil(worked.wait_s))

    def _spend(self, name: str, spent_s: float) -> None:
        now_s = self._time.steady_s()
        if name not in self._worked:
            self._worked[name] = Bucket(self._limits.work_ms_per_s, self._limits.work_burst_ms, now_s)
        self._worked[name].take(now_s, 1000 * spent_s)


def _principal(request: Request, verifier: Verifier, scope: str, now: datetime) -> Principal:
    if (token := bearer_of(request.headers.getlist("authorization"))) is None:
        raise problems.unauthorized()
    try:
        found = verifier.verify(token, now)
    except Unauthorized as refusal:
        raise problems.unauthorized(refusal.detail) from None
    if scope not in found.scopes:
        raise problems.forbidden(scope)
    return found


async def _bounded(request: Request) -> bytes:
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY:
        raise problems.too_large(MAX_BODY)
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > MAX_BODY:
            raise problems.too_large(MAX_BODY)
    return bytes(chunks)


def add_problems(made: FastAPI, log: FilteringBoundLogger) -> None:
    """Every error of an application becomes problem+json; what nobody foresaw goes to the log."""

    @made.exception_handler(Problem)
    async def answer_problem(_: Request, problem: Problem) -> Response:
        return answer(problem)

    _add_problems_of_the_log(made, log)

    @made.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return answer(problems.too_slow())  # nobody reads it; it is no failure of ours

    @made.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> Response:
        faults = [
            Detail(code="PARAMETER", pointer=f"?{fault['loc'][-1]}", message=message_of(fault))
            for fault in error.errors()
        ]
        return answer(problems.invalid(faults))

    @made.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return answer(problems.no_page())
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "")
            allowed = allowed.replace("GET", "GET, HEAD") if "HEAD" not in allowed else allowed
            return answer(problems.method_not_allowed(allowed, request.method))
        return answer(Problem(error.status_code, "http", str(error.detail), headers=error.headers))

    @made.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("an operation failed", path=request.url.path, error=type(error).__name__, exc_info=error)
        return answer(problems.internal())


def _add_problems_of_the_log(made: FastAPI, log: FilteringBoundLogger) -> None:
    @made.exception_handler(LogUnavailable)
    async def away(request: Request, error: LogUnavailable) -> Response:
        log.warning("log away", error=str(error))
        return answer(problems.log_away(request.method))

    @made.exception_handler(Unwritable)
    async def unwritable(_: Request, error: Unwritable) -> Response:
        return answer(problems.invalid([Detail(code="INVALID_VALUE", message=f"{error!s:.200}")]))

    @made.exception_handler(PositionGone)
    async def passed(_: Request, __: PositionGone) -> Response:
        return answer(problems.unavailable("retention went by while the log was read: ask again"))


def answer(problem: Problem) -> Response:
    """The problem as it goes out."""
    return Response(
        problem.body.model_dump_json(), problem.status, headers=dict(problem.headers), media_type=MEDIA_TYPE
    )
