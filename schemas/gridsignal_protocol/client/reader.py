"""What waits for one iterator of a program: several subscriptions in the order they arrive, and where to come back to.

Bounded: `limit` messages (and one snapshot, which has no cursor to come back to).
When full: its wire subscriptions are ended and the log keeps what comes; they resume from the last message taken in,
once half of the queue is free. So a slow reader costs neither memory nor a connection, and pings, receipts and other
subscriptions never wait behind him.
Conflates: nothing; in mode "latest" the gateway replaces older values of a series by newer ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gridsignal_protocol.client.entry import Refusal
from gridsignal_protocol.client.messages import Message
from gridsignal_protocol.client.subscription import Handed, Subscription


class Reader:
    """One reader's subscriptions and queue."""

    def __init__(self, subscriptions: Sequence[Subscription], *, limit: int) -> None:
        self.subscriptions = list(subscriptions)
        self.has_ended = False
        """Nothing more will come; what is in the queue is still handed on."""
        self.refusal: Refusal | None = None
        """Why it ended, where the gateway would not serve one of its subscriptions."""
        self._limit = limit
        self._queue: deque[tuple[Subscription, Handed]] = deque()
        self._cursor = {each.stream: each.position for each in self.subscriptions if each.position is not None}

    @property
    def cursor(self) -> dict[str, str]:
        """The position after the last message taken, by stream; a stream is missing while its snapshot is coming."""
        return dict(self._cursor)

    @property
    def is_empty(self) -> bool:
        """Nothing waits to be taken."""
        return not self._queue

    @property
    def is_full(self) -> bool:
        """The log is to keep the rest."""
        return len(self._queue) >= self._limit

    @property
    def has_room(self) -> bool:
        """It may go on from where it was parked."""
        return len(self._queue) <= self._limit // 2

    def put(self, subscription: Subscription, handed: Handed) -> bool:
        """Takes in what came next; whether there is a message more to take."""
        if self.has_ended:
            return False
        if handed.message is None:
            self._moved_on(subscription, handed)
            return False
        self._queue.append((subscription, handed))
        return True

    def take(self) -> Message | None:
        """The next message; None where nothing waits."""
        while self._queue:
            subscription, handed = self._queue.popleft()
            if handed.cursor is not None:
                self._cursor[subscription.stream] = handed.cursor
            if handed.message is not None:
                return handed.message
        return None

    def end(self, refusal: Refusal | None = None) -> None:
        """No more messages will come; the first reason stays."""
        self.has_ended, self.refusal = True, self.refusal or refusal

    def clear(self) -> None:
        """Drops what waits; `cursor` stays where it was."""
        self._queue.clear()

    def _moved_on(self, subscription: Subscription, handed: Handed) -> None:
        # silence after the last message of this stream: belongs to that message if it still waits here
        for at in range(len(self._queue) - 1, -1, -1):
            if self._queue[at][0] is subscription:
                self._queue[at] = (subscription, Handed(self._queue[at][1].message, handed.cursor))
                return
        if handed.cursor is not None:
            self._cursor[subscription.stream] = handed.cursor
