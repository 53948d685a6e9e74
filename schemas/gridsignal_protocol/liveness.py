"""Whether the other side is still there: ping when it is quiet, dead when it stays so.

Any inbound byte counts as life, unless the other side has stopped taking what we send. Time in which our own program
did not let the loop run is not held against the gateway: what it sent meanwhile lies unread in the socket.
"""

from __future__ import annotations

from typing import Literal


class Liveness:
    """Counts the silence of one connection in steps of `step_s`.

    A step that took much longer than it should have was the loop's own stall and counts as one step.
    """

    def __init__(self, *, ping_s: float = 8.0, dead_after_s: float = 16.0) -> None:
        self.step_s = ping_s / 4
        self._ping_s, self._dead_after_s = ping_s, dead_after_s
        self._silent_s = self._stuck_s = 0.0
        self._since_ping_s = 0.0

    def stepped(self, elapsed_s: float, *, heard: bool, stuck: bool = False) -> Literal["wait", "ping", "dead"]:
        """A step has passed: whether anything arrived in it, and whether what waits to be sent has not moved."""
        counted_s = min(elapsed_s, 2 * self.step_s)
        self._silent_s = 0.0 if heard else self._silent_s + counted_s
        self._stuck_s = self._stuck_s + counted_s if stuck else 0.0
        self._since_ping_s += counted_s
        if max(self._silent_s, self._stuck_s) >= self._dead_after_s:
            return "dead"
        if self._since_ping_s >= self._ping_s:
            self._since_ping_s = 0.0
            return "ping"
        return "wait"
