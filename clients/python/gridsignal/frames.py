"""History as pandas data frames; needs the extra `pandas`.

points = await grid.history("prices", "DE-LU", start, end)
prices = gridsignal.frames.history_frame(points)["price_per_mwh"]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_type_hints

from gridsignal.extras import needs
from gridsignal.history import CarbonPoint, PricePoint

if TYPE_CHECKING:
    import pandas

__all__ = ["history_frame"]
_TIMES = ("ends_at", "issued_at", "logged_at")


def history_frame(points: Sequence[PricePoint] | Sequence[CarbonPoint]) -> pandas.DataFrame:
    """A row for each point in the order given, with its fields as columns; the index is `starts_at`, in UTC.

    Times are in UTC, prices and intensities floats, and NaN where there is a gap in what was published. Curves stand
    below each other: an index of one row for each interval comes from a frame that was filtered by product, dataset or
    accounting. A frame of no points has the same columns and types: those of what was asked
    where `grid.history` returned it, else of prices. Raises ImportError without pandas.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(needs("history_frame", "pandas", "pandas"), name=error.name) from error
    if not points:
        return history_frame([_blank(getattr(points, "of", PricePoint))]).iloc[:0]
    names = [field.name for field in fields(points[0])]
    columns = {name: [_plain(getattr(point, name)) for point in points] for name in names}
    starts = pandas.DatetimeIndex(pandas.to_datetime(columns.pop("starts_at"), utc=True), name="starts_at")
    frame = pandas.DataFrame(columns, index=starts)
    for name in filter(columns.__contains__, _TIMES):
        frame[name] = pandas.to_datetime(frame[name], utc=True).dt.as_unit("us")  # one of nothing but None, too
    for name in filter(columns.__contains__, ("price_per_mwh", "grams_per_kwh")):
        frame[name] = frame[name].astype("float64")
    return frame


_SOME: dict[object, Any] = {str: "", int: 0, datetime: datetime(1970, 1, 1, tzinfo=UTC)}


def _blank(kind: type[PricePoint | CarbonPoint]) -> Any:
    """A point that says nothing, of which a frame takes the types of its columns."""
    fields_of: dict[str, Any] = {name: _SOME.get(of) for name, of in get_type_hints(kind).items()}
    return kind(**fields_of)


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value
