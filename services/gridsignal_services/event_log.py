"""The event log: what has happened, as lines with names that stay. `event_log.toml` has every name, and its fields."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from prometheus_client import CollectorRegistry, Counter
from pydantic import TypeAdapter

from gridsignal_protocol.bucket import Bucket
from gridsignal_services.clock import steady_s
from gridsignal_services.telemetry import logger

LINES_PER_S, BURST = 100.0, 1000.0
"""Of each organisation."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One row of event_log.toml, where each field is explained."""

    says: str
    fields: tuple[str, ...]
    door: Literal["gateway", "dispatch"] | None = None
    of: str | None = None
    timer: str | None = None
    about: Literal["request", "offer", "order"] | None = None
    level: Literal["info", "debug"] = "info"


EVENTS: dict[str, EventRow] = TypeAdapter(dict[str, EventRow]).validate_python(
    tomllib.loads(files("gridsignal_services").joinpath("event_log.toml").read_text("utf-8")), extra="forbid"
)
"""Every event's row by its name."""
_LEVELS = {"info": logging.INFO, "debug": logging.DEBUG}


class EventLog:
    """Writes events among the lines of a process.

    Bounded: LINES_PER_S and BURST of each organisation of the registry. When full: the line is left out and counted,
    and the next one that is written says how many; the log of records has them all. Conflates: nothing.
    """

    def __init__(self, door: str, counted: CollectorRegistry, now_s: Callable[[], float] = steady_s) -> None:
        """`door` says whose it is, in the names of what it counts."""
        self._out, self._now_s = logger("events"), now_s
        self._left: dict[str, Bucket] = {}
        self._left_out: dict[str, int] = {}
        self._happened = Counter(f"gridsignal_{door}_events", "Events by name.", ["event"], registry=counted)
        for name in (name for name, row in EVENTS.items() if (row.door or "dispatch") == door):
            self._happened.labels(name)  # from the first on it is counted from 0
        self._unlogged = Counter(
            f"gridsignal_{door}_events_unlogged", "Events left out of the event log.", registry=counted
        )

    def tell(self, name: str, by: str, **fields: object) -> None:
        """An event of the table has happened, caused by `by`; fields that are None are not told."""
        self._happened.labels(name).inc()
        level = _LEVELS[EVENTS[name].level]
        if not self._out.is_enabled_for(level):
            return  # it takes no other line's place
        now_s = self._now_s()
        bucket = self._left.get(by)
        if bucket is None:
            bucket = self._left[by] = Bucket(LINES_PER_S, BURST, now_s)
        if not bucket.take(now_s):
            self._left_out[by] = self._left_out.get(by, 0) + 1
            self._unlogged.inc()
            return
        known = {field: value for field, value in fields.items() if value is not None}
        if unlogged := self._left_out.pop(by, 0):
            known["left_out_before"] = unlogged
        self._out.log(level, name, by=by, **known)
