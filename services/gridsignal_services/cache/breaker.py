"""When to leave a server alone that does not answer."""

from __future__ import annotations

from collections.abc import Callable

FAILURES = 3
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 15.0


class Breaker:
    """After FAILURES calls in a row that failed, nobody calls for a while; then one call tries, and decides.

    The pause doubles with each try that fails.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._failures = 0
        self._closed_until_s = 0.0

    def may_call(self) -> bool:
        """Whether to call; True of the first to ask after a pause makes the others wait for its outcome."""
        if self._failures < FAILURES:
            return True
        if self._now_s() < self._closed_until_s:
            return False
        self._pause()
        return True

    def succeeded(self) -> None:
        """The server answered."""
        self._failures = 0

    def failed(self) -> None:
        """It did not."""
        self._failures += 1
        if self._failures >= FAILURES:
            self._pause()

    def _pause(self) -> None:
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(10, self._failures - FAILURES))
        self._closed_until_s = self._now_s() + pause_s
