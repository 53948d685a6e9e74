"""The ingest door's own pages: health, each feed's freshness for operators, and the push door."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fastapi import FastAPI, Request
from starlette.middleware.cors import CORSMiddleware

from gridsignal_schemas.values import Shape
from gridsignal_services.access import SIGNAL_READ
from gridsignal_services.clock import Time
from gridsignal_services.ingest import push
from gridsignal_services.ingest.feeding import Ingest
from gridsignal_services.ingest.limits import IngestLimits
from gridsignal_services.ingest.push import PushDoor
from gridsignal_services.rest import problems
from gridsignal_services.rest.asgi import add_pages, application
from gridsignal_services.rest.callers import Callers, add_problems
from gridsignal_services.rest.problems import MEDIA_TYPE, ProblemBody
from gridsignal_services.telemetry import logger

_STATUSES = {400, 401, 403, 409, 413, 415, 422, 503}

_PREFLIGHT_S = 600
"""For how long a browser need not ask again what it may ask."""

_log = logger("ingest")


class FeedView(Shape):
    """One provider of one feed, as of now."""

    provider: str
    zone: str
    signal: str
    last_success_at: datetime | None
    newest_ends_at: datetime | None
    """The end of the newest figure."""
    next_due_at: datetime
    stale: bool
    """Silent for longer than its cadence allows: what was published last still stands."""
    published: int
    revisions: int
    quarantined: int
    trouble: str
    """The last failure in words, or what the last answer lacked; empty after a success."""
    left_out: str
    """What of the last answer could not be read while the rest was."""


def app(ingest: Ingest, origins: Sequence[str], *, callers: Callers, limits: IngestLimits, time: Time) -> FastAPI:
    """/healthz, /readyz, /v1/feeds, and /v1/signals for those who push; pages of these `origins` may ask, too."""
    made = application(
        title="gridsignal ingest",
        summary="Freshness of the feeds, and the door for markets and operators without a public one.",
        version="1",
        redirect_slashes=False,  # a redirect would go where the caller's Host header says
        responses={status: {"model": ProblemBody, "content": {MEDIA_TYPE: {}}} for status in _STATUSES},
    )
    made.add_middleware(
        CORSMiddleware,
        allow_origins=origins,  # looked at for each request
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
        max_age=_PREFLIGHT_S,
    )
    add_pages(made, ingest.health)
    add_problems(made, _log)
    made.include_router(push.routes(PushDoor(ingest.publishing, callers, ingest.clock, limits, time)))

    @made.get("/v1/feeds")
    async def feeds(request: Request) -> list[FeedView]:
        """Every feed: its last success, the end of its newest figure, when it is due, what was set aside.

        For operators with signal:read: it names sources, and repeats what they answered.
        """
        if callers.principal(request, SIGNAL_READ).role != "operator":
            raise problems.operators_only()
        return views(ingest)

    return made


def views(ingest: Ingest) -> list[FeedView]:
    """Every provider of every feed, in order."""
    return [
        FeedView(
            provider=status.provider,
            zone=status.zone,
            signal=status.signal.value,
            last_success_at=status.last_success_at,
            newest_ends_at=status.newest_ends_at,
            next_due_at=status.next_due_at,
            stale=ingest.is_stale(status),
            published=status.published,
            revisions=status.revisions,
            quarantined=status.quarantined,
            trouble=status.trouble,
            left_out=status.left_out,
        )
        for status in ingest.statuses()
    ]
