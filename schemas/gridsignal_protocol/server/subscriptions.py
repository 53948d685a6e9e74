"""All subscriptions of one connection: what is asked, how it begins, when it is over.

Facts in, the frame that answers out. Who is told what of a subscription that is GONE: nothing.

Bounded: `most` subscriptions. When full: error `too_many_subscriptions`. Conflates: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from gridsignal_protocol.server.subscription import Recovery, Standing, Subscription, Want
from gridsignal_schemas.frames import Error, Gap, Subscribe, Subscribed, Unsubscribe, Unsubscribed


class Subscriptions:
    """Those that are not gone, by what they want."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_want: dict[Want, Subscription] = {}

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._by_want.values()))

    # --- what the client asks ------------------------------------------------------------------------------------

    def ask(self, frame: Subscribe) -> Subscription | Error:
        """A subscription that may be had; then it is `named`, and `begun` or `refused`."""
        if len(self._by_want) >= self._most:
            message = f"expected at most {self._most} subscriptions"
            return Error(id=frame.id, code="too_many_subscriptions", message=message)
        want = Want.of(frame.stream, frame.filter, frame.mode)
        if want in self._by_want:
            message = "this connection has exactly this subscription"
            return Error(id=frame.id, code="already_subscribed", message=message)
        subscription = self._by_want[want] = Subscription(frame, want)
        return subscription

    def leave(self, frame: Unsubscribe) -> tuple[Subscription | None, Unsubscribed | Error]:
        """The subscription that is over now, if there was one, and the answer."""
        subscription = next((each for each in self._by_want.values() if each.sub == frame.sub), None)
        if subscription is None:
            message = f"expected a sub of yours, got {frame.sub!r:.70}"
            return None, Error(id=frame.id, code="unknown_subscription", message=message)
        self._end(subscription)
        return subscription, Unsubscribed(id=frame.id, sub=frame.sub)

    # --- what the log says ---------------------------------------------------------------------------------------

    def named(self, subscription: Subscription, sub: str) -> None:
        """It has its place."""
        subscription.sub = sub

    def begun(self, subscription: Subscription, recovery: Recovery, reason: str | None) -> list[Subscribed]:
        """How it begins is known: what it lacks follows."""
        if subscription.is_gone or subscription.sub is None:
            return []
        subscription.standing = Standing.REPLAYING
        return [Subscribed(id=subscription.id, sub=subscription.sub, recovery=recovery, reason=reason)]

    def gap(self, subscription: Subscription, reason: str) -> list[Gap]:
        """Something is missing: the state follows."""
        if subscription.is_gone or subscription.sub is None:
            return []
        subscription.standing = Standing.REPLAYING
        return [Gap(sub=subscription.sub, reason=reason)]

    def live(self, subscription: Subscription) -> bool:
        """It stands at its stream's head; whether it is to be handed what comes from now on."""
        if subscription.is_gone:
            return False
        subscription.standing = Standing.LIVE
        return True

    def refused(self, subscription: Subscription, code: str, message: str, *, retriable: bool = False) -> list[Error]:
        """It can't be had, for now or for good."""
        if subscription.is_gone:
            return []
        self._end(subscription)
        return [Error(id=subscription.id, code=code, message=message, retriable=retriable)]

    def end(self) -> None:
        """The connection has ended, and all of them with it."""
        for subscription in self:
            self._end(subscription)

    def _end(self, subscription: Subscription) -> None:
        subscription.standing = Standing.GONE
        del self._by_want[subscription.want]
