"""The state of a stream as it is shown to those who begin: taken once for all of one visibility who come together.

It has its own place in the stream. What came after that follows like everything else that a subscription catches up
with, so that a state of a moment ago and what followed are the same as the present one. Nobody is shown a state that
was taken for somebody of another visibility: its age would tell when they came.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from gridsignal_services.gateway.cursor import Place
from gridsignal_services.gateway.groupkey import GroupKey
from gridsignal_services.gateway.history import StreamEntry
from gridsignal_services.gateway.hub import Batch, Group, Prepared

_TOGETHER = 25
"""Messages handed to a connection at once."""
_LOOKED_AT = 500
"""Entries looked at for them: about a millisecond."""
_KEPT_BYTES = 8 * 1024 * 1024
_WEIGHT_OF_PIECE = 400
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


class Snapshot:
    """The state of a stream at one place, and its messages for the groups that were shown it.

    Bounded: `_KEPT_BYTES` of messages. When full: further ones are put together for each who is shown them.
    Conflates: nothing.
    """

    def __init__(self, place: Place, entries: Sequence[StreamEntry], taken_at: datetime, taken_s: float) -> None:
        self.place = place
        """Everything before it is in the state, nothing behind it."""
        self.entries = entries
        self._taken_at, self._taken_s = taken_at, taken_s
        self._valid_until = min(filter(None, (entry.valid_until for entry in entries)), default=_FOR_EVER)
        self._shown: dict[GroupKey, Shown] = {}
        self._room = _KEPT_BYTES

    def is_fresh(self, now: datetime, now_s: float, shown_for_s: float) -> bool:
        """Whether it may still be shown, by grid time and by the wall."""
        is_young = abs((now - self._taken_at).total_seconds()) < shown_for_s and now_s - self._taken_s < shown_for_s
        return is_young and now < self._valid_until

    def shown_to(self, group: Group) -> Shown:
        """The state as this group sees it."""
        shown = self._shown.get(group.key)
        if shown is None:
            shown = Shown(self, group)
            if self.has_room(_WEIGHT_OF_PIECE):
                self._shown[group.key] = shown
        return shown

    def has_room(self, size: int) -> bool:
        """Takes room for a piece of this size; False where there is not so much."""
        if size > self._room:
            return False
        self._room -= size
        return True

    def retire(self) -> None:
        """Keeps nothing any more: whoever is still being shown it, and slowly, fills no memory with it."""
        self._room = 0
        for shown in self._shown.values():
            shown.forget()
        self._shown = {}


class Shown:
    """A state as one group sees it, put together piece by piece by whoever first wants the next.

    Bounded: by its snapshot. When full, conflates: see there.
    """

    def __init__(self, snapshot: Snapshot, group: Group) -> None:
        self._snapshot, self._group = snapshot, group
        self._pieces: dict[int, tuple[Batch, int]] = {}

    @property
    def end(self) -> int:
        """Where the last piece ends."""
        return len(self._snapshot.entries)

    def is_ready(self, at: int) -> bool:
        """Whether the piece that begins here needs no work."""
        return at in self._pieces

    def piece(self, at: int) -> tuple[Batch, int]:
        """The messages from here on, a few, perhaps none; and where the next piece begins."""
        if (known := self._pieces.get(at)) is not None:
            return known
        messages: list[Prepared] = []
        end = at
        for entry in self._snapshot.entries[at : at + _LOOKED_AT]:
            if len(messages) == _TOGETHER:
                break
            end += 1
            if self._group.key.wants(entry):
                messages.append(self._group.signal(entry, None))
        made = (Batch(self._group.sub, messages), end)
        if self._snapshot.has_room(_WEIGHT_OF_PIECE + 2 * sum(len(prepared.message) for prepared in messages)):
            self._pieces[at] = made
        return made

    def forget(self) -> None:
        """Keeps nothing that was put together."""
        self._pieces = {}
