"""What a service tells about itself: structured logs, health, metrics. No payloads at INFO, no secrets anywhere."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST

_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_SECRET_NAMES = frozenset({"token", "authorization", "password", "secret", "private_key"})
HIDDEN = "(hidden)"


def configure_logging(json: bool, level: str, stream: TextIO | None = None) -> None:
    """Sets up structured logs of this process on `stream` (default stderr): one JSON object a line, or for people."""
    renderer = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger; each line carries the name as `service`."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(service=name)
    return bound


def without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last line of defence: fields named like secrets, and anything that looks like a token, are hidden."""
    for key, value in event.items():
        if key.lower() in _SECRET_NAMES:
            event[key] = HIDDEN
        elif isinstance(value, str):
            event[key] = _TOKEN.sub(HIDDEN, value)
    return event


class Health:
    """Whether a service lives, and whether it should be sent work.

    Live: restarting it would not help. Ready: it has caught up with the log and is not draining.
    """

    def __init__(self, reason: str = "starting") -> None:
        self._ready = False
        self._live = True
        self.reason = reason
        """Why it is not ready, or empty."""

    @property
    def ready(self) -> bool:
        return self._ready

    @property
    def live(self) -> bool:
        return self._live

    def set_ready(self, ready: bool, reason: str = "") -> None:
        """Says whether to send work here; a reason goes with no."""
        self._ready = ready
        self.reason = "" if ready else reason

    def set_dead(self, reason: str) -> None:
        """Says that only a restart can help."""
        self._live = self._ready = False
        self.reason = reason


def metrics(registry: CollectorRegistry) -> bytes:
    """The metrics page in Prometheus's text format."""
    return generate_latest(registry)
