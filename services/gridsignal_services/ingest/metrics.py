"""What the ingest door tells Prometheus: freshness of figures, not of the process."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from gridsignal_services.ingest.quarantine import Reason

_FEED = ("provider", "zone", "signal")


class Metrics:
    """Bounded: one time series per configured feed and reason code."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._last_success = self._gauge("last_success_seconds", "When the feed last gave good figures (unix time)")
        self._newest = self._gauge("newest_figure_seconds", "End of the newest figure of the feed (unix time)")
        self._stale = self._gauge("stale", "1 while the feed is silent for too long")
        self._next_due = self._gauge("next_due_in_seconds", "Seconds until the feed is asked next")
        self._published = self._counter("published", "Records published, by what they were", "news")
        self._quarantined = self._counter("quarantined", "Records set aside, by reason", "reason")
        self._attempts = self._counter("attempts", "Times the feed was asked, by outcome", "outcome")

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"gridsignal_feed_{name}", text, _FEED, registry=self.registry)

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(f"gridsignal_feed_{name}", text, (*_FEED, label), registry=self.registry)

    def attempted(self, provider: str, zone: str, signal: str, outcome: str) -> None:
        """A feed was asked: ok, or the kind of FeedError."""
        self._attempts.labels(provider, zone, signal, outcome).inc()

    def succeeded(self, provider: str, zone: str, signal: str, at_s: float, newest_s: float | None) -> None:
        """A feed gave good figures."""
        self._last_success.labels(provider, zone, signal).set(at_s)
        if newest_s is not None:
            self._newest.labels(provider, zone, signal).set(newest_s)

    def published(self, provider: str, zone: str, signal: str, news: str) -> None:
        """A record went to the log."""
        self._published.labels(provider, zone, signal, news).inc()

    def quarantined(self, provider: str, zone: str, signal: str, reasons: list[Reason]) -> None:
        """A record was set aside."""
        for reason in reasons:
            self._quarantined.labels(provider, zone, signal, reason.code).inc()

    def watched(
        self, feed: tuple[str, str, str], *, stale: Callable[[], bool], next_due_s: Callable[[], float]
    ) -> None:
        """A feed (provider, zone, signal) whose freshness is read whenever somebody looks."""
        self._stale.labels(*feed).set_function(stale)
        self._next_due.labels(*feed).set_function(next_due_s)
