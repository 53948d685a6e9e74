"""How a log does, as one process meets it: whether it can be written, and whether its clock agrees with ours."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gridsignal_services.clock import steady_s, wall_us
from gridsignal_services.telemetry import Outage, logger

BELIEVED_S = 30.0
"""A failure is believed for so long without another one: who is sent no work would never learn that it is over."""
_APPEND_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
SKEW_S = 2.0
"""Clocks that are further apart are told of: one of the two is wrong."""


class Condition:
    """Told by the log's adapter, asked by the operations port.

    Bounded: one failure for each place that is written, which are the partitions. When full: never.
    Conflates: all but the newest.
    """

    def __init__(self, *, now_us: Callable[[], int] = wall_us, steady_s: Callable[[], float] = steady_s) -> None:
        self.counted = CollectorRegistry()
        self.now_us, self._steady_s = now_us, steady_s
        self._failing: dict[str, tuple[float, str]] = {}
        self._away = ""
        self._skew_s = 0.0
        self._clock = Outage(logger("log"), "a log's clock that agrees with ours", doing="grid time follows the log's")
        self._failed = Counter(
            "gridsignal_log_appends_failed", "Appends that the log did not acknowledge.", registry=self.counted
        )
        self._took = Histogram(
            "gridsignal_log_append_seconds",
            "From an append, its turn included, to its acknowledgement.",
            buckets=_APPEND_S,
            registry=self.counted,
        )
        for name, text, value in (
            ("gridsignal_log_writable", "1 where the last appends were acknowledged.", lambda: not self.trouble),
            ("gridsignal_log_clock_ahead_seconds", "How far the log's clock is ahead of ours.", lambda: self._skew_s),
        ):
            Gauge(name, text, registry=self.counted).set_function(value)

    def measured(self, size_bytes: Callable[[], float], free_bytes: Callable[[], float]) -> None:
        """What the log takes on this machine's disk, and what is left there, as whoever asks finds it."""
        for name, text, value in (
            ("gridsignal_log_bytes", "What the log takes on disk.", size_bytes),
            ("gridsignal_log_disk_free_bytes", "What is free on its disk.", free_bytes),
        ):
            Gauge(name, text, registry=self.counted).set_function(value)

    def begin(self) -> float:
        """When an append begins, for `written_since`."""
        return self._steady_s()

    def written_since(self, began_s: float) -> None:
        """An append that began then was acknowledged now."""
        self._took.observe(self._steady_s() - began_s)

    @property
    def trouble(self) -> str:
        """Why the log can't be written now, or nothing."""
        now_s = self._steady_s()
        for at_s, reason in self._failing.values():
            if now_s - at_s < BELIEVED_S:
                return reason
        return self._away

    @property
    def reason(self) -> str:
        """What is wrong with it, or nothing."""
        return self.trouble or self._of_clock()

    def written(self, place: str) -> None:
        """An append there was acknowledged."""
        self._failing.pop(place, None)

    def failed(self, place: str, reason: object) -> None:
        """An append there was not."""
        self._failed.inc()
        self._failing[place] = self._steady_s(), str(reason)

    def answers(self) -> None:
        """It was asked something, and said it."""
        self._away = ""

    def away(self, reason: object) -> None:
        """It was asked something, and did not answer."""
        self._away = str(reason)

    def stamped(self, sent_us: int, appended_us: int) -> None:
        """A record that was sent at `sent_us` and is acknowledged now has this append time."""
        self._agree(max(0, appended_us - self.now_us()) - max(0, sent_us - appended_us))

    def read(self, appended_us: int) -> None:
        """A record was read: it may be old, but it can't be of a time that has not come."""
        ahead_us = appended_us - self.now_us()
        if ahead_us > -SKEW_S * 1e6:
            self._agree(max(0, ahead_us))

    def _agree(self, ahead_us: int) -> None:
        self._skew_s = ahead_us / 1e6
        if abs(self._skew_s) > SKEW_S:
            self._clock.say(self._of_clock())
        else:
            self._clock.over()

    def _of_clock(self) -> str:
        if abs(self._skew_s) <= SKEW_S:
            return ""
        side = "ahead of" if self._skew_s > 0 else "behind"
        return f"the log's clock is {abs(self._skew_s):.0f} s {side} this machine's"
