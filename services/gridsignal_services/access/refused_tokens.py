"""Why tokens are refused: counted and logged for those who run the service, never said to the caller."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter

from gridsignal_services.access.tokens import REASONS
from gridsignal_services.clock import steady_s
from gridsignal_services.telemetry import logger

_EVERY_S = 10.0


class RefusedTokens:
    """Counts each; logs the first of each reason, then one line in a while with how many there were.

    Bounded: by the reasons there are.
    """

    def __init__(self, now_s: Callable[[], float] = steady_s) -> None:
        self._now_s = now_s
        self.counted = CollectorRegistry()
        self._counter = Counter(
            "gridsignal_tokens_refused", "Tokens that let nobody in, by reason.", ["reason"], registry=self.counted
        )
        self._since: dict[str, int] = dict.fromkeys(REASONS, 0)
        self._logged_s: dict[str, float] = {}
        self._log = logger("access")

    def __call__(self, why: str) -> None:
        """One was refused, for this reason."""
        self._counter.labels(why).inc()
        self._since[why] = self._since.get(why, 0) + 1
        now_s = self._now_s()
        if now_s - self._logged_s.get(why, -_EVERY_S) >= _EVERY_S:
            self._log.info("tokens refused", reason=why, times=self._since[why])
            self._logged_s[why], self._since[why] = now_s, 0
