"""From read records to what is published: quarantine first, then revisions. Decides; publishes nothing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from gridsignal_schemas.messages import CarbonIntensity, DispatchRequest, Record, SpotPrice
from gridsignal_services.ingest.quarantine import Limits, Reason, faults
from gridsignal_services.ingest.revisions import News, Revisions, Verdict
from gridsignal_services.ledger.rules import request_faults

KEPT_REASONS = 200


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record in quarantine, and why."""

    record: Record
    reasons: list[Reason]
    at: datetime


@dataclass(slots=True)
class Batch:
    """What came of the records of one answer."""

    published: list[tuple[News, Record]] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    known: int = 0
    lower: int = 0


class Intake:
    """What was published, what was set aside, and the last good curve of each kind to compare units with.

    Bounded: the revisions' own bound, one good record per kind of series, the last KEPT_REASONS set-asides.
    When full: the oldest go. Conflates: good records of one kind to the newest.
    """

    def __init__(self, limits: Limits | None = None, revisions: Revisions | None = None) -> None:
        self.limits = limits or Limits()
        self.revisions = revisions or Revisions()
        self.quarantine: deque[SetAside] = deque(maxlen=KEPT_REASONS)
        self._good: dict[str, Record] = {}

    def learn(self, record: Record) -> None:
        """Takes note of a record that is on the log, from before a restart or just acknowledged."""
        self.revisions.learn(record)
        if kind := _kind(record):
            self._good[kind] = record

    def judge(self, record: Record, asked_zone: str | None, now: datetime) -> Verdict | SetAside:
        """Sets a record aside with its reasons, or says whether it is new, a correction or nothing new."""
        good = self._good.get(_kind(record) or "")
        if reasons := faults(record, asked_zone, now, self.limits, good):
            aside = SetAside(record, reasons, now)
            self.quarantine.append(aside)
            return aside
        verdict = self.revisions.judge(record)
        if isinstance(verdict.publish, DispatchRequest) and (broken := request_faults(verdict.publish, now)):
            aside = SetAside(record, [Reason(fault.code.lower(), fault.message) for fault in broken], now)
            self.quarantine.append(aside)
            return aside
        return verdict


def _kind(record: Record) -> str | None:
    if isinstance(record, SpotPrice):
        return f"{record.zone}|{record.product}|{record.dataset}|{record.provider}"
    if isinstance(record, CarbonIntensity):
        return f"{record.zone}|{record.accounting}|{record.scope}|{record.mix}|{record.dataset}|{record.provider}"
    return None
