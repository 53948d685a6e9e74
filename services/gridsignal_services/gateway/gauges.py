"""What the gateway counts: one registry a process, so that services in one process stay apart."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Gauges:
    """The gateway's metrics; names begin with gridsignal_gateway_."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.connections = self._gauge("connections", "Open sockets.")
        self.strangers = self._gauge("strangers", "Sockets that have not shown a good token.")
        self.subscriptions = self._gauge("subscriptions", "Subscriptions, joined or joining.")
        self.polls = self._gauge("polls", "Polls that wait for something new, or whose answer is being read.")
        self.loop_lag_s = self._gauge("loop_lag_seconds", "How late the last tick of the timer wheel came.")
        self.deliveries = self._counter("deliveries", "Messages handed to connections by fan-out.")
        self.signals = self._counter("signals", "Records read from the log.", "stream")
        self.upgrades = self._counter("upgrades", "Requests on the port by HTTP status.", "status")
        self.closes = self._counter("closes", "Connections closed by the gateway, by code.", "code")
        self.joins = self._counter("joins", "Subscriptions begun, by recovery and reason.", "recovery", "reason")
        self.answers = self._counter("answers", "Answers to writes, received or refused with a code.", "code")

    def _gauge(self, name: str, says: str) -> Gauge:
        return Gauge(f"gridsignal_gateway_{name}", says, registry=self.registry)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"gridsignal_gateway_{name}", says, labels, registry=self.registry)
