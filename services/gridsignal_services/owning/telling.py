"""Tells what the records of a zone say, in the event log and the metrics of the process that owns it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from prometheus_client import CollectorRegistry

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import MeterReading, Record
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.publish import principal_of
from gridsignal_services.event_log import EVENTS, EventLog
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.owning.happened import happened
from gridsignal_services.owning.measures import Measures
from gridsignal_services.replica import Replica

_METERED = EVENTS["metered"].fields


class Telling:
    """Hears of every record that is reduced, and tells those of the partitions that are ours.

    What is read at a start was told before it. Two who both believe that a zone is theirs tell it twice.
    """

    def __init__(
        self,
        replica: Replica,
        meters: ReadingsReader,
        ours: Callable[[], Collection[int]],
        events: EventLog,
        counted: CollectorRegistry,
    ) -> None:
        """`ours` are the partitions that the owner acts on."""
        self._replica, self._ours, self._events = replica, ours, events
        self._measures = Measures(lambda: [replica.ledgers[partition] for partition in ours()], counted)
        self._read = meters.following.headway
        replica.listen(self._hear)
        meters.listen(self._metered)

    def _hear(self, logged: LogRecord, record: Record, outcome: Outcome) -> None:
        if logged.partition not in self._ours():
            return
        ledger = self._replica.ledgers[logged.partition]
        self._measures.hear(ledger, record, outcome)
        said = happened(ledger, record, outcome, principal_of(logged))
        if said is not None:
            self._events.tell(said.name, said.by, **said.fields, traceparent=logged.headers.get("traceparent"))

    def _metered(self, reading: MeterReading, _: datetime) -> None:
        if not self._read.has_caught_up:
            return
        if partition_of(reading.zone, TOPICS["dispatch"].partitions) in self._ours():
            fields = {field: getattr(reading, field) for field in _METERED}
            self._events.tell("metered", f"participant:{reading.participant}", zone=reading.zone, **fields)
