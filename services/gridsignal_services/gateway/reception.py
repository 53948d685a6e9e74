"""What an HTTP request at the gateway's port becomes: a short answer, a WebSocket, a stream of events or a poll."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import SplitResult, parse_qsl

from websockets.http11 import Request, Response

from gridsignal_protocol.server.events import Event
from gridsignal_protocol.server.limits import Moment
from gridsignal_protocol.server.session import Session
from gridsignal_schemas.frames import Frame
from gridsignal_services.access import Principal
from gridsignal_services.arrivals import Arrivals
from gridsignal_services.gateway.admission import Admission
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.credentials import Credentials
from gridsignal_services.gateway.event_stream import EventWire
from gridsignal_services.gateway.events import EVENTS, POLL, asked, refusal
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.gateway.http import (
    PREFLIGHT,
    must_ask_for_nothing_more,
    refused,
    response,
    shared_with,
    url_of,
    word,
)
from gridsignal_services.gateway.poll import PollWire
from gridsignal_services.gateway.websocket import WebSocketWire, handshake
from gridsignal_services.gateway.wire import Wire
from gridsignal_services.rest.problems import (
    Problem,
    bad_request,
    method_not_allowed,
    no_page,
    rate_limited,
    unauthorized,
)
from gridsignal_services.telemetry import Health

STREAM = "/v1/stream"
_PAGES = ("/healthz", "/readyz")
"""Reasons and metrics are on the operations port: they tell of everybody's activity."""
_ALLOWED = {STREAM: "GET", EVENTS: "GET", POLL: "GET"} | dict.fromkeys(_PAGES, "GET, HEAD")
_TOKEN_NAMES = frozenset({"token", "access_token", "bearer", "authorization"})
_POLLS_S = 1
"""When to ask again where too many polls wait."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a request, and what begins with it."""

    response: Response
    """The last thing that is said, where there is no wire."""
    session: Session | None = None
    wire: Callable[[Connection], Wire] | None = None
    """What the connection is from now on."""
    frames: list[Frame] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    """What its session has decided already."""


class Reception:
    """Answers requests. Bounded: see Admission; `organisation_polls`. When full: 429. Conflates: nothing."""

    def __init__(
        self, credentials: Credentials, health: Health, gauges: Gauges, arrivals: Arrivals[Connection]
    ) -> None:
        self._credentials, self._health = credentials, health
        self._limits = credentials.settings.protocol
        self._admission = Admission(credentials, health, arrivals, 0.0)
        self._polls: dict[str, set[PollWire]] = {}
        gauges.polls.set_function(lambda: sum(map(len, self._polls.values())))

    def answer(self, connection: Connection, request: Request, now: Moment) -> Answer:
        """The answer to a request."""
        shared: dict[str, str] = {}
        try:
            url = url_of(request)
            if url.path in (EVENTS, POLL):
                shared = self._shared(request)
            made = self._answer(connection, request, url, shared, now)
        except Problem as problem:
            made = Answer(refused(problem, **shared))
        if request.method == "HEAD":
            made.response.body = b""
        return made

    def _shared(self, request: Request) -> dict[str, str]:
        """What is said to a browser beside; a WebSocket has rules of its own. Raises Problem 403."""
        origins = request.headers.get_all("Origin")
        if not origins:
            return {}
        if len(origins) > 1 or origins[0] not in self._credentials.settings.origins:
            raise Problem(403, "forbidden", f"expected an origin that is allowed, got {', '.join(origins)!r:.100}")
        return shared_with(origins[0])

    def _answer(
        self, connection: Connection, request: Request, url: SplitResult, shared: dict[str, str], now: Moment
    ) -> Answer:
        if (allowed := _ALLOWED.get(url.path)) is None:
            raise no_page(f"there are {', '.join(_ALLOWED)}")
        if request.method == "OPTIONS":
            more = shared | PREFLIGHT if shared else {}
            return Answer(response(204, None, None, Allow=allowed, **more))
        if request.method not in allowed.split(", "):
            raise method_not_allowed(allowed, request.method)
        must_ask_for_nothing_more(request)
        if url.path in _PAGES:
            return Answer(self._page(url.path))
        if any(name.lower() in _TOKEN_NAMES for name, _ in parse_qsl(url.query, keep_blank_values=True)):
            raise bad_request(
                "PARAMETER", "", "expected the token in the Authorization header or in hello, not in the URL"
            )
        if url.path == STREAM:
            return self._websocket(connection, request, now)
        return self._events(connection, request, url, shared, now)

    def _page(self, path: str) -> Response:
        if path == "/healthz":
            return word(200, "ok")
        return word(200, "ready") if self._health.ready else word(503, "not ready", Retry_After="1")

    def _websocket(self, connection: Connection, request: Request, now: Moment) -> Answer:
        protocol, accepted = handshake(request, self._credentials.settings)
        fault = accepted if isinstance(accepted, Problem) else None
        principal = self._admission.admit(connection, request, fault, now.wall)
        assert isinstance(accepted, Response), "admission raises what is wrong"
        wire = partial(WebSocketWire, protocol=protocol, accepted=accepted, settings=self._credentials.settings)
        return Answer(accepted, self._session(principal, now), wire)

    def _events(
        self, connection: Connection, request: Request, url: SplitResult, shared: dict[str, str], now: Moment
    ) -> Answer:
        """The same frames as a WebSocket client would send, said for the client."""
        fault: Problem | None = None
        try:
            wanted = asked(url.path, url.query, request.headers)
        except Problem as problem:
            fault = problem
        principal = self._admission.admit(connection, request, fault, now.wall)
        if principal is None:
            raise unauthorized()
        wait_s, dead_after_s = wanted.wait_s, self._credentials.settings.dead_after_s
        polls = self._polls_of(principal)
        session = self._session(principal, now)
        session.received(wanted.hello, now)
        session.events_received()  # it is introduced at once
        self._credentials.introduce(session, wanted.hello, now, is_counted=False)
        if session.is_open:
            session.received(wanted.subscribe, now)
        said = session.frames_to_send(), session.events_received()
        if (refused_so := refusal(*said)) is not None:
            raise refused_so
        if wait_s is None:
            begun = response(200, "text/event-stream", None, X_Accel_Buffering="no", **shared)
            return Answer(begun, session, partial(EventWire, begun=begun, dead_after_s=dead_after_s), *said)
        if len(polls) >= (most := self._credentials.settings.organisation_polls):
            raise rate_limited(_POLLS_S, f"expected at most {most} polls of one organisation at once")
        wire = partial(PollWire, dead_after_s=dead_after_s, wait_s=wait_s, polls=polls, headers=shared)
        return Answer(response(200, None, None), session, wire, *said)

    def _polls_of(self, principal: Principal) -> set[PollWire]:
        """Those under way; forgotten when none are."""
        self._polls = {name: polls for name, polls in self._polls.items() if polls}
        return self._polls.setdefault(principal.name, set())

    def _session(self, principal: Principal | None, now: Moment) -> Session:
        return Session(secrets.token_urlsafe(9), self._limits, principal, now)
