"""From read records to what is published: quarantine first, then revisions. Decides; publishes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gridsignal_schemas.messages import DispatchRequest, PinnedRule, Record
from gridsignal_schemas.rules.requests import request_faults
from gridsignal_schemas.rules.series import Series, kind_of
from gridsignal_services.ingest.kept import Kept, weight
from gridsignal_services.ingest.quarantine import (
    FeedLimits,
    QuarantinedRecord,
    Reason,
    confirms,
    faults,
    without_outliers,
)
from gridsignal_services.ingest.revisions import News, RevisionVerdict, SeriesRevisions

KEPT_REASONS = 200
RulesOf = Callable[[str], tuple[PinnedRule, PinnedRule]]
"""The settlement rule and the baseline method of a product."""


@dataclass(slots=True)
class IntakeBatch:
    """What came of the records of one answer."""

    published: list[tuple[News, Record]] = field(default_factory=list)
    set_aside: list[QuarantinedRecord] = field(default_factory=list)
    outliers: list[QuarantinedRecord] = field(default_factory=list)
    """Curves that were published without some of their values."""
    known: int = 0
    lower: int = 0


@dataclass(slots=True)
class Last:
    """The last good record of one kind of series, and one that differs from it in level or currency."""

    good: Record
    doubted: Record | None = None


class Intake:
    """What was published, what was set aside, and the last good curve of each kind to compare units with.

    Bounded: the revisions' own bound, and the same (kept.py) for the last good record of each kind of series; the last
    KEPT_REASONS set-asides. When full: a provider's oldest go; a kind that was forgotten begins without anything to
    compare with. Conflates: good records of one kind to the newest.
    """

    def __init__(
        self,
        limits: FeedLimits | None = None,
        revisions: SeriesRevisions | None = None,
        kinds: Kept[Last] | None = None,
        rules_of: RulesOf | None = None,
    ) -> None:
        """`rules_of` is the registry's word on products; without it requests bring no rule and are not settled."""
        self.limits = limits or FeedLimits()
        self.revisions = revisions or SeriesRevisions()
        self.quarantine: deque[QuarantinedRecord] = deque(maxlen=KEPT_REASONS)
        self._kinds: Kept[Last] = Kept() if kinds is None else kinds
        self._rules_of = rules_of

    def learn(self, record: Record) -> None:
        """Takes note of a record that is on the log, from before a restart or just acknowledged."""
        self.revisions.learn(record)
        if (kind := _kind(record)) and isinstance(record, Series):
            self._kinds.put(kind, record.provider, Last(record), weight(record))

    def knows_kind(self, record: Record) -> bool:
        """Whether something was published of this kind of series."""
        return (_kind(record) or "") in self._kinds

    def kinds_of(self, provider: str) -> int:
        """How many kinds of series a provider has published."""
        return self._kinds.count(provider)

    def judge(self, record: Record, asked_zone: str | None, now: datetime) -> RevisionVerdict | QuarantinedRecord:
        """Sets a record aside with its reasons, or says whether it is new, a correction or nothing new.

        Of a curve with a few values out of bounds the others are published, and the verdict tells what was set aside.
        """
        cleaned, outliers = without_outliers(self._with_rules(record), self.limits)
        reasons = faults(cleaned, asked_zone, now, self.limits, self._compared_with(cleaned))
        if self._confirmed(cleaned, reasons):
            reasons = []
        if reasons:
            return self._set_aside(record, reasons, now)
        verdict = self.revisions.judge(cleaned)
        if isinstance(verdict.publish, DispatchRequest) and (broken := request_faults(verdict.publish, now)):
            return self._set_aside(record, [Reason(fault.code.lower(), fault.message) for fault in broken], now)
        return replace(verdict, outliers=self._set_aside(record, [outliers], now)) if outliers else verdict

    def _with_rules(self, record: Record) -> Record:
        """A request as an operator's door would log it: with its product's rules, those of its first revision first."""
        if not isinstance(record, DispatchRequest) or self._rules_of is None:
            return record
        before = self.revisions.last(record)
        if isinstance(before, DispatchRequest):
            settlement, method = before.settlement, before.baseline_method
        else:
            settlement, method = self._rules_of(record.product)
        return record.model_copy(update={"settlement": settlement, "baseline_method": method})

    def _set_aside(self, record: Record, reasons: list[Reason], now: datetime) -> QuarantinedRecord:
        aside = QuarantinedRecord(record, reasons, now)
        self.quarantine.append(aside)
        return aside

    def _compared_with(self, record: Record) -> Record | None:
        """What was published of the very series, or else the last good record of its kind."""
        last = self._kinds.get(_kind(record) or "")
        return None if last is None else self.revisions.last(record) or last.good

    def _confirmed(self, record: Record, reasons: Sequence[Reason]) -> bool:
        """Whether a new currency or level was told before: once is a slip, again is how it is now."""
        last = self._kinds.get(_kind(record) or "")
        codes = {reason.code for reason in reasons}
        if last is None or not codes or codes - {"currency_changed", "unit_flip"}:
            return False
        doubted, again = last.doubted, False
        if doubted is not None and confirms(record, doubted, self.limits):
            again = _of_other_hours(record, doubted) if "unit_flip" in codes else _observed_later(record, doubted)
        else:
            last.doubted = record
        return again


def _observed_later(record: Record, before: Record) -> bool:
    return isinstance(record, Series) and isinstance(before, Series) and record.observed_at > before.observed_at


def _of_other_hours(record: Record, before: Record) -> bool:
    return isinstance(record, Series) and isinstance(before, Series) and record.starts_at != before.starts_at


def _kind(record: Record) -> str | None:
    """The kind of a series as a key; a kind's currency may change."""
    return "|".join(kind_of(record)) if isinstance(record, Series) else None
