"""A data center's conversation with the gateway over all its connections: no socket, no clock, no task.

What happened goes in, one call after the other. What follows waits to be fetched: events of the conversation
(`events_received`), frames of each connection (`frames_to_send`).
Frames of a connection that does not count any more are fenced off, so that nothing is delivered twice or beside its
place. After a reconnect each subscription is asked for again from where it stands, and what the log has not
acknowledged is sent again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from gridsignal_protocol.client.entry import Entry, Refusal
from gridsignal_protocol.client.events import Answered, Event, Move, RefreshToken
from gridsignal_protocol.client.messages import Message
from gridsignal_protocol.client.reader import Reader
from gridsignal_protocol.client.subscription import Subscription
from gridsignal_protocol.client.subscriptions import Step, Subscriptions
from gridsignal_protocol.client.window import Window
from gridsignal_schemas import frames


class Moment(NamedTuple):
    """Now, by both clocks that matter."""

    grid: datetime
    """Grid time, with which deadlines are compared."""
    steady_s: float
    """Seconds that nobody sets: what waiting is measured in."""


class Connection:
    """One socket's part of a conversation: a hello, a welcome, then everything until it is fenced off."""

    def __init__(self, conversation: Conversation, hello: frames.Hello) -> None:
        self._conversation = conversation
        self._out: list[frames.Frame] = [hello]

    def receive(self, frame: frames.Frame, now: Moment) -> None:
        """A frame came; of a connection that does not count it is ignored.

        A welcome makes it the one that counts, and fences the one before off.
        """
        if isinstance(frame, frames.Welcome):
            self._conversation.welcomed(self, frame, now)
        else:
            self._conversation.received(self, frame, now)

    def closed(self, *, resume: bool) -> None:
        """It has ended; `resume` as the plan for its close code says."""
        self._conversation.lost(self, resume=resume)

    def send(self, frame: frames.Frame) -> None:
        self._out.append(frame)

    def frames_to_send(self) -> list[frames.Frame]:
        """What is to be written now, in this order; each frame once."""
        out, self._out = self._out, []
        return out


class Conversation:
    """The client half of `gridsignal.v1`: every call is something that happened."""

    def __init__(self, client: str, *, site: str | None = None, instance: str | None = None) -> None:
        self.client, self.site, self.instance = client, site, instance
        self._ids = itertools.count(1)
        self._window = Window(self._ids)
        self._subscriptions = Subscriptions(self._ids, site)
        self._queries: dict[int, frames.Query] = {}
        self._current: Connection | None = None
        self._events: list[Event] = []

    @property
    def current(self) -> Connection | None:
        """The connection that counts: welcomed, and not ended."""
        return self._current

    @property
    def readers(self) -> list[Reader]:
        """Those that have not ended."""
        return self._subscriptions.readers

    @property
    def zone(self) -> str | None:
        """Where the site lies, as the newest welcome says."""
        return self._subscriptions.zone

    @property
    def is_settled(self) -> bool:
        """Every subscription that is not parked is live, and nothing was asked or written without an answer."""
        answered = self._window.empty and not self._queries
        return self._current is not None and answered and self._subscriptions.are_settled

    @property
    def next_due_s(self) -> float | None:
        """When `tick` is to be called, by the steady clock; None while nothing waits for its time."""
        due_s = (self._window.next_due_s, self._subscriptions.next_due_s)
        return min((each for each in due_s if each is not None), default=None)

    def events_received(self) -> list[Event]:
        """What came about since the last call, in order; each event once."""
        events, self._events = self._events, []
        return events

    # --- connections ---------------------------------------------------------------------------------------------

    def connect(self) -> Connection:
        """A socket was opened: a hello is its first frame."""
        hello = frames.Hello(id=next(self._ids), client=self.client, instance=self.instance, site=self.site)
        return Connection(self, hello)

    def welcomed(self, connection: Connection, welcome: frames.Welcome, now: Moment) -> None:
        """From now on this connection counts; see `Connection.receive`."""
        if connection is self._current:
            return
        if self._current is not None:
            self.lost(self._current, resume=True)
        self._current = connection
        self._window.size = max(1, welcome.offer_window)
        self._follow(self._subscriptions.connected(welcome.zone))
        self._follow([*self._queries.values()])
        self._follow(self._window.due(now.grid))

    def lost(self, connection: Connection, *, resume: bool) -> None:
        """A connection has ended; see `Connection.closed`."""
        if connection is not self._current:
            return
        self._current = None
        self._window.lost()
        self._subscriptions.lost(resume=resume)

    # --- what the program wants ----------------------------------------------------------------------------------

    def subscribe(self, subscriptions: Iterable[Subscription], *, limit: int) -> Reader:
        """A reader of these subscriptions. Raises AlreadySubscribed; then nothing has begun."""
        reader = Reader(list(subscriptions), limit=limit)
        self._follow(self._subscriptions.add(reader))
        return reader

    def take(self, reader: Reader) -> Message | None:
        """The reader's next message, None where nothing waits; with room again it goes on where it was parked."""
        message, steps = self._subscriptions.take(reader)
        self._follow(steps)
        return message

    def leave(self, reader: Reader) -> None:
        """Ends a reader for good; what it has not taken can still be."""
        self._follow(self._subscriptions.end(reader))

    def entrust(self, entry: Entry, now: Moment) -> None:
        """Takes an entry that lies in the outbox."""
        self._window.entrust(entry)
        self._write(now)

    def expire(self, seq: int) -> None:
        """The entry's deadline has passed, by grid time: if it was never sent, it never will be."""
        self._follow(self._window.expire(seq))

    def query(
        self, offers: Iterable[str], orders: Iterable[str], responses: Iterable[str], *, live: bool = False
    ) -> int:
        """Asks where things stand; the number names the answer. Asked again after a reconnect."""
        number = next(self._ids)
        query = frames.Query(
            id=number, offer_ids=list(offers), order_ids=list(orders), response_ids=list(responses), live=live
        )
        self._queries[number] = query
        self._follow([query])
        return number

    def forget_query(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        self._queries.pop(number, None)

    def show_token(self, token: str) -> None:
        """Shows the gateway a fresh token."""
        self._follow([frames.Token(id=next(self._ids), token=token)])

    def tick(self, now: Moment) -> None:
        """Time has passed: what was refused for now and is due is tried again."""
        self._follow(self._subscriptions.tick(now.steady_s))
        self._window.release(now.steady_s)
        self._write(now)

    # --- what the gateway says -----------------------------------------------------------------------------------

    def received(self, connection: Connection, frame: frames.Frame, now: Moment) -> None:
        """A frame of a connection; see `Connection.receive`."""
        if connection is not self._current:
            return
        match frame:
            case frames.Signal() | frames.PositionFrame() | frames.Gap():
                self._follow(self._subscriptions.feed(frame))
            case frames.Subscribed():
                self._follow(self._subscriptions.subscribed(frame))
            case frames.Unsubscribed():
                self._follow(self._subscriptions.unsubscribed(frame))
            case frames.Received():
                self._follow(self._window.received(frame))
                self._write(now)
            case frames.Refused():
                self._follow(self._window.refused(frame, now.steady_s))
                self._write(now)
            case frames.States() if self._queries.pop(frame.id, None) is not None:
                self._events.append(Answered(frame.id, frame))
            case frames.States():
                self._follow(self._window.states(frame))
                self._write(now)
            case frames.Error():
                self._error(frame, now)
            case frames.TokenExpiring():
                self._events.append(RefreshToken())
            case frames.Drain():
                self._events.append(Move(frame.reconnect_after_ms / 1000))
        # conflated, lag, token_accepted: nothing follows

    def _error(self, frame: frames.Error, now: Moment) -> None:
        if frame.id is not None and self._queries.pop(frame.id, None) is not None:
            self._events.append(Answered(frame.id, Refusal.of(frame, "the query")))
            return
        self._window.unknown(frame, now.steady_s)
        self._follow(self._subscriptions.refused(frame, now.steady_s))

    def _write(self, now: Moment) -> None:
        """What can be sent now of what was entrusted, and what has become too late; only while connected."""
        if self._current is not None:
            self._follow(self._window.due(now.grid))

    def _follow(self, steps: Iterable[Step]) -> None:
        """Frames to the connection that counts; without one they are not sent, and what matters will be repeated."""
        for step in steps:
            if not isinstance(step, frames.Frame):
                self._events.append(step)
            elif self._current is not None:
                self._current.send(step)
