"""One voice per answer: no instant of a series is told twice, whatever a feed put into its document.

Parsers sort out contradictions they can see; this is the law behind them, the same for every feed: what is told in two
ways is a gap, unless one of the two counts more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from gridsignal_schemas.messages import CarbonStatus, Record, SpotPrice
from gridsignal_schemas.messages.signals import MAX_POINTS
from gridsignal_schemas.rules.series import Series, kind_of, status_rank
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.left_out import LeftOutRows


def distinct(records: Iterable[Record], left_out: LeftOutRows) -> list[Record]:
    """The records without repeats, in their order; where two series of one kind disagree about a time, it is a gap."""
    found: list[Record] = []
    alike: dict[tuple[object, object], list[Record]] = {}
    voices: dict[object, list[Series]] = {}
    for record in records:
        voice = _voice(record) if isinstance(record, Series) else record.record_name
        others = alike.setdefault((voice, getattr(record, "starts_at", None)), [])
        if record in others:
            continue
        others.append(record)
        found.append(record)
        if isinstance(record, Series):
            voices.setdefault(voice, []).append(record)
    instead: dict[int, Series | None] = {}
    for series in voices.values():
        if len(series) > 1:
            instead |= _one_after_the_other(series, left_out)
    kept = (instead.get(id(record), record) for record in found)
    return [record for record in kept if record is not None]


def _one_after_the_other(series: Sequence[Series], left_out: LeftOutRows) -> dict[int, Series | None]:
    """What each series becomes so that none overlaps another, by identity; None for one of which nothing is left."""
    become: dict[int, Series | None] = {}
    before: Series | None = None
    at = 0
    disputed: set[datetime] = set()
    for record in sorted(series, key=lambda record: (record.starts_at, record.resolution_s)):
        if before is None or record.starts_at >= before.ends_at:
            before, at = record, id(record)
            continue
        left_out.add(f"two series of {record.dataset} for {record.zone} at {rfc3339(record.starts_at)}")
        become[id(record)] = None
        before = become[at] = _both(before, record, disputed)
    return {at: one if one and any(value is not None for value in _values(one)) else None for at, one in become.items()}


def _both(one: Series, other: Series, disputed: set[datetime]) -> Series:
    """The series that counts more, or one with gaps where two that count alike disagree."""
    ranks = status_rank(one.status), status_rank(other.status)
    if ranks[0] != ranks[1]:
        return max((one, other), key=lambda record: status_rank(record.status))
    step = timedelta(seconds=one.resolution_s)
    offset, rest = divmod(other.starts_at - one.starts_at, step)
    length = max(len(_values(one)), offset + len(_values(other)))
    if rest or one.resolution_s != other.resolution_s or length > MAX_POINTS:
        return one
    values = [*_values(one), *[None] * (length - len(_values(one)))]
    for i, value in enumerate(_values(other), offset):
        when, known = one.starts_at + i * step, values[i]
        if known is not None and value is not None and known != value:
            disputed.add(when)
        values[i] = None if when in disputed else value if known is None else known
    flags = list(dict.fromkeys([*one.flags, *(["gap"] if None in values else [])]))
    name = "prices_per_mwh" if isinstance(one, SpotPrice) else "grams_per_kwh"
    return one.model_copy(update={name: values, "flags": flags})


def _values(record: Series) -> list[Decimal | None]:
    return record.prices_per_mwh if isinstance(record, SpotPrice) else record.grams_per_kwh


def _voice(record: Series) -> tuple[object, ...]:
    """What may be told once for each instant: a kind's prices once in each currency, its forecasts in each vintage."""
    if isinstance(record, SpotPrice):
        return kind_of(record), record.currency
    return kind_of(record), record.issued_at if record.status is CarbonStatus.FORECAST else None
