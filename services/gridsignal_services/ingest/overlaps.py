"""One voice per answer: no instant of a series is told twice, whatever a feed put into its document.

Parsers refuse contradictions they can see; this is the law behind them, the same for every feed.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from gridsignal_schemas.messages import CarbonIntensity, CarbonStatus, Record, SpotPrice

Series = SpotPrice | CarbonIntensity


class Overlap(ValueError):
    """Two series of one kind tell different things about the same time."""


def distinct(records: Iterable[Record]) -> list[Record]:
    """The records without repeats, in their order. Raises Overlap where two of one kind disagree about a time."""
    found: list[Record] = []
    alike: dict[tuple[str, object], list[Record]] = {}
    kinds: dict[str, list[Series]] = {}
    for record in records:
        kind = _kind(record) if isinstance(record, Series) else record.record_name
        others = alike.setdefault((kind, getattr(record, "starts_at", None)), [])
        if record in others:
            continue
        others.append(record)
        found.append(record)
        if isinstance(record, Series):
            kinds.setdefault(kind, []).append(record)
    for series in kinds.values():
        _must_follow_each_other(series)
    return found


def _must_follow_each_other(series: list[Series]) -> None:
    for before, after in pairwise(sorted(series, key=lambda record: record.starts_at)):
        if after.starts_at < before.ends_at:
            raise Overlap(f"two series of {before.dataset} for {before.zone} at {after.starts_at.isoformat()}")


def _kind(record: Series) -> str:
    """What may be told once for each instant; a forecast once for each vintage."""
    if isinstance(record, SpotPrice):
        return f"{record.zone}|{record.product}|{record.dataset}|{record.provider}|{record.currency}"
    vintage = record.issued_at if record.status is CarbonStatus.FORECAST else None
    basis = f"{record.accounting}|{record.scope}|{record.mix}"
    return f"{record.zone}|{basis}|{record.dataset}|{record.provider}|{vintage}"
