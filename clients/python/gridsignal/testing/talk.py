"""One connection to the fake gateway: the protocol's server half over the fake grid's list. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from gridsignal.testing.allowance import Allowance
from gridsignal.testing.signed import Signatures
from gridsignal.testing.world import Refusal, World
from gridsignal_protocol.server.closing import Close
from gridsignal_protocol.server.events import Event, Introduce, Join, Look, Publish, Renew
from gridsignal_protocol.server.limits import Limits, Moment
from gridsignal_protocol.server.replies import received, refused
from gridsignal_protocol.server.session import Session
from gridsignal_protocol.server.subscription import Subscription, Want
from gridsignal_schemas import frames
from gridsignal_schemas.frames import Detail, Frame
from gridsignal_schemas.messages import GridClock, Record
from gridsignal_schemas.rules.access import OFFER_WRITE, SIGNAL_READ, Entitlements, Principal

_SCOPES = frozenset({SIGNAL_READ, OFFER_WRITE})


class _EveryZone(frozenset[str]):
    """A fake grid has whatever zone a test publishes for."""

    def __contains__(self, _: object) -> bool:
        return True


class Talk:
    """One data center's conversation with the fake gateway."""

    def __init__(
        self,
        world: World,
        wall: Callable[[], datetime],
        allowance: Allowance,
        limits: Limits,
        now_s: float,
        grid_clock: GridClock | None = None,
        signatures: Signatures | None = None,
    ) -> None:
        """`now_s` is the machine's time: frames come as fast as sockets carry them, whatever a test's clock says."""
        self._world, self._wall, self._allowance, self._grid_clock = world, wall, allowance, grid_clock
        self._signatures = signatures or Signatures({}, "", is_required=False)
        self._session = Session("fake", limits, self._principal(), Moment(wall(), now_s, now_s))
        self._site: str | None = None
        self.end: Close | None = None
        """How the gateway ends it."""

    @property
    def is_open(self) -> bool:
        """Whether it was welcomed."""
        return self._session.is_open

    def frames_to_send(self) -> list[Frame]:
        """What is to be written now, in this order; each frame once."""
        return self._session.frames_to_send()

    def receive(self, message: str | bytes, now_s: float) -> None:
        """A message came: text, or bytes."""
        now = Moment(self._wall(), now_s, now_s)
        if isinstance(message, str):
            self._session.receive(message.encode(), now)
        else:
            self._session.receive_binary(now)
        while events := self._session.events_received():
            for event in events:
                self._follow(event, now)

    def deliver(self, position: int, record: Record) -> None:
        """A record was published; `position` is the one after it."""
        for subscription in self._session.subscriptions:
            if self._world.wanted(record, subscription.want, self._site):
                self._session.subscriptions.signal(subscription, record, self._world.cursor(position))

    def beat(self) -> None:
        """The heartbeat: where each stream stands."""
        for subscription in self._session.subscriptions:
            self._session.subscriptions.position(subscription, self._world.cursor(len(self._world.published)))

    def _follow(self, event: Event, now: Moment) -> None:
        match event:
            case Introduce():
                self._introduce(event.hello, now)
            case Renew():
                self._session.renewed(event.frame, self._principal())
            case Join():
                self._begin(event.subscription)
            case Publish():
                self._session.answer(self._written(event))
            case Look():
                self._session.answer(self._states(event.query))
            case Close():
                self.end = event
        # welcomed, renewed, left: nothing is kept of it here

    def _introduce(self, hello: frames.Hello, now: Moment) -> None:
        sites, self._site = self._world.sites, hello.site
        zone = sites[hello.site].zone if hello.site is not None and hello.site in sites else None
        theirs = Entitlements(zones=_EveryZone(), sites=frozenset(sites))
        self._session.welcome(self._principal(), theirs, now, zone=zone, grid_clock=self._grid_clock)

    def _begin(self, subscription: Subscription) -> None:
        """All it lacks is told at once: the log is a list."""
        all_of_them, world, want = self._session.subscriptions, self._world, subscription.want
        all_of_them.named(subscription, _sub_of(want))
        found = None if subscription.cursor is None else world.position(subscription.cursor)
        if isinstance(found, int):
            all_of_them.begun(subscription, "full")
            for at, record in world.after(found, want, self._site):
                all_of_them.signal(subscription, record, world.cursor(at))
        elif found is None and not subscription.snapshot:
            all_of_them.begun(subscription, "none")
        else:
            all_of_them.begun(subscription, "snapshot", found)
            for record in world.snapshot(want, self._site):
                all_of_them.signal(subscription, record, None)
        all_of_them.position(subscription, world.cursor(len(world.published)))

    def _written(self, asked: Publish) -> frames.Received | frames.Refused:
        answer = self._too_fast() or self._signatures.refusal(asked) or self._world.write(asked.record)
        if isinstance(answer, Refusal):
            details = list(answer.details)
            refusal = refused(asked, answer.code, retry_after_ms=answer.retry_after_ms, details=details)
            return refusal.model_copy(update={"retriable": answer.retriable})
        receipt, duplicate = answer
        return received(asked, receipt, duplicate=duplicate)

    def _too_fast(self) -> Refusal | None:
        wait_ms = self._allowance.wait_ms(self._wall())
        said = (Detail(code="RATE", message="too many writes of this organisation"),)
        return Refusal("rate", retriable=True, retry_after_ms=wait_ms, details=said) if wait_ms else None

    def _states(self, query: frames.Query) -> frames.States:
        world = self._world
        offers, orders = world.live(self._site)
        if not query.live:
            offers, orders = [], []
        return frames.States(
            id=query.id,
            offers={each: world.offer_state(each) for each in query.offer_ids}
            | {each: world.offer_state(each, live=True) for each in offers},
            orders={each: world.order_state(each) for each in query.order_ids}
            | {each: world.order_state(each, live=True) for each in orders},
            responses={each: world.response_state(each) for each in query.response_ids},
            more=False if query.live else None,
        )

    def _principal(self) -> Principal:
        """Who holds the fake's token, good for an hour from now on."""
        return Principal("participant", self._world.participant, "fake", _SCOPES, self._wall() + timedelta(hours=1))


def _sub_of(want: Want) -> str:
    names = ["*" if each is None else ",".join(sorted(each)) for each in (want.zones, want.facets)]
    return hashlib.sha256(" ".join([want.stream, *names, want.mode]).encode()).hexdigest()[:8]
