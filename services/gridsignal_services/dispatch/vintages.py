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

from gridsignal_schemas.messages import CarbonIntensity, SpotPrice
from gridsignal_schemas.messages.signals import Accounting, CarbonStatus, Mix, PriceProduct, PriceStatus, Scope
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

Series = SpotPrice | CarbonIntensity


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


class _Value(NamedTuple):
    """One interval as one logged series has it."""

    starts_at: datetime
    ends_at: datetime
    value: Decimal | None
    source: Logged

    @property
    def standing(self) -> tuple[int, datetime, datetime]:
        """Higher is better known."""
        series = self.source.series
        return list(type(series.status)).index(series.status), series.issued_at or self.source.at, self.source.at


def prices(logged: Iterable[Logged], from_: datetime, to: datetime, as_of: datetime) -> list[PriceCurve]:
    """The prices known at `as_of` for the intervals that touch [from_, to)."""
    curves = []
    for series, values in _best(logged, SpotPrice, from_, to, as_of):
        assert isinstance(series, SpotPrice)
        points = [PricePoint(price_per_mwh=value.value, **_where(value)) for value in values]
        curves.append(PriceCurve.model_validate(_shown(series, PriceCurve, points), context=TOLERANT))
    return curves


def carbon(logged: Iterable[Logged], from_: datetime, to: datetime, as_of: datetime) -> list[CarbonCurve]:
    """The carbon intensities known at `as_of` for the intervals that touch [from_, to)."""
    curves = []
    for series, values in _best(logged, CarbonIntensity, from_, to, as_of):
        assert isinstance(series, CarbonIntensity)
        points = [CarbonPoint(grams_per_kwh=value.value, **_where(value)) for value in values]
        curves.append(CarbonCurve.model_validate(_shown(series, CarbonCurve, points), context=TOLERANT))
    return curves


def _shown(series: Series, curve: type[PriceCurve] | type[CarbonCurve], points: Sequence[Shape]) -> dict[str, Any]:
    """A curve's fields, as earlier versions may have written them."""
    return {name: getattr(series, name) for name in curve.model_fields if name != "points"} | {"points": points}


def _best(
    logged: Iterable[Logged], kind: type[Series], from_: datetime, to: datetime, as_of: datetime
) -> Iterator[tuple[Series, list[_Value]]]:
    """Each curve's example series and its best values in order of time."""
    curves: dict[tuple[object, ...], dict[datetime, _Value]] = {}
    for known in logged:
        if known.at > as_of or not isinstance(known.series, kind):
            continue
        best = curves.setdefault(_basis(known.series), {})
        for starts_at, ends_at, value in known.series.intervals():
            if starts_at < to and ends_at > from_:
                offered = _Value(starts_at, ends_at, value, known)
                if starts_at not in best or best[starts_at].standing <= offered.standing:
                    best[starts_at] = offered
    for best in curves.values():
        if best:
            values = [best[starts_at] for starts_at in sorted(best)]
            yield values[0].source.series, values


def _basis(series: Series) -> tuple[object, ...]:
    source = (series.dataset, series.provider, series.resolution_s)
    if isinstance(series, SpotPrice):
        return (series.product, series.currency, *source)
    return (series.accounting, series.scope, series.mix, *source)


def _where(value: _Value) -> dict[str, Any]:
    series = value.source.series
    return {
        "starts_at": value.starts_at,
        "ends_at": value.ends_at,
        "status": series.status,
        "revision": series.revision,
        "issued_at": series.issued_at,
        "logged_at": value.source.at,
    }
