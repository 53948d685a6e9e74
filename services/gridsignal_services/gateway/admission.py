"""Who may open a connection: readiness, room, pace, origin and token, all before 101."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import datetime

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from gridsignal_services.access import Principal
from gridsignal_services.arrivals import Arrivals
from gridsignal_services.bucket import Bucket
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.http import said
from gridsignal_services.gateway.session import House
from gridsignal_services.telemetry import Health

_SCHEME = "bearer "
_MOST_PACES = 10_000


class Admission:
    """The gateway's front step.

    Bounded: with a good token `max_connections`, a pace for all and one for each organisation, of which `_MOST_PACES`
    are remembered; without one a pace for each network.
    When full: 503 with Retry-After; fan-out keeps its share of the loop in a reconnect storm. Conflates: nothing.
    """

    def __init__(self, house: House, health: Health, arrivals: Arrivals[Connection], now_s: float) -> None:
        self._house = house
        self._health = health
        self._arrivals = arrivals
        settings = house.settings
        self._pace = Bucket(settings.handshakes_per_s, settings.handshake_burst, now_s)
        self._pace_of: OrderedDict[str, Bucket] = OrderedDict()

    def answer(
        self, connection: Connection, request: Request, accepted: Response, now: datetime
    ) -> tuple[Response, Principal | None]:
        """The answer that lets it in and who it is (None: the hello will say), or the refusal.

        `accepted` is what the protocol of the request says to it.
        """
        ws, now_s = connection.websocket.protocol, asyncio.get_running_loop().time()
        if not self._health.ready:
            return said(ws, 503, self._health.reason or "not ready", Retry_After="1"), None
        response, principal = self._handshake(ws, request, accepted, now)
        if principal is not None and response is accepted:
            return self._with_token(connection, response, principal, now_s)
        wait_s = self._arrivals.wait_s(connection.address, now_s)
        if wait_s > 0:
            return said(ws, 503, "too many handshakes", Retry_After=str(1 + int(wait_s))), None
        return response, None

    def _with_token(
        self, connection: Connection, response: Response, principal: Principal, now_s: float
    ) -> tuple[Response, Principal | None]:
        ws, own = connection.websocket.protocol, self._own_pace(principal, now_s)
        for pace in (own, self._pace):  # its own first: what is refused there takes nothing from the others
            if not pace.take(now_s):
                return said(ws, 503, "too many handshakes", Retry_After=str(1 + int(pace.wait_s))), None
        if self._house.has_room(principal) and not self._arrivals.admit(connection):
            return said(ws, 503, "full", Retry_After="5"), None
        return response, principal

    def _own_pace(self, principal: Principal, now_s: float) -> Bucket:
        settings = self._house.settings
        pace = self._pace_of.pop(principal.name, None)
        if pace is None:
            pace = Bucket(settings.organisation_handshakes_per_s, settings.organisation_handshake_burst, now_s)
        self._pace_of[principal.name] = pace
        if len(self._pace_of) > _MOST_PACES:
            self._pace_of.popitem(last=False)
        return pace

    def _handshake(
        self, ws: ServerProtocol, request: Request, accepted: Response, now: datetime
    ) -> tuple[Response, Principal | None]:
        tokens = request.headers.get_all("Authorization")
        if accepted.status_code not in (101, 200) or not tokens:
            return accepted, None
        principal = None
        if len(tokens) == 1 and tokens[0][: len(_SCHEME)].lower() == _SCHEME:
            principal = self._house.verify(tokens[0][len(_SCHEME) :].strip(), now)
        if principal is None:
            return said(ws, 401, "unauthorized", WWW_Authenticate="Bearer"), None
        return accepted, principal
