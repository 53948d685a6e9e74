"""Who may open a connection: readiness, room, pace, origin and token, all before 101."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import datetime

from websockets.http11 import Request

from gridsignal_protocol.bucket import Bucket
from gridsignal_services.access import Principal
from gridsignal_services.access.bearer import bearer_of
from gridsignal_services.access.tokens import Unauthorized
from gridsignal_services.arrivals import Arrivals
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.credentials import Credentials
from gridsignal_services.rest.problems import Problem, not_ready, unauthorized, unavailable
from gridsignal_services.telemetry import Health

_FULL_S = 5
"""When to come back where there is no room."""
_MOST_PACES = 10_000


class Admission:
    """The gateway's front step.

    Bounded: with a good token `max_connections`, a pace for all and one for each organisation, of which `_MOST_PACES`
    are remembered; without one a pace for each network.
    When full: 503 with Retry-After; fan-out keeps its share of the loop in a reconnect storm. Conflates: nothing.
    """

    def __init__(self, credentials: Credentials, health: Health, arrivals: Arrivals[Connection], now_s: float) -> None:
        self._credentials = credentials
        self._health = health
        self._arrivals = arrivals
        settings = credentials.settings
        self._pace = Bucket(settings.handshakes_per_s, settings.handshake_burst, now_s)
        self._pace_of: OrderedDict[str, Bucket] = OrderedDict()

    def admit(
        self, connection: Connection, request: Request, refusal: Problem | None, now: datetime
    ) -> Principal | None:
        """Who it is (None: the hello will say). Raises Problem, or `refusal`, what else is wrong with the request."""
        now_s = asyncio.get_running_loop().time()
        if not self._health.ready:
            raise not_ready()
        try:
            if refusal is not None:
                raise refusal
            principal = self._principal(request, now)
        except Problem:
            self._count_stranger(connection, now_s)
            raise
        if principal is None:
            self._count_stranger(connection, now_s)
        else:
            self._let_in(connection, principal, now_s)
        return principal

    def _count_stranger(self, connection: Connection, now_s: float) -> None:
        wait_s = self._arrivals.wait_s(connection.address, now_s)
        if wait_s > 0:
            raise unavailable("too many handshakes", 1 + int(wait_s))

    def _let_in(self, connection: Connection, principal: Principal, now_s: float) -> None:
        own = self._own_pace(principal, now_s)
        for pace in (own, self._pace):  # its own first: what is refused there takes nothing from the others
            if not pace.take(now_s):
                raise unavailable("too many handshakes", 1 + int(pace.wait_s))
        if self._credentials.has_room(principal) and not self._arrivals.admit(connection):
            raise unavailable("full", _FULL_S)

    def _own_pace(self, principal: Principal, now_s: float) -> Bucket:
        settings = self._credentials.settings
        pace = self._pace_of.pop(principal.name, None)
        if pace is None:
            pace = Bucket(settings.organisation_handshakes_per_s, settings.organisation_handshake_burst, now_s)
        self._pace_of[principal.name] = pace
        if len(self._pace_of) > _MOST_PACES:
            self._pace_of.popitem(last=False)
        return pace

    def _principal(self, request: Request, now: datetime) -> Principal | None:
        tokens = request.headers.get_all("Authorization")
        if not tokens:
            return None
        if (token := bearer_of(tokens)) is None:
            raise unauthorized()
        try:
            return self._credentials.verify(token, now)
        except Unauthorized as untrusted:
            raise unauthorized(untrusted.detail) from None
