"""NVIDIA DSX Flex 1.7.0 on the wire: the whole net schedule as load targets, and power states read back.

A load target is a cap on a feed's draw, in watts, for an interval. What is published replaces what stood there for the
same feed and time, so a schedule is always published whole: caps where orders are, null where none is left. Every
target has a start and an end, both inside what is signed; a cap is never 0, which a factory takes for "no limit".
Decisions: values in, values out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gridsignal.agent.schedule import Schedule
from gridsignal_schemas.values import rfc3339

SET_TYPE, STATUS_TYPE = "grid.loadtarget.set.v1", "grid.powerstate.status.v1"
_UNITS = {"watt": 1, "kilowatt": 1_000, "megawatt": 1_000_000}


def set_topic(isv: str) -> str:
    """Where load targets are published."""
    return f"grid/v1/isv/{isv}/loadtarget/set"


def status_topic(agent: str) -> str:
    """Where a factory tells its power state."""
    return f"grid/v1/dsx-flex-agent/{agent}/powerstate/status"


def source(role: str, ident: str) -> str:
    """An event's source."""
    return f"//grid/v1/{role}/{ident}"


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed of the factory, and which share of the connection's power it carries."""

    tag: str
    share: float


@dataclass(frozen=True, slots=True)
class Cap:
    """A feed's draw is capped over [starts_at, ends_at); None: no cap."""

    starts_at: datetime
    ends_at: datetime
    watts: int | None


class _Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Power(_Shape):
    value: Annotated[float, Field(ge=0)]
    unit: str

    @property
    def watts(self) -> int:
        """In watts. Raises KeyError for a unit that the schema does not know."""
        return round(self.value * _UNITS[self.unit])


class Interval(_Shape):
    start_time: AwareDatetime | None = None
    end_time: AwareDatetime | None = None


class Target(_Shape):
    active: bool = False
    load_constraint: Power | None = None
    interval: Interval = Interval()
    correlation_id: str | None = None


class Metadata(_Shape):
    power_minimum: Power
    power_maximum: Power
    default_constraint: Power


class FeedState(_Shape):
    metadata: Metadata
    targets: list[Target] | None = None
    calculated_load: Power
    in_flight: bool = False
    compliant: bool = True


class Status(_Shape):
    """A factory's whole state at one moment."""

    snapshot_time: AwareDatetime
    feeds: dict[str, FeedState]


def split(watts: int, feeds: Sequence[Feed]) -> dict[str, int]:
    """Each feed's part of a power; together they are all of it."""
    parts = {feed.tag: int(watts * feed.share) for feed in feeds[:-1]}
    return parts | {feeds[-1].tag: watts - sum(parts.values())}


def wanted(schedule: Schedule, status: Status, feeds: Sequence[Feed]) -> dict[str, list[Cap]]:
    """By feed, the caps of the schedule. A cap below what the factory can go down to is that minimum.

    A slot that asks for more load has no cap: a cap is no floor. Raises ValueError where no baseline is known.
    """
    caps: dict[str, list[Cap]] = {feed.tag: [] for feed in feeds}
    for slot in schedule.slots:
        if slot.shed_w <= 0:
            continue
        if slot.cap_w is None:
            raise ValueError("expected a baseline: a cap is what is left of it")
        for tag, watts in split(slot.cap_w, feeds).items():
            least_w = max(1, status.feeds[tag].metadata.power_minimum.watts)
            caps[tag].append(Cap(slot.starts_at, slot.ends_at, max(least_w, watts)))
    return {tag: joined(each) for tag, each in caps.items()}


def standing(status: Status, tag: str, now: datetime) -> list[Cap]:
    """The caps of a feed from now on, as the factory tells them; one without an end lasts for ever."""
    found = []
    for target in status.feeds[tag].targets or ():
        if target.load_constraint is None:
            continue
        start, end = target.interval.start_time or now, target.interval.end_time
        if end is None or end > now:
            found.append(Cap(max(start, now), end or FOR_EVER, target.load_constraint.watts))
    return joined(sorted(found, key=lambda cap: cap.starts_at))


FOR_EVER = datetime.fromisoformat("2199-01-01T00:00:00+00:00")


def joined(caps: Sequence[Cap]) -> list[Cap]:
    """Neighbours of the same power become one."""
    found: list[Cap] = []
    for cap in caps:
        if found and found[-1].ends_at == cap.starts_at and found[-1].watts == cap.watts:
            cap = Cap(found.pop().starts_at, cap.ends_at, cap.watts)
        found.append(cap)
    return found


def targets(
    caps: Mapping[str, Sequence[Cap]], before: Mapping[str, Sequence[Cap]], now: datetime
) -> list[dict[str, Any]]:
    """The targets that make these caps hold in place of those before: caps, and null for what is between them."""
    said: list[dict[str, Any]] = []
    for tag, wanted_caps in caps.items():
        end = max((cap.ends_at for cap in (*wanted_caps, *before[tag])), default=now)
        at = now
        for cap in (*wanted_caps, Cap(end, end, None)):
            if at < cap.starts_at:
                said.append(_target(tag, Cap(at, cap.starts_at, None)))
            if cap.watts is not None:
                said.append(_target(tag, cap))
            at = cap.ends_at
    return said


def _target(tag: str, cap: Cap) -> dict[str, Any]:
    constraint = None if cap.watts is None else {"value": cap.watts, "unit": "watt"}
    interval = {"start_time": rfc3339(cap.starts_at), "end_time": rfc3339(cap.ends_at)}
    return {"interval": interval, "feed_tags": [tag], "load_constraint": constraint, "strategy": {"best_effort": True}}


def envelope(isv: str, data: Any, at: datetime, *, ident: str, correlation: str, trace: str) -> bytes:
    """The CloudEvent of a set of targets, as DSX wants it: `data` is an object, or the text of a JWS."""
    event = {
        "specversion": "1.0.2",
        "id": ident,
        "source": source("isv", isv),
        "type": SET_TYPE,
        "time": rfc3339(at),
        "datacontenttype": "application/json",
        "subject": "loadtarget",
        "correlationid": correlation,
        "traceparent": trace,
        "data": data,
    }
    return json.dumps(event).encode()


def effective_w(state: FeedState, cap_w: int | None, usual_w: int) -> int:
    """What a feed is held to: its cap, or what it still draws where it has come to rest above it."""
    if cap_w is None:
        return usual_w
    return cap_w if state.in_flight or state.compliant else max(cap_w, state.calculated_load.watts)
