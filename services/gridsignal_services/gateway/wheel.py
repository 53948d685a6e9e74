"""One timer wheel for all connections' pings, expiries and deadlines, on a clock that skips its own stalls."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Lived(Protocol):
    """Seconds that the event loop was there to live through."""

    now_s: float


class Wheel(Generic[T]):
    """Things to look at when their time comes; looking early is allowed, so that slots stay coarse.

    Bounded by the number of things: each is in one slot. When full: never. Conflates: a thing scheduled again is
    looked at at the earlier of the two times.

    Its time only counts what the event loop was there to live through: a stall of twenty seconds moves it by `step_s`,
    so no peer is declared dead for a silence that was ours.
    """

    def __init__(self, tick_s: float = 0.25, *, longest_step_s: float = 1.0) -> None:
        self.now_s = 0.0
        self._tick_s = tick_s
        self._longest_step_s = longest_step_s
        self._slots: dict[int, dict[T, None]] = {}
        self._slot_of: dict[T, int] = {}
        self._next = 0

    def schedule(self, thing: T, due_s: float) -> None:
        """Looks at `thing` at the first tick at or after `due_s`."""
        slot = max(self._next, -int(-due_s // self._tick_s))
        before = self._slot_of.get(thing)
        if before is not None:
            if before <= slot:
                return
            del self._slots[before][thing]
        self._slot_of[thing] = slot
        self._slots.setdefault(slot, {})[thing] = None

    def advance(self, elapsed_s: float) -> list[T]:
        """Moves on by the time that passed and returns what is due, which may be scheduled again."""
        self.now_s += min(max(elapsed_s, 0.0), self._longest_step_s)
        due: list[T] = []
        last = int(self.now_s // self._tick_s)
        while self._next <= last:
            due.extend(self._slots.pop(self._next, ()))
            self._next += 1
        for thing in due:
            del self._slot_of[thing]
        return due
