"""One data center's connection to the gateway: no socket, no clock, no task.

What happened goes in, one call after the other: a frame, what the registry, the log or the ledger says, the time.
What follows waits to be fetched: `frames_to_send`, then `events_received`, which say what is to be found out or done.
"""

from __future__ import annotations

from gridsignal_protocol.server import closing
from gridsignal_protocol.server.closing import Close
from gridsignal_protocol.server.conduct import Conduct, Pace
from gridsignal_protocol.server.events import Event, Introduce, Join, Leave, Look, Renew, Renewed, Welcomed
from gridsignal_protocol.server.life import Life
from gridsignal_protocol.server.limits import Limits, Moment
from gridsignal_protocol.server.reading import read, too_fast
from gridsignal_protocol.server.subscriptions import Subscriptions
from gridsignal_protocol.server.window import Window
from gridsignal_protocol.server.wishes import refusal_of
from gridsignal_schemas.frames import (
    ClientFrame,
    Error,
    Frame,
    Hello,
    Query,
    Received,
    Refused,
    States,
    Subscribe,
    Token,
    TokenAccepted,
    Unsubscribe,
    Welcome,
    Write,
)
from gridsignal_schemas.messages import GridClock
from gridsignal_schemas.rules.access import Entitlements, Principal
from gridsignal_schemas.rules.writes import Speaker

_IDS_A_FRAME = 32
"""So many ids of a query count as one frame more."""


class Session:
    """The server half of `gridsignal.v1`: every call is something that happened.

    Bounded: subscriptions, unanswered writes, frames a second and malformed frames, all by the limits.
    When full: refused with a code; a flood or the third malformed frame closes. Conflates: nothing.
    """

    def __init__(self, session_id: str, limits: Limits, principal: Principal | None, now: Moment) -> None:
        self.id = session_id
        self.principal = principal
        """Who holds the token of the upgrade, then of the hello; None while nobody has shown one."""
        self.entitlements = Entitlements()
        self.is_open = False
        """Whether the hello has been answered."""
        self._limits = limits
        self._hello: Hello | None = None
        self._speaker: Speaker | None = None
        self._window = Window(limits.offer_window)
        self._life = Life(limits, now)
        self._conduct = Conduct(limits, now.steady_s)
        self._out: list[Frame] = []
        self.subscriptions = Subscriptions(limits.max_subscriptions, self._out)
        self._events: list[Event] = []

    @property
    def unanswered(self) -> int:
        """Writes and queries that wait for their answers."""
        return self._window.unanswered

    def frames_to_send(self) -> list[Frame]:
        """What is to be written now, in this order; each frame once."""
        out = self._out.copy()
        self._out.clear()
        return out

    def events_received(self) -> list[Event]:
        """What came about since the last call, in order; each event once."""
        events, self._events = self._events, []
        return events

    # --- what the client says ------------------------------------------------------------------------------------

    def receive(self, text: bytes, now: Moment) -> None:
        """A text message came."""
        pace = self._conduct.frame(now.steady_s, is_open=self.is_open)
        if isinstance(pace, Close):
            self._follow(pace)
        elif pace is Pace.TOO_FAST:
            self._follow(too_fast(text, self._conduct.wait_ms))
        elif isinstance(frame := read(text), Error | Refused):
            self._strike(frame, now)
        else:
            self.received(frame, now)

    def receive_binary(self, now: Moment) -> None:
        """A binary message came: clients speak JSON whatever they read."""
        if self.count(now):
            self._strike(Error(code="bad_frame", message="expected a text message, got a binary one"), now)

    def count(self, now: Moment) -> bool:
        """A ping, a pong or a fragment, which has no answer of ours; counts like any other frame. False: the end."""
        pace = self._conduct.frame(now.steady_s, is_open=self.is_open)
        if isinstance(pace, Close):
            self._follow(pace)
        return not isinstance(pace, Close)

    def received(self, frame: ClientFrame, now: Moment) -> None:
        """A frame that was read came."""
        if isinstance(frame, Hello):
            self._greet(frame, now)
            return
        if not self.is_open:
            message = "expected a hello before anything else"
            self._strike(Error(id=frame.id, code="hello_first", message=message), now)
            return
        match frame:
            case Subscribe():
                self._subscribe(frame)
            case Unsubscribe():
                self._unsubscribe(frame)
            case Query():
                self._query(frame, now)
            case Token():
                self._follow(Renew(frame))
            case _:
                self._write(frame)

    # --- who it is -----------------------------------------------------------------------------------------------

    def turn_away(self, detail: str) -> None:
        """The hello's token lets nobody in, or there is none."""
        self._follow(closing.unauthorized(detail))

    def welcome(
        self,
        principal: Principal,
        entitled: Entitlements,
        now: Moment,
        *,
        zone: str | None = None,
        has_room: bool = True,
        grid_clock: GridClock | None = None,
    ) -> None:
        """The hello's principal is known, what is theirs, the zone of the hello's site if it is one of those, and
        whether there is room for one more connection of theirs.
        """
        assert self._hello is not None, "expected a hello before its welcome"
        hello, self.principal = self._hello, principal
        if hello.site is not None:
            if principal.role != "participant" or hello.site not in entitled.sites or zone is None:
                self._follow(closing.no_site_of_yours(hello.site))
                return
            self._speaker = Speaker(principal.organisation, hello.site, zone)
        if not has_room:
            self._follow(closing.TOO_MANY_CONNECTIONS)
            return
        self.entitlements = self._narrowed(entitled)
        self.is_open = True
        welcome = Welcome(
            id=hello.id,
            session=self.id,
            time=now.wall,
            ping_s=self._limits.ping_s,
            grid_clock=grid_clock,
            max_subscriptions=self._limits.max_subscriptions,
            offer_window=self._limits.offer_window,
            token_expires_at=principal.expires_at,
            participant=None if self._speaker is None else self._speaker.participant,
            zone=None if self._speaker is None else self._speaker.zone,
        )
        self._follow(welcome, Welcomed(hello.instance))

    def renewed(self, frame: Token, fresh: Principal) -> None:
        """The token that was shown is good."""
        assert self.principal is not None
        if (fresh.role, fresh.organisation) != (self.principal.role, self.principal.organisation):
            self._error(frame.id, "forbidden", "the token names somebody else")
            return
        has_changed = fresh.scopes != self.principal.scopes
        self.principal = fresh
        self._life.renewed()
        self._follow(TokenAccepted(id=frame.id, token_expires_at=fresh.expires_at))
        self._follow(closing.SCOPES_CHANGED if has_changed else Renewed())

    def not_renewed(self, frame: Token, detail: str) -> None:
        """The token that was shown lets nobody in; the one before still counts."""
        self._error(frame.id, "unauthorized", detail)

    def entitled(self, entitled: Entitlements) -> None:
        """What the registry says belongs to its organisation, changed or not."""
        if self.is_open and self._narrowed(entitled) != self.entitlements:
            self._follow(closing.ENTITLEMENTS_CHANGED)

    # --- how long it lasts ---------------------------------------------------------------------------------------

    def tick(self, now: Moment, heard_s: float) -> float:
        """Time has passed; the last sign of life was at `heard_s` of the lived seconds. In how many to look again."""
        expires_at = None if self.principal is None else self.principal.expires_at
        due, again_s = self._life.tick(now, heard_s, expires_at, is_open=self.is_open)
        self._follow(*due)
        return again_s

    # --- what the log says; of subscriptions it is told to `subscriptions` ----------------------------------------

    def answer(self, frame: Received | Refused | States | Error) -> None:
        """A write or query has its answer: there is room in the window for another."""
        self._window.answered()
        self._follow(frame)

    def ended(self) -> None:
        """Nothing more is sent: everything it had subscribed to is gone."""
        self.subscriptions.end()

    # --- decisions -----------------------------------------------------------------------------------------------

    def _greet(self, hello: Hello, now: Moment) -> None:
        if self._hello is not None:
            self._strike(Error(id=hello.id, code="hello_twice", message="expected one hello"), now)
            return
        self._hello = hello
        self._follow(Introduce(hello))

    def _narrowed(self, entitled: Entitlements) -> Entitlements:
        if self._speaker is None:
            return entitled
        return Entitlements(zones=entitled.zones, sites=entitled.sites & {self._speaker.site})

    def _subscribe(self, frame: Subscribe) -> None:
        assert self.principal is not None
        if refused := refusal_of(frame, self.principal, self.entitlements):
            self._follow(refused)
        elif (asked := self.subscriptions.ask(frame)) is not None:
            self._follow(Join(asked))

    def _unsubscribe(self, frame: Unsubscribe) -> None:
        if (left := self.subscriptions.leave(frame)) is not None:
            self._follow(Leave(left))

    def _write(self, frame: Write) -> None:
        assert self.principal is not None
        self._follow(self._window.write(frame, self.principal, self._speaker))

    def _query(self, frame: Query, now: Moment) -> None:
        look = self._window.query(frame, self._speaker)
        if isinstance(look, Look):
            asked = len(frame.offer_ids) + len(frame.order_ids) + len(frame.response_ids)
            self._conduct.charge(now.steady_s, asked / _IDS_A_FRAME)
        self._follow(look)

    # --- what follows --------------------------------------------------------------------------------------------

    def _follow(self, *steps: Frame | Event) -> None:
        for step in steps:
            if isinstance(step, Frame):
                self._out.append(step)
            else:
                self._events.append(step)

    def _strike(self, refusal: Frame, now: Moment) -> None:
        self._follow(refusal)
        if self._conduct.strike(now.steady_s):
            self._follow(closing.malformed(self._limits.strikes))

    def _error(self, frame_id: int, code: str, message: str) -> None:
        self._follow(Error(id=frame_id, code=code, message=message))
