"""An area's committed curves, as steps: what may fall and rise at each moment, beside what its limits let."""

from __future__ import annotations

from datetime import datetime, timedelta

from gridsignal_schemas.messages import AreaRegistration
from gridsignal_schemas.values import Shape, Timestamp
from gridsignal_services.ledger.area_guard import AreaGuard
from gridsignal_services.ledger.book import Book


class CurveStep(Shape):
    """What may happen from one moment to the next; it holds until the next step's start."""

    starts_at: Timestamp
    falls_w_per_min: int
    """How fast the load may fall: held against max_ramp_down_w_per_min."""
    rises_w_per_min: int
    """How fast it may rise: held against max_ramp_up_w_per_min."""
    falls_w: int
    """How much may fall in a window that ends in it: held against max_change_w."""
    rises_w: int
    """How much may rise in such a window."""
    above_baseline_w: int
    """How much the sites may draw above their baselines: with `baseline_w` held against max_import_w."""


class ZoneCurve(Shape):
    """An area's curve in one zone."""

    limits: AreaRegistration
    """The zone's share of the area, as its ledger knows it."""
    baseline_w: int
    """The most that its sites draw by themselves in this time, each at its own highest."""
    steps: list[CurveStep]
    """In order of time; the first starts where the time does."""


class AreaCurve(Shape):
    """What is committed in an area in some time to come, by the orders of all requests, answered or not."""

    area: str
    starts_at: Timestamp
    ends_at: Timestamp
    zones: list[ZoneCurve]


_DAY = timedelta(days=1)


def zone_curve(book: Book, key: tuple[str, str], since: datetime) -> ZoneCurve:
    """An area's curve in one zone over the next day. Raises KeyError for one that the book doesn't hold."""
    guard, until = AreaGuard(book), since + _DAY
    held = guard.committed(key)
    curves = (held.ramps[False], held.ramps[True], held.changes[False], held.changes[True], held.draws)
    edges = sorted({since, *(edge for curve in curves for edge in curve.edges(since, until))})
    return ZoneCurve(
        limits=held.area,
        baseline_w=guard.load_w(key, since, until),
        steps=[
            CurveStep(
                starts_at=at,
                falls_w_per_min=held.ramps[False].at(at),
                rises_w_per_min=held.ramps[True].at(at),
                falls_w=held.changes[False].at(at),
                rises_w=held.changes[True].at(at),
                above_baseline_w=held.draws.at(at),
            )
            for at in edges
        ],
    )


def area_curve(name: str, since: datetime, zones: list[ZoneCurve]) -> AreaCurve:
    """All zones of an area together."""
    return AreaCurve(area=name, starts_at=since, ends_at=since + _DAY, zones=zones)
