"""A data center's conversation with the gateway over all its connections: no socket, no clock, no task.

Frames go in with the number of the connection they came on, effects come out, and a shell performs them.
Frames of a connection that has ended are fenced off: its number is not the current one any more, so that nothing is
delivered twice or beside its place. After a reconnect the session subscribes again from where each feed stands, and
sends again what the log has not acknowledged.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime

from gridsignal.effects import (
    Acknowledge,
    Answered,
    Effect,
    Hand,
    Move,
    RefreshToken,
    RetryFeed,
    Send,
    Stop,
    Welcomed,
)
from gridsignal.errors import NotPermitted, SubscriptionRefused, UsageError, refusal
from gridsignal.feed import OVER, Feed, Standing
from gridsignal.window import Answer, Entry, Settled, Window
from gridsignal_schemas import frames
from gridsignal_schemas.messages import DispatchOrder

_REMEMBERED_ORDERS = 4096  # a site has a handful; a second RECEIVED for a forgotten one is only a repeat
_RETRY_S = 1.0  # after an error that says it is retriable and names no time


class Session:
    """One data center's conversation with the gateway."""

    def __init__(self, client: str, *, site: str | None = None, instance: str | None = None) -> None:
        self.client, self.site, self.instance = client, site, instance
        self.feeds: list[Feed] = []
        self._ids = itertools.count(1)
        self.window = Window(self._ids)
        self._current: int | None = None  # the number of the connection that counts
        self._welcome = False
        self._by_id: dict[int, Feed] = {}  # subscribe and unsubscribe requests under way
        self._by_sub: dict[str, Feed] = {}
        self._queries: dict[int, frames.Query] = {}
        self._acknowledged: dict[str, int] = {}  # order id -> newest revision answered RECEIVED

    @property
    def connected(self) -> bool:
        """The current connection was welcomed."""
        return self._welcome

    @property
    def settled(self) -> bool:
        """Every feed that is not parked stands where its stream stands, and nothing was asked without an answer."""
        standing = all(feed.parked or (feed.standing is Standing.ON and not feed.in_snapshot) for feed in self.feeds)
        return self._welcome and standing and not self._by_id and not self._queries and self.window.empty

    # --- connections ---------------------------------------------------------------------------------------------

    def hello(self) -> frames.Hello:
        """The first frame of any connection."""
        return frames.Hello(id=next(self._ids), client=self.client, instance=self.instance, site=self.site)

    def begin(self, connection: int, welcome: frames.Welcome, now: datetime) -> list[Effect]:
        """A connection was welcomed and counts from now on; an older one is fenced off and resumed here."""
        if self._current is not None:
            self.lost(self._current)
        self._current, self._welcome = connection, True
        self.window.size = max(1, welcome.offer_window)
        effects: list[Effect] = [Welcomed(welcome)]
        for feed in self.feeds:
            effects += self._ask(feed)
        effects += [Send(query) for query in self._queries.values()]
        return effects + self.due(now)

    def lost(self, connection: int, *, resume: bool = True) -> None:
        """A connection has ended. What it still delivers is ignored."""
        if connection != self._current:
            return
        self._current, self._welcome = None, False
        self._by_id.clear()
        self._by_sub.clear()
        self.window.lost()
        for feed in self.feeds:
            feed.lost(resume=resume)

    # --- what the user wants -------------------------------------------------------------------------------------

    def subscribe(self, feed: Feed) -> list[Effect]:
        """Adds a feed. Raises UsageError where the same is subscribed already: one iterator can be shared."""
        if any(feed.group == other.group for other in self.feeds):
            raise UsageError(f"expected one subscription to {feed.stream!r} with this filter and mode, got a second")
        self.feeds.append(feed)
        return self._ask(feed)

    def unsubscribe(self, feed: Feed) -> list[Effect]:
        """Ends a feed for good."""
        if feed not in self.feeds:
            return []
        self.feeds.remove(feed)
        return self._leave(feed)

    def park(self, feed: Feed) -> list[Effect]:
        """The user's queue is full: from here on the log is the queue."""
        if feed.parked or feed.in_snapshot or feed.position is None or feed.standing is not Standing.ON:
            return []
        feed.parked = True
        return self._leave(feed)

    def unpark(self, feed: Feed) -> list[Effect]:
        """There is room again: resume from where the feed was parked."""
        if not feed.parked or feed not in self.feeds:
            return []
        feed.parked = False
        return self._ask(feed)

    def subscribe_again(self, feed: Feed) -> list[Effect]:
        """The time of a RetryFeed is over."""
        return self._ask(feed) if feed in self.feeds else []

    def entrust(self, entry: Entry, now: datetime) -> list[Effect]:
        """Takes an entry that lies in the outbox."""
        self.window.entrust(entry)
        return self.due(now)

    def again(self, seq: int, now: datetime) -> list[Effect]:
        """The time of a Retry is over."""
        self.window.again(seq)
        return self.due(now)

    def query(
        self, offers: Iterable[str], orders: Iterable[str], responses: Iterable[str], live: bool = False
    ) -> tuple[int, list[Effect]]:
        """Asks where things stand; the number names the answer. Asked again after a reconnect."""
        number = next(self._ids)
        query = frames.Query(
            id=number, offer_ids=list(offers), order_ids=list(orders), response_ids=list(responses), live=live
        )
        self._queries[number] = query
        return number, [Send(query)] if self._welcome else []

    def forget_query(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        self._queries.pop(number, None)

    def token(self, token: str) -> list[Effect]:
        """Shows the gateway a fresh token."""
        return [Send(frames.Token(id=next(self._ids), token=token))] if self._welcome else []

    def due(self, now: datetime) -> list[Effect]:
        """What can be sent now of what was entrusted, and what has become too late."""
        if not self._welcome:
            return []
        return [step if isinstance(step, Settled) else Send(step) for step in self.window.due(now)]

    # --- what the gateway says -----------------------------------------------------------------------------------

    def receive(self, connection: int, frame: frames.Frame, now: datetime) -> list[Effect]:
        """A frame of a connection; of any but the current one it is ignored."""
        if connection != self._current:
            return []
        match frame:
            case frames.Signal() | frames.PositionFrame() | frames.Gap():
                return self._fed(frame)
            case frames.Subscribed():
                return self._subscribed(frame)
            case frames.Unsubscribed():
                return self._unsubscribed(frame)
            case frames.Received():
                return self._answered(self.window.received(frame), now)
            case frames.Refused():
                return self._answered(self.window.refused(frame), now)
            case frames.States() if frame.id in self._queries:
                del self._queries[frame.id]
                return [Answered(frame.id, frame)]
            case frames.States():
                return self._answered(self.window.states(frame), now)
            case frames.Error():
                return self._error(frame)
            case frames.TokenExpiring():
                return [RefreshToken()]
            case frames.Drain():
                return [Move(frame.reconnect_after_ms / 1000)]
        return []  # conflated, lag, token_accepted: nothing follows

    def _fed(self, frame: frames.Signal | frames.PositionFrame | frames.Gap) -> list[Effect]:
        feed = self._by_sub.get(frame.sub)
        if feed is None:
            return []  # it was unsubscribed while this was on its way
        match frame:
            case frames.Signal():
                handed = feed.signal(frame)
            case frames.PositionFrame():
                handed = feed.positioned(frame.cursor)
            case frames.Gap():
                handed = feed.gap(frame.reason)
        acknowledged = [
            Acknowledge(one.message)
            for one in handed
            if isinstance(one.message, DispatchOrder) and self._owes_received(one.message)
        ]
        return [*acknowledged, *(Hand(feed, one) for one in handed)]

    def _owes_received(self, order: DispatchOrder) -> bool:
        if order.site != self.site or order.state in OVER:
            self._acknowledged.pop(order.order_id, None)
            return False
        if self._acknowledged.get(order.order_id, 0) >= order.revision:
            return False
        self._acknowledged[order.order_id] = order.revision
        if len(self._acknowledged) > _REMEMBERED_ORDERS:
            del self._acknowledged[next(iter(self._acknowledged))]
        return True

    def _subscribed(self, frame: frames.Subscribed) -> list[Effect]:
        feed = self._by_id.pop(frame.id, None)
        if feed is None:
            return []
        handed = feed.subscribed(frame)
        if feed not in self.feeds:  # the user left while the answer was on its way
            return self._leave(feed)
        self._by_sub[frame.sub] = feed
        return [Hand(feed, one) for one in handed]

    def _unsubscribed(self, frame: frames.Unsubscribed) -> list[Effect]:
        feed = self._by_id.pop(frame.id, None)
        if feed is None:
            return []
        feed.standing = Standing.OFF
        return self._ask_same_group(feed)

    def _ask_same_group(self, left: Feed) -> list[Effect]:
        # a feed that was added while an equal one was still being left
        return [effect for feed in self.feeds if feed.group == left.group for effect in self._ask(feed)]

    def _error(self, frame: frames.Error) -> list[Effect]:
        if frame.id is None:
            return []
        if self._queries.pop(frame.id, None) is not None:
            return [Answered(frame.id, refusal(frame.code, (), f"the query ({frame.message})"))]
        feed = self._by_id.pop(frame.id, None)
        if feed is None:
            return []
        feed.standing = Standing.OFF
        if feed not in self.feeds:
            return self._ask_same_group(feed)
        if frame.retriable:
            return [RetryFeed(_RETRY_S, feed)]
        self.feeds.remove(feed)
        kind = NotPermitted if frame.code == "forbidden" else SubscriptionRefused
        return [Stop(feed, kind(frame.code, what=f"the subscription to {feed.stream!r} ({frame.message})"))]

    def _answered(self, answers: list[Answer], now: datetime) -> list[Effect]:
        return [*answers, *self.due(now)] if answers else []

    def _ask(self, feed: Feed) -> list[Effect]:
        if not self._welcome or feed.parked or feed.standing is not Standing.OFF:
            return []
        if any(other is not feed and other.group == feed.group for other in self._by_id.values()):
            return []  # the same group is still being left; its `unsubscribed` asks for this one
        request_id = next(self._ids)
        self._by_id[request_id] = feed
        return [Send(feed.ask(request_id))]

    def _leave(self, feed: Feed) -> list[Effect]:
        if not self._welcome or feed.standing is not Standing.ON or feed.sub is None:
            return []  # asked: the answer finds the feed gone; leaving: under way; off: nothing to leave
        self._by_sub.pop(feed.sub, None)
        request_id = next(self._ids)
        self._by_id[request_id] = feed
        frame = frames.Unsubscribe(id=request_id, sub=feed.sub)
        feed.standing, feed.sub = Standing.LEAVING, None
        return [Send(frame)]
