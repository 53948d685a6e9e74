"""What a service tells about itself: structured logs, health, metrics. No payloads at INFO, no secrets anywhere."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from json import dumps
from typing import Any, TextIO, cast

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gridsignal_services.clock import steady_s
from gridsignal_services.output import Output

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST

_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_SECRET_NAMES = frozenset({"token", "authorization", "password", "secret", "private_key"})
HIDDEN = "(hidden)"


def configure_logging(json: bool, level: str, stream: TextIO | None = None) -> None:
    """Sets up structured logs of this process on `stream` (default stderr): one JSON object a line, or for people.

    A line that can't be written is dropped.
    """
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
        logger_factory=structlog.WriteLoggerFactory(_output(json, stream or sys.stderr)),
        cache_logger_on_first_use=False,
    )
    shown = _Shown(logging.WARNING)
    shown.addFilter(_Seldom())
    logging.basicConfig(handlers=[shown], level=logging.WARNING, force=True)


def _output(json: bool, stream: TextIO | None) -> TextIO:
    def notice(dropped: int) -> str:
        event = {"event": "log lines dropped: they could not be written", "lines": dropped, "level": "warning"}
        return (dumps(event) if json else " ".join(f"{name}={value}" for name, value in event.items())) + "\n"

    return cast("TextIO", Output(stream, notice=notice))


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


class Outage:
    """Tells of something that is away: at once, then once in a while, and when it is back. Not once for each try."""

    def __init__(
        self,
        out: structlog.typing.FilteringBoundLogger,
        what: str,
        *,
        every_s: float = 30.0,
        now_s: Callable[[], float] = steady_s,
        **fields: object,
    ) -> None:
        """`what` is what may be away; `fields` go with each line."""
        self._out = out.bind(what=what, **fields)
        self._every_s, self._now_s = every_s, now_s
        self._since_s: float | None = None
        self._told_s = 0.0

    def say(self, reason: object) -> None:
        """It is away, for this reason."""
        now_s = self._now_s()
        if self._since_s is None:
            self._since_s = now_s
        elif now_s - self._told_s < self._every_s:
            return
        self._told_s = now_s
        self._out.warning("away, trying again", reason=str(reason), for_s=round(now_s - self._since_s, 1))

    def over(self) -> None:
        """It answers; says so if it was away."""
        if self._since_s is not None:
            self._out.info("back", after_s=round(self._now_s() - self._since_s, 1))
            self._since_s = None


class _Seldom(logging.Filter):
    """Lets one line of each kind pass in a while: a client that reconnects says the same many times a second.

    Bounded: one moment for each place in a library that logs. When full: never. Conflates: repeats.
    """

    def __init__(self, every_s: float = 30.0, now_s: Callable[[], float] = steady_s) -> None:
        super().__init__()
        self._every_s, self._now_s = every_s, now_s
        self._last_s: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place, now_s = (record.pathname, record.lineno), self._now_s()
        if now_s - self._last_s.get(place, -self._every_s) < self._every_s:
            return False
        self._last_s[place] = now_s
        return True


class _Shown(logging.Handler):
    """What libraries log becomes one of our lines."""

    def emit(self, record: logging.LogRecord) -> None:
        of_library = logger("library").bind(library=record.name)
        of_library.log(record.levelno, record.getMessage()[:500])


class Health:
    """Whether a service should be sent work: it has caught up with the log and is not draining.

    Whether it lives needs no word: what a restart would mend ends the process.
    """

    def __init__(self, reason: str = "starting") -> None:
        self._ready = False
        self.reason = reason
        """Why it is not ready, or empty."""

    @property
    def ready(self) -> bool:
        return self._ready

    def set_ready(self, ready: bool, reason: str = "") -> None:
        """Says whether to send work here; a reason goes with no."""
        self._ready = ready
        self.reason = "" if ready else reason


def metrics(registry: CollectorRegistry) -> bytes:
    """The metrics page in Prometheus's text format."""
    return generate_latest(registry)
