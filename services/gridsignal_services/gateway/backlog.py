"""What one slow connection has not been sent yet: a control lane that is never dropped, a signal lane that conflates.

Only a connection whose socket is full has anything in here; everybody else is written to directly.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from enum import Enum

from gridsignal_schemas.frames import Conflated, Lag
from gridsignal_services.gateway.hub import Prepared
from gridsignal_services.gateway.rendering import Encoding, rendered


class Overflow(Enum):
    """What is to be done about the connection."""

    FINE = "fine"
    LAGGING = "lagging"
    """Tell the client, once."""
    OVER = "over"
    """Close it: it can resume with its cursor."""


class Backlog:
    """Messages that wait for the socket, in bytes.

    Bounded: `close_bytes`, counting what the socket's own buffer holds.
    When full: the connection is closed with 4002 and resumes with its cursor; nobody else waits.
    Conflates: signals of `latest` subscriptions, per series; a newer one takes the place at the end, the older goes,
    so that cursors stay in order, and `conflated` tells how many went. Positions that follow each other likewise.
    Never a receipt, a refusal, an alert, a request, a decision or an order.
    """

    def __init__(self, *, lag_bytes: int, close_bytes: int) -> None:
        self._lag_bytes = lag_bytes
        self._close_bytes = close_bytes
        self._control: deque[bytes] = deque()
        self._signals: dict[int, tuple[str, Prepared]] = {}
        self._newest: dict[tuple[str, str], int] = {}
        self._last: dict[str, int] = {}
        self._skipped: Counter[str] = Counter()
        self._order = 0
        self._is_said = False
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._control or self._signals)

    def add_control(self, message: bytes) -> None:
        """Receipts, refusals, answers, drain notices: sent before any waiting signal."""
        self._control.append(message)
        self.bytes += len(message)

    def add_signal(self, sub: str, prepared: Prepared) -> None:
        """A signal or position of a subscription; with no name, something else that keeps its place among them."""
        last = self._last.get(sub)
        if prepared.is_position and last is not None and self._signals[last][1].is_position:
            self._remove(last)
        if prepared.series is not None:
            older = self._newest.get((sub, prepared.series))
            if older is not None:
                self._remove(older)
                self._skipped[sub] += 1
            self._newest[sub, prepared.series] = self._order
        self._signals[self._order] = (sub, prepared)
        self._last[sub] = self._order
        self._order += 1
        self.bytes += len(prepared.message)

    def _remove(self, order: int) -> Prepared:
        sub, prepared = self._signals.pop(order)
        self.bytes -= len(prepared.message)
        if self._last.get(sub) == order:
            del self._last[sub]
        if prepared.series is not None and self._newest.get((sub, prepared.series)) == order:
            del self._newest[sub, prepared.series]
        return prepared

    def forget(self, sub: str) -> None:
        """Nothing of this subscription is sent any more."""
        for order in [order for order, (owner, _) in self._signals.items() if owner == sub]:
            self._remove(order)
        self._skipped.pop(sub, None)

    def take(self, room: int, encoding: Encoding = "json") -> list[bytes]:
        """The next messages, at least one if there is one, about `room` bytes: control first, then in order."""
        taken: list[bytes] = []
        for message in self._next(encoding):
            taken.append(message)
            room -= len(message)
            if room <= 0:
                break
        if not self:
            self._is_said = False  # the next lag is another one
        return taken

    def _next(self, encoding: Encoding) -> Iterator[bytes]:
        while self._control:
            self.bytes -= len(self._control[0])
            yield self._control.popleft()
        while self._signals:
            order, (sub, prepared) = next(iter(self._signals.items()))
            if skipped := self._skipped.pop(sub, 0):
                yield rendered(encoding, Conflated(sub=sub, skipped=skipped))
            self._remove(order)
            yield prepared.message

    def verdict(self, unsent_bytes: int) -> Overflow:
        """What is to be done, where the socket's buffer holds `unsent_bytes` besides; LAGGING once an episode."""
        total = self.bytes + unsent_bytes
        if total >= self._close_bytes:
            return Overflow.OVER
        if total >= self._lag_bytes and not self._is_said:
            self._is_said = True
            return Overflow.LAGGING
        return Overflow.FINE

    def lags(self) -> list[Lag]:
        """How far each subscription is behind."""
        waiting = Counter(sub for sub, prepared in self._signals.values() if sub and not prepared.is_position)
        return [Lag(sub=sub, behind=behind) for sub, behind in sorted(waiting.items())]
