"""What was known of prices and carbon at a moment: of all that had been logged by then, the best for each interval.

A decision: logged series in, curves out. Better is: a higher status (measured before estimated before forecast), then
the later vintage, then what was logged later. Figures of different accounting, scope, mix, dataset, provider or
resolution are different curves and never complete each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from gridsignal_schemas.messages import SpotPrice
from gridsignal_schemas.messages.signals import Accounting, CarbonStatus, Mix, PriceProduct, PriceStatus, Scope
from gridsignal_schemas.rules.series import Series, kind_of, status_rank
from gridsignal_schemas.values import (
    TOLERANT,
    Currency,
    Identifier,
    Money,
    Name,
    Resolution,
    Revision,
    Shape,
    Timestamp,
    Zone,
)


class Logged(NamedTuple):
    """A series, and when the log had it, in grid time."""

    at: datetime
    series: Series


class PricePoint(Shape):
    """One interval's price, and since when it was known."""

    starts_at: Timestamp
    ends_at: Timestamp
    price_per_mwh: Money | None
    """Null is a gap in the published figures."""
    status: PriceStatus
    revision: Revision
    issued_at: Timestamp | None
    logged_at: Timestamp


class PriceCurve(Shape):
    """Prices of one market and source, in order of time."""

    zone: Zone
    product: PriceProduct
    dataset: Name
    provider: Identifier
    currency: Currency
    resolution_s: Resolution
    points: list[PricePoint]


class CarbonPoint(Shape):
    """One interval's carbon intensity, and since when it was known."""

    starts_at: Timestamp
    ends_at: Timestamp
    grams_per_kwh: Money | None
    """Null is a gap in the published figures."""
    status: CarbonStatus
    revision: Revision
    issued_at: Timestamp | None
    logged_at: Timestamp


class CarbonCurve(Shape):
    """Carbon intensities of one basis and source, in order of time."""

    zone: Zone
    accounting: Accounting
    scope: Scope
    mix: Mix
    dataset: Name
    provider: Identifier
    resolution_s: Resolution
    points: list[CarbonPoint]


class Value(NamedTuple):
    """One interval as one logged series has it."""

    starts_at: datetime
    ends_at: datetime
    value: Decimal | None
    source: Logged

    @property
    def standing(self) -> tuple[int, datetime, datetime]:
        """Higher is better known."""
        series = self.source.series
        return status_rank(series.status), series.issued_at or self.source.at, self.source.at


class Best:
    """The best of what was known at `as_of` of each interval that touches [from_, to)."""

    def __init__(self, from_: datetime, to: datetime, as_of: datetime) -> None:
        self._from, self._to, self._as_of = from_, to, as_of
        self._curves: dict[tuple[object, ...], dict[datetime, Value]] = {}

    def take(self, known: Logged) -> None:
        """Takes what a series says of these intervals."""
        if known.at > self._as_of:
            return
        best = self._curves.setdefault(_curve_of(known.series), {})
        for starts_at, ends_at, value in known.series.intervals():
            if starts_at < self._to and ends_at > self._from:
                offered = Value(starts_at, ends_at, value, known)
                if starts_at not in best or best[starts_at].standing <= offered.standing:
                    best[starts_at] = offered

    def curves(self) -> Iterator[list[Value]]:
        """Each curve's values in order of time."""
        for best in self._curves.values():
            if best:
                yield [best[starts_at] for starts_at in sorted(best)]


def curve(values: Sequence[Value], points: Sequence[PricePoint | CarbonPoint] = ()) -> PriceCurve | CarbonCurve:
    """The curve of these values, as earlier versions may have written its fields, with as many points as are given."""
    series = values[0].source.series
    shape = PriceCurve if isinstance(series, SpotPrice) else CarbonCurve
    shown = {name: getattr(series, name) for name in shape.model_fields if name != "points"}
    return shape.model_validate(shown | {"points": list(points)}, context=TOLERANT)


def point(value: Value) -> PricePoint | CarbonPoint:
    """One interval as it is shown."""
    series = value.source.series
    known: dict[str, Any] = {
        "starts_at": value.starts_at,
        "ends_at": value.ends_at,
        "status": series.status,
        "revision": series.revision,
        "issued_at": series.issued_at,
        "logged_at": value.source.at,
    }
    if isinstance(series, SpotPrice):
        return PricePoint(price_per_mwh=value.value, **known)
    return CarbonPoint(grams_per_kwh=value.value, **known)


def prices(logged: Iterable[Logged], from_: datetime, to: datetime, as_of: datetime) -> list[PriceCurve]:
    """The prices known at `as_of` for the intervals that touch [from_, to)."""
    return [known for known in _curves(logged, from_, to, as_of) if isinstance(known, PriceCurve)]


def carbon(logged: Iterable[Logged], from_: datetime, to: datetime, as_of: datetime) -> list[CarbonCurve]:
    """The carbon intensities known at `as_of` for the intervals that touch [from_, to)."""
    return [known for known in _curves(logged, from_, to, as_of) if isinstance(known, CarbonCurve)]


def _curves(
    logged: Iterable[Logged], from_: datetime, to: datetime, as_of: datetime
) -> Iterator[PriceCurve | CarbonCurve]:
    best = Best(from_, to, as_of)
    for known in logged:
        best.take(known)
    return (curve(values, [point(value) for value in values]) for values in best.curves())


def _curve_of(series: Series) -> tuple[object, ...]:
    """Which curve a series is a part of."""
    currency = series.currency if isinstance(series, SpotPrice) else None
    return kind_of(series), currency, series.resolution_s
