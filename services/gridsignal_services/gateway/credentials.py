"""What a gateway knows of those who come: whose token it is, what is theirs, whether there is room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gridsignal_protocol.server.limits import Moment
from gridsignal_protocol.server.session import Session
from gridsignal_schemas.frames import Hello, Token
from gridsignal_schemas.messages import GridClock
from gridsignal_services.access import Entitlements, Principal
from gridsignal_services.access.tokens import Unauthorized
from gridsignal_services.gateway.settings import GatewaySettings


@dataclass(frozen=True, slots=True)
class Credentials:
    """What every session of a gateway has to be told; pure functions all."""

    settings: GatewaySettings
    verify: Callable[[str, datetime], Principal]
    """The principal of a token at a wall time. Raises Unauthorized."""
    entitlements: Callable[[Principal], Entitlements]
    zone_of_site: Callable[[str], str]
    grid_clock: Callable[[], GridClock | None]
    has_room: Callable[[Principal], bool]
    """Whether one more connection may speak for an organisation."""

    def introduce(self, session: Session, hello: Hello, now: Moment, *, is_counted: bool) -> None:
        """Tells a session who said its hello; `is_counted` where it has its place among their connections already."""
        try:
            principal = session.principal if hello.token is None else self.verify(hello.token, now.wall)
            if principal is None:
                raise Unauthorized
        except Unauthorized as refusal:
            session.turn_away(refusal.detail)
            return
        entitled = self.entitlements(principal)
        session.welcome(
            principal,
            entitled,
            now,
            zone=self.zone_of_site(hello.site) if hello.site in entitled.sites else None,
            has_room=is_counted or self.has_room(principal),
            grid_clock=self.grid_clock(),
        )

    def renew(self, session: Session, frame: Token, now: Moment) -> None:
        """Tells a session whose the token is that it was shown."""
        try:
            session.renewed(frame, self.verify(frame.token, now.wall))
        except Unauthorized as refusal:
            session.not_renewed(frame, refusal.detail)
