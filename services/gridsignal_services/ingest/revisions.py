"""New, corrected or known: revisions by comparison, since most feeds have no usable vintage.

ENTSO-E says revision 1 for ever and stamps the time of the request; SMARD counts file builds. What we published
before is the only thing to compare with, and it is on the log: after a restart the state is read from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from gridsignal_schemas.messages import (
    CarbonIntensity,
    DispatchRequest,
    GridAlert,
    PriceStatus,
    Record,
    RequestCancellation,
    SpotPrice,
)
from gridsignal_schemas.records import identity_of
from gridsignal_schemas.rules.series import status_rank
from gridsignal_services.ingest.kept import Kept, weight
from gridsignal_services.ingest.quarantine import QuarantinedRecord

_BY_A_REAL_ONE, _BY_A_DRILL = "replaced", "drilled"
"""What an alert is marked with whose place another took; a drill takes the place of drills alone."""


class News(StrEnum):
    """What a record is, compared with what was published."""

    NEW = "new"
    CORRECTED = "corrected"
    KNOWN = "known"
    LOWER = "lower"
    """Of a lower status than what was published: never overwrites it."""


@dataclass(frozen=True, slots=True)
class RevisionVerdict:
    """What to do with a record: `publish` is the record with its revision, None where there is nothing to say."""

    news: News
    publish: Record | None = None
    outliers: QuarantinedRecord | None = None
    """What of the record was set aside: it is published with gaps instead."""


_NOT_CONTENT = {"revision", "observed_at", "issued_at", "licence", "flags"}


class SeriesRevisions:
    """What was published last of each series.

    Bounded: points in all and of each provider (kept.py). When full: a provider's series not touched for longest is
    forgotten, so that reading it again would publish it again as revision 1 (readers drop it: not higher than what they
    have). Conflates: a series' older revisions.
    """

    def __init__(self, kept: Kept[Record] | None = None) -> None:
        self._last: Kept[Record] = Kept() if kept is None else kept

    def __len__(self) -> int:
        return len(self._last)

    def learn(self, record: Record) -> None:
        """Takes note of a record that is on the log."""
        key = identity_of(record)
        if key is None:
            return
        owner = getattr(record, "provider", "requests")
        self._last.put(key, owner, record, weight(record))
        if isinstance(record, GridAlert) and record.supersedes is not None:
            by = _BY_A_DRILL if record.is_drill else _BY_A_REAL_ONE
            self._last.put(f"{by}|{record.provider}|{record.zone}|{record.supersedes}", owner, record, weight(record))

    def last(self, record: Record) -> Record | None:
        """What was published last of this record's series."""
        key = identity_of(record)
        return None if key is None else self._last.get(key)

    def judge(self, record: Record) -> RevisionVerdict:
        """Compares a record that was just read with what was published; changes nothing."""
        last = self.last(record)
        if self._cancelled(record) or (self._replaced(record) and not _ends(record, last)):
            return RevisionVerdict(News.KNOWN)
        if last is None:
            return RevisionVerdict(News.NEW, _with(record, revision=1))
        if isinstance(record, SpotPrice) and isinstance(last, SpotPrice):
            return _judge_price(record, last)
        if isinstance(record, CarbonIntensity) and isinstance(last, CarbonIntensity):
            return _judge_carbon(record, last)
        if _content(record) == _content(last) or _still_open(record, last):
            return RevisionVerdict(News.KNOWN)
        return RevisionVerdict(News.CORRECTED, _with(record, revision=_revision(last) + 1))

    def standing(self, provider: str, zone: str, now: datetime) -> list[GridAlert | DispatchRequest]:
        """Published alerts and requests of a provider and zone that are not over: no end, or one to come."""
        return [
            record
            for record in self._last.values()
            if isinstance(record, GridAlert | DispatchRequest)
            and record.zone == zone
            and _is_of(record, provider)
            and (record.ends_at is None or record.ends_at > now)
            and not self._cancelled(record)
        ]

    def replaced_by(self, alert: GridAlert) -> list[GridAlert]:
        """Published alerts that this one replaces and that were not over when it was issued: a drill, drills alone."""
        if alert.supersedes is None:
            return []
        return [
            older
            for older in self._last.values()
            if isinstance(older, GridAlert)
            and (older.provider, older.zone) == (alert.provider, alert.zone)
            and alert.supersedes in _notices(older)
            and (older.is_drill or not alert.is_drill)
            and (older.ends_at is None or older.ends_at > alert.issued_at)
        ]

    def _cancelled(self, record: Record) -> bool:
        if not isinstance(record, DispatchRequest):
            return False
        return f"{RequestCancellation.__name__}|{record.zone}|{record.request_id}" in self._last

    def _replaced(self, record: Record) -> bool:
        """Whether a newer notice replaced this alert: it goes on being listed with its old end."""
        if not isinstance(record, GridAlert):
            return False
        marks = (_BY_A_REAL_ONE, _BY_A_DRILL) if record.is_drill else (_BY_A_REAL_ONE,)
        names = (f"{record.provider}|{record.zone}|{name}" for name in _notices(record))
        return any(f"{by}|{name}" in self._last for name in names for by in marks)


def _is_of(record: GridAlert | DispatchRequest, provider: str) -> bool:
    # a request names its operator, not its feed; our ids begin with the feed's name
    return (
        record.provider == provider if isinstance(record, GridAlert) else record.request_id.startswith(f"{provider}-")
    )


def _notices(alert: GridAlert) -> tuple[str, str]:
    """The names of the notice an alert is of: its own, and without the number of its window."""
    return alert.alert_id, alert.alert_id.rpartition("-")[0]


def _judge_price(record: SpotPrice, last: SpotPrice) -> RevisionVerdict:
    values = _kept(record.prices_per_mwh, last.prices_per_mwh, same_grid=record.resolution_s == last.resolution_s)
    same = values == last.prices_per_mwh and _price_grid(record) == _price_grid(last)
    rank, last_rank = status_rank(record.status), status_rank(last.status)
    settled = last.status in (PriceStatus.FINAL, PriceStatus.CORRECTED)
    if same:
        return _same_values(record, rank, last_rank, _revision(last))
    if settled and record.status in (PriceStatus.FINAL, PriceStatus.CORRECTED):
        status = PriceStatus.CORRECTED
    elif rank < last_rank:
        return RevisionVerdict(News.LOWER)
    else:
        status = record.status
    changed = _with(record, prices_per_mwh=values, status=status, revision=last.revision + 1)
    return RevisionVerdict(News.CORRECTED, changed)


def _judge_carbon(record: CarbonIntensity, last: CarbonIntensity) -> RevisionVerdict:
    values = _kept(record.grams_per_kwh, last.grams_per_kwh, same_grid=record.resolution_s == last.resolution_s)
    same = values == last.grams_per_kwh and record.resolution_s == last.resolution_s
    rank, last_rank = status_rank(record.status), status_rank(last.status)
    if same:
        return _same_values(record, rank, last_rank, _revision(last))
    if rank < last_rank:
        return RevisionVerdict(News.LOWER)
    return RevisionVerdict(News.CORRECTED, _with(record, grams_per_kwh=values, revision=last.revision + 1))


def _same_values(record: Record, rank: int, last_rank: int, revision: int) -> RevisionVerdict:
    if rank <= last_rank:
        return RevisionVerdict(News.KNOWN if rank == last_rank else News.LOWER)
    return RevisionVerdict(News.CORRECTED, _with(record, revision=revision + 1))


def _price_grid(record: SpotPrice) -> tuple[str, int]:
    return record.currency, record.resolution_s


def _kept(values: Sequence[Decimal | None], last: Sequence[Decimal | None], *, same_grid: bool) -> list[Decimal | None]:
    """The new values; a gap where a value was published keeps the published one: a short answer takes nothing back."""
    if not same_grid:
        return list(values)
    longest = max(len(values), len(last))
    new = [*values, *[None] * (longest - len(values))]
    old = [*last, *[None] * (longest - len(last))]
    return [o if n is None else n for n, o in zip(new, old, strict=True)]


def _content(record: Record) -> dict[str, Any]:
    return record.model_dump(exclude=_NOT_CONTENT)


def _still_open(record: Record, last: Record) -> bool:
    """An open alert told again with a later start says nothing new: some operators stamp each reading."""
    if not isinstance(record, GridAlert) or not isinstance(last, GridAlert) or record.ends_at or last.ends_at:
        return False
    later = record.starts_at >= last.starts_at
    return later and _content(record) | {"starts_at": None} == _content(last) | {"starts_at": None}


def _ends(record: Record, last: Record | None) -> bool:
    """Whether this is the end of an alert that was published without one, or with a later one."""
    if not isinstance(record, GridAlert) or not isinstance(last, GridAlert) or record.ends_at is None:
        return False
    return last.ends_at is None or record.ends_at < last.ends_at


def _revision(record: Record) -> int:
    revision = getattr(record, "revision", 1)
    assert isinstance(revision, int)
    return revision


def _with(record: Record, **changes: object) -> Record:
    known = {name: value for name, value in changes.items() if name in type(record).model_fields}
    return record.model_copy(update=known)
