"""All subscriptions of one connection: what is asked, how each begins, what it brings, when it is over.

Facts in; what is said lies with everything else that the session has to send. Of what is GONE nothing is said.

Bounded: `most` subscriptions. When full: error `too_many_subscriptions`. Conflates: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from gridsignal_protocol.server.subscription import Standing, Subscription, Want
from gridsignal_schemas.frames import (
    Error,
    Frame,
    Gap,
    PositionFrame,
    Recovery,
    Signal,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from gridsignal_schemas.values import Record


class Subscriptions:
    """Those that are not gone, by what they want."""

    def __init__(self, most: int, out: list[Frame]) -> None:
        """`out` is where the session's frames wait to be sent."""
        self._most, self._out = most, out
        self._by_want: dict[Want, Subscription] = {}

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._by_want.values()))

    # --- what the client asks ------------------------------------------------------------------------------------

    def ask(self, frame: Subscribe) -> Subscription | None:
        """A subscription that may be had, if it is one; then it is `named`, and `begun` or `refused`."""
        want = Want.of(frame.stream, frame.filter, frame.mode)
        if len(self._by_want) >= self._most:
            message = f"expected at most {self._most} subscriptions"
            self._out.append(Error(id=frame.id, code="too_many_subscriptions", message=message))
        elif want in self._by_want:
            message = "this connection has exactly this subscription"
            self._out.append(Error(id=frame.id, code="already_subscribed", message=message))
        else:
            subscription = self._by_want[want] = Subscription(frame, want)
            return subscription
        return None

    def leave(self, frame: Unsubscribe) -> Subscription | None:
        """The subscription that is over now, if there was one."""
        subscription = next((each for each in self._by_want.values() if each.sub == frame.sub), None)
        if subscription is None:
            message = f"expected a sub of yours, got {frame.sub!r:.70}"
            self._out.append(Error(id=frame.id, code="unknown_subscription", message=message))
        else:
            self._end(subscription)
            self._out.append(Unsubscribed(id=frame.id, sub=frame.sub))
        return subscription

    # --- what the log says ---------------------------------------------------------------------------------------

    def named(self, subscription: Subscription, sub: str) -> None:
        """It has its place."""
        subscription.sub = sub

    def begun(self, subscription: Subscription, recovery: Recovery, reason: str | None = None) -> None:
        """How it begins is known: what it lacks follows."""
        if not subscription.is_gone and subscription.sub is not None:
            subscription.standing = Standing.REPLAYING
            self._out.append(Subscribed(id=subscription.id, sub=subscription.sub, recovery=recovery, reason=reason))

    def gap(self, subscription: Subscription, reason: str) -> None:
        """Something is missing: the state follows."""
        if not subscription.is_gone and subscription.sub is not None:
            subscription.standing = Standing.REPLAYING
            self._out.append(Gap(sub=subscription.sub, reason=reason))

    def live(self, subscription: Subscription) -> bool:
        """It stands at its stream's head; whether it is to be handed what comes from now on."""
        if not subscription.is_gone:
            subscription.standing = Standing.LIVE
        return not subscription.is_gone

    def signal(self, subscription: Subscription, record: Record, cursor: str | None) -> None:
        """A record for it, where no bytes are shared; without a cursor inside a state."""
        if not subscription.is_gone and subscription.sub is not None:
            body = record.model_dump(mode="json", exclude_none=True)
            self._out.append(Signal(sub=subscription.sub, cursor=cursor, type=record.record_name, body=body))

    def position(self, subscription: Subscription, cursor: str) -> None:
        """Where it stands: what it lacked was sent, or nothing has come for a while. Likewise."""
        if not subscription.is_gone and subscription.sub is not None:
            subscription.standing = Standing.LIVE
            self._out.append(PositionFrame(sub=subscription.sub, cursor=cursor))

    def refused(self, subscription: Subscription, code: str, message: str, *, retriable: bool = False) -> None:
        """It can't be had, for now or for good."""
        if not subscription.is_gone:
            self._end(subscription)
            self._out.append(Error(id=subscription.id, code=code, message=message, retriable=retriable))

    def end(self) -> None:
        """The connection has ended, and all of them with it."""
        for subscription in self:
            self._end(subscription)

    def _end(self, subscription: Subscription) -> None:
        subscription.standing = Standing.GONE
        del self._by_want[subscription.want]
