"""One client's conversation with the gateway: no socket, no clock, no task. Frames in, effects out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, assert_never

from pydantic import Field, TypeAdapter, ValidationError

from gridsignal_protocol.server.subscriptions import Subscriptions
from gridsignal_schemas.frames import (
    Baseline,
    CloseCode,
    Error,
    Hello,
    Offer,
    Query,
    Reading,
    Refused,
    Respond,
    Subscribe,
    Token,
    TokenAccepted,
    TokenExpiring,
    Unsubscribe,
    Welcome,
    Withdraw,
)
from gridsignal_schemas.messages import GridClock
from gridsignal_schemas.rules.writes import Speaker, Write, WriteRefused, record_of
from gridsignal_services.access import OFFER_WRITE, Entitlements, Principal
from gridsignal_services.access.tokens import Unauthorized
from gridsignal_services.gateway.conduct import Conduct, Pace
from gridsignal_services.gateway.effects import Announce, Close, Effect, Join, Leave, Look, Publish, Send
from gridsignal_services.gateway.refusals import forbidden, malformed, odd, rate, too_fast
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.wishes import fault_of

ClientFrame = Hello | Subscribe | Unsubscribe | Offer | Withdraw | Respond | Baseline | Reading | Query | Token
_IDS_A_FRAME = 32
"""So many ids of a query count as one frame more."""
_FRAMES: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="t")])


@dataclass(frozen=True, slots=True)
class House:
    """What every session of a gateway needs to know; pure functions all."""

    settings: GatewaySettings
    verify: Callable[[str, datetime], Principal]
    """The principal of a token at a wall time. Raises Unauthorized."""
    entitlements: Callable[[Principal], Entitlements]
    zone_of_site: Callable[[str], str]
    grid_clock: Callable[[], GridClock | None]
    has_room: Callable[[Principal], bool]
    """Whether one more connection may speak for an organisation."""


class Session:
    """One data center's conversation with the gateway.

    Bounded: subscriptions, unanswered writes, frames a second and malformed frames, all by the settings.
    When full: refused with a code; a flood or the third malformed frame closes. Conflates: nothing.
    """

    def __init__(self, session_id: str, house: House, principal: Principal | None, now: datetime) -> None:
        self.id = session_id
        self.principal = principal
        self.speaker: Speaker | None = None
        self.entitlements = Entitlements()
        self.instance: str | None = None
        self.is_open = False
        """Whether the hello has been answered."""
        self.is_counted = False
        """Whether it has its place among the organisation's connections."""
        self.subscriptions = Subscriptions(house.settings.max_subscriptions)
        self._house = house
        self._unanswered = 0
        self._notice_sent = False
        self._conduct = Conduct(house.settings, now.timestamp())

    @property
    def organisation(self) -> str:
        """For whom it speaks, once it is known who holds the token."""
        assert self.principal is not None
        return self.principal.organisation

    # --- frames in -----------------------------------------------------------------------------------------------

    def receive(self, text: bytes, now: datetime) -> list[Effect]:
        """What one text message causes; `now` is wall time."""
        pace = self._conduct.frame(now.timestamp(), is_open=self.is_open)
        if pace.is_the_end:
            return [Close(CloseCode.RATE_LIMITED, pace.value)]
        if pace is Pace.TOO_FAST:
            return [Send(too_fast(text, self._conduct.wait_ms))]
        if (refusal := odd(text)) is not None:
            return [Send(refusal), *self._strike(now)]
        try:
            frame = _FRAMES.validate_json(text)
        except ValidationError as invalid:
            return [Send(malformed(text, invalid)), *self._strike(now)]
        return self.on(frame, now)

    def on(self, frame: ClientFrame, now: datetime) -> list[Effect]:
        """What one frame causes."""
        if isinstance(frame, Hello):
            return self._hello(frame, now)
        if not self.is_open:
            return [self._error(frame.id, "hello_first", "expected a hello before anything else"), *self._strike(now)]
        match frame:
            case Subscribe():
                return self._subscribe(frame)
            case Unsubscribe():
                return self._unsubscribe(frame)
            case Offer() | Withdraw() | Respond() | Baseline() | Reading():
                return self._write(frame)
            case Query():
                return self._query(frame, now)
            case Token():
                return self._token(frame, now)
            case _:
                assert_never(frame)

    def receive_binary(self, now: datetime) -> list[Effect]:
        """Clients speak JSON whatever they read."""
        if counted := self.count(now):
            return counted
        return [self._error(None, "bad_frame", "expected a text message, got a binary one"), *self._strike(now)]

    def count(self, now: datetime) -> list[Effect]:
        """A ping, a pong or a fragment, which has no answer of ours; it counts like any other frame."""
        pace = self._conduct.frame(now.timestamp(), is_open=self.is_open)
        return [Close(CloseCode.RATE_LIMITED, pace.value)] if pace.is_the_end else []

    # --- what the shell reports ----------------------------------------------------------------------------------

    def answered(self) -> None:
        """A write or query has its answer: there is room in the window for another."""
        self._unanswered -= 1

    def token_due(self, now: datetime) -> tuple[list[Effect], float]:
        """What the token's age causes, and in how many seconds to look again."""
        if self.principal is None:
            return [], self._house.settings.hello_timeout_s
        left_s = (self.principal.expires_at - now).total_seconds()
        if left_s <= 0:
            return [Close(CloseCode.TOKEN_EXPIRED, "token expired")], 0.0
        until_notice_s = left_s - self._house.settings.token_notice_s
        if until_notice_s > 0:
            return [], until_notice_s
        if self._notice_sent or not self.is_open:
            return [], left_s
        self._notice_sent = True
        return [Send(TokenExpiring(expires_at=self.principal.expires_at))], left_s

    def entitled(self, registry_changed: Callable[[Principal], Entitlements]) -> list[Effect]:
        """Closes where the registry now says something else about this session's organisation."""
        if self.principal is None or not self.is_open:
            return []
        if self._narrowed(registry_changed(self.principal)) == self.entitlements:
            return []
        return [Close(CloseCode.ENTITLEMENTS_CHANGED, "entitlements changed")]

    # --- decisions -----------------------------------------------------------------------------------------------

    def _hello(self, frame: Hello, now: datetime) -> list[Effect]:
        if self.is_open:
            return [self._error(frame.id, "hello_twice", "expected one hello"), *self._strike(now)]
        try:
            if frame.token is not None:
                self.principal = self._house.verify(frame.token, now)
        except Unauthorized as refusal:
            return [Close(CloseCode.UNAUTHORIZED, refusal.detail)]
        if self.principal is None:
            return [Close(CloseCode.UNAUTHORIZED, Unauthorized().detail)]
        entitled = self._house.entitlements(self.principal)
        if frame.site is not None:
            if self.principal.role != "participant" or frame.site not in entitled.sites:
                return [Close(CloseCode.FORBIDDEN, f"{frame.site} is no site of yours")]
            self.speaker = Speaker(self.principal.organisation, frame.site, self._house.zone_of_site(frame.site))
        if not self.is_counted and not self._house.has_room(self.principal):
            return [Close(CloseCode.RATE_LIMITED, "too many connections of this organisation")]
        self.entitlements = self._narrowed(entitled)
        self.is_open = True
        self.instance = frame.instance
        announced: list[Effect] = [Announce(self.principal.organisation, frame.instance)] if frame.instance else []
        return [*announced, Send(self._welcome(frame, self.principal, now))]

    def _narrowed(self, entitled: Entitlements) -> Entitlements:
        if self.speaker is None:
            return entitled
        return Entitlements(zones=entitled.zones, sites=entitled.sites & {self.speaker.site})

    def _welcome(self, frame: Hello, principal: Principal, now: datetime) -> Welcome:
        settings = self._house.settings
        return Welcome(
            id=frame.id,
            session=self.id,
            time=now,
            ping_s=settings.ping_s,
            grid_clock=self._house.grid_clock(),
            max_subscriptions=settings.max_subscriptions,
            offer_window=settings.offer_window,
            token_expires_at=principal.expires_at,
        )

    def _subscribe(self, frame: Subscribe) -> list[Effect]:
        assert self.principal is not None
        if fault := fault_of(frame, self.principal, self.entitlements):
            return [self._error(frame.id, *fault)]
        asked = self.subscriptions.ask(frame)
        return [Send(asked)] if isinstance(asked, Error) else [Join(asked)]

    def _unsubscribe(self, frame: Unsubscribe) -> list[Effect]:
        left, answer = self.subscriptions.leave(frame)
        return [Send(answer)] if left is None else [Leave(left), Send(answer)]

    def _write(self, frame: Write) -> list[Effect]:
        assert self.principal is not None
        offer_id = frame.offer_id if isinstance(frame, Offer | Withdraw) else None
        response_id = frame.response_id if isinstance(frame, Respond) else None
        refusal = self._not_allowed(self.principal)
        if refusal is None and self._unanswered >= self._house.settings.offer_window:
            refusal = rate("too many unanswered frames", 100)
        try:
            if refusal is None and self.speaker is not None:
                record = record_of(frame, self.speaker)
                self._unanswered += 1
                return [Publish(frame.id, record, offer_id, response_id)]
        except WriteRefused as broken:
            refusal = Refused(id=0, code=broken.code, details=broken.details)
        assert refusal is not None
        ids = {"id": frame.id, "offer_id": offer_id, "response_id": response_id}
        return [Send(refusal.model_copy(update=ids))]

    def _query(self, frame: Query, now: datetime) -> list[Effect]:
        if self._unanswered >= self._house.settings.offer_window:
            message = "too many unanswered frames: expected none for 100 ms"
            return [Send(Error(id=frame.id, code="rate", message=message, retriable=True))]
        asked = len(frame.offer_ids) + len(frame.order_ids) + len(frame.response_ids)
        self._conduct.charge(now.timestamp(), asked / _IDS_A_FRAME)
        self._unanswered += 1
        return [Look(frame, self.speaker.site if self.speaker else None)]

    def _not_allowed(self, principal: Principal) -> Refused | None:
        if OFFER_WRITE not in principal.scopes:
            return forbidden(f"the token lacks {OFFER_WRITE}")
        if self.speaker is None:
            return forbidden("this connection speaks for no site: say which in the hello")
        return None

    def _token(self, frame: Token, now: datetime) -> list[Effect]:
        assert self.principal is not None
        try:
            fresh = self._house.verify(frame.token, now)
        except Unauthorized as refusal:
            return [self._error(frame.id, "unauthorized", refusal.detail)]
        if (fresh.role, fresh.organisation) != (self.principal.role, self.principal.organisation):
            return [self._error(frame.id, "forbidden", "the token names somebody else")]
        changed = fresh.scopes != self.principal.scopes
        self.principal = fresh
        self._notice_sent = False
        accepted = Send(TokenAccepted(id=frame.id, token_expires_at=fresh.expires_at))
        return [accepted, Close(CloseCode.ENTITLEMENTS_CHANGED, "scopes changed")] if changed else [accepted]

    # --- refusals ------------------------------------------------------------------------------------------------

    def _strike(self, now: datetime) -> list[Effect]:
        if not self._conduct.strike(now.timestamp()):
            return []
        return [Close(CloseCode.PROTOCOL_ERROR, f"{self._house.settings.strikes} malformed frames")]

    def _error(self, frame_id: int | None, code: str, message: str) -> Send:
        return Send(Error(id=frame_id, code=code, message=message))
