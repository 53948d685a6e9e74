"""What an HTTP request at the gateway's port becomes: a short answer, a WebSocket, a stream of events or a poll."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from websockets.http11 import Request, Response

from gridsignal_services.access import Principal
from gridsignal_services.arrivals import Arrivals
from gridsignal_services.gateway.admission import Admission
from gridsignal_services.gateway.connection import Connection, Wire
from gridsignal_services.gateway.effects import Effect
from gridsignal_services.gateway.event_stream import EventWire, PollWire
from gridsignal_services.gateway.events import EventsRefused, asked, is_for_events, refusal
from gridsignal_services.gateway.http import plain, said
from gridsignal_services.gateway.rendering import Encoding
from gridsignal_services.gateway.session import House, Session
from gridsignal_services.telemetry import Health


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a request, and what begins with it."""

    response: Response
    session: Session | None = None
    wire: Callable[[Connection], Wire] | None = None
    """What the connection is from now on; None: what HTTP and WebSocket make of the response."""
    effects: list[Effect] = field(default_factory=list)


class Reception:
    """Answers requests. Bounded: see Admission."""

    def __init__(self, house: House, health: Health, arrivals: Arrivals[Connection]) -> None:
        self._house, self._health = house, health
        self._admission = Admission(house, health, arrivals, 0.0)
        self._polls: dict[str, set[PollWire]] = {}

    def answer(self, connection: Connection, request: Request, now: datetime) -> Answer:
        """The answer to a request."""
        protocol = connection.websocket.protocol
        if is_for_events(request):
            try:
                return self._events(connection, request, now)
            except EventsRefused as refused:
                return Answer(said(protocol, refused.status, str(refused)))
        if (page := plain(protocol, request, self._health)) is not None:
            return Answer(page)
        response, principal = self._admission.answer(connection, request, protocol.accept(request), now)
        if response.status_code != 101:
            return Answer(response)
        return Answer(response, self._session(connection.wire.encoding, principal, now))

    def _events(self, connection: Connection, request: Request, now: datetime) -> Answer:
        """The same frames as a WebSocket client would send, said for the client. Raises EventsRefused."""
        wanted = asked(request)
        would_be = connection.websocket.protocol.reject(200, "")
        response, principal = self._admission.answer(connection, request, would_be, now)
        if response is not would_be:
            return Answer(response)
        if principal is None:
            raise EventsRefused(401, "expected a token in the Authorization header")
        session = self._session("events", principal, now)
        effects = [*session.on(wanted.hello, now), *session.on(wanted.subscribe, now)]
        if refused := refusal(effects):
            raise refused
        dead_after_s = self._house.settings.dead_after_s
        if wanted.wait_s is None:
            return Answer(would_be, session, partial(EventWire, dead_after_s=dead_after_s), effects)
        polls = self._polls_of(principal)
        wire = partial(PollWire, dead_after_s=dead_after_s, wait_s=wanted.wait_s, polls=polls)
        return Answer(would_be, session, wire, effects)

    def _polls_of(self, principal: Principal) -> set[PollWire]:
        """Those under way; forgotten when none are. Raises EventsRefused where there are too many."""
        self._polls = {name: polls for name, polls in self._polls.items() if polls}
        polls = self._polls.setdefault(principal.name, set())
        most = self._house.settings.organisation_polls
        if len(polls) >= most:
            raise EventsRefused(429, f"expected at most {most} polls of one organisation at once")
        return polls

    def _session(self, encoding: Encoding, principal: Principal | None, now: datetime) -> Session:
        return Session(secrets.token_urlsafe(9), self._house, encoding, principal, now)
