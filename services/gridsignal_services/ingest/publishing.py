"""From records to the log: each is judged, what is new is appended, what it replaces is ended.

Bounded: one batch at a time, everybody else waits; of what was published here, what is not read back yet. When full: as
above. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from gridsignal_schemas.catalog import TOPIC_OF_RECORD, TOPICS, partition_of
from gridsignal_schemas.messages import GridAlert, Record
from gridsignal_services.bus import Log, LogRecord, LogUnavailable
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import append
from gridsignal_services.clock import Clock, steady_s
from gridsignal_services.following import Following
from gridsignal_services.ingest.closing import superseded
from gridsignal_services.ingest.intake import Intake, IntakeBatch
from gridsignal_services.ingest.metrics import Metrics
from gridsignal_services.ingest.quarantine import QuarantinedRecord
from gridsignal_services.ingest.revisions import News
from gridsignal_services.ledger.writers import INGEST
from gridsignal_services.supervised import supervise
from gridsignal_services.telemetry import Outage, logger
from gridsignal_services.work import NOBODYS, Work

SIGNALS = ("prices", "carbon", "alerts")
_LOG_PAUSE_S = 1.0
_READ_BACK_S = 10.0
"""So long a batch waits for all to be known that was published before it."""

_log = logger("ingest")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where records come from: the feed and signal they are counted under, the zone asked for, who answers for them."""

    provider: str
    signal: str
    zone: str | None = None
    principal: str = INGEST


class Publishing:
    """Judges records and puts them on the log, while it runs. `streams` are followed.

    So several processes may publish: each judges by what all of them have published.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        clock: Clock,
        *,
        intake: Intake | None = None,
        metrics: Metrics | None = None,
        streams: Sequence[str] = SIGNALS,
        now_s: Callable[[], float] = steady_s,
    ) -> None:
        self._log, self._codec, self._clock = log, codec, clock
        self.intake = intake or Intake()
        self.metrics = metrics or Metrics()
        self._turn = asyncio.Lock()
        self.followed = {
            stream: Following(
                log, codec, stream, partial(self._learn, stream), _log, by="feeds", begins_again=True, now_s=now_s
            )
            for stream in streams
        }
        self._known: dict[tuple[str, int], int] = {}
        """By stream and partition, the offset up to which the log was read."""
        self._ahead: set[tuple[str, int, int]] = set()
        """By stream, partition and offset, what was published here and is not read back yet."""

    async def run(self) -> None:
        """Learns for ever what is published, by whomever."""
        async with asyncio.TaskGroup() as tasks:
            for stream, each in self.followed.items():
                tasks.create_task(supervise(stream, each.run()))

    async def caught_up(self) -> None:
        """Returns once everything is known that was published when it began to run."""
        for each in self.followed.values():
            await each.caught_up()

    async def _know(self, zones: Iterable[str]) -> None:
        """Returns once all is known that was published of these zones, so that nothing is repeated.

        Raises LogUnavailable.
        """
        together = frozenset(zones)
        for stream, each in self.followed.items():
            count = TOPICS[stream].partitions
            await each.reach_end({partition_of(zone, count) for zone in together}, _READ_BACK_S)

    async def _learn(self, stream: str, records: list[LogRecord]) -> None:
        for logged in records:
            record, place = await self.followed[stream].read(logged), (stream, logged.partition, logged.offset)
            if place in self._ahead:
                self._ahead.remove(place)
            elif record is not None:
                self.intake.learn(record)
            self._known[stream, logged.partition] = logged.offset + 1

    async def take(self, records: Iterable[Record], origin: Origin, work: Work = NOBODYS) -> IntakeBatch:
        """Judges a batch and publishes what is new in it, at the expense of `work`; returns once all of it is logged.

        Raises LogUnavailable when the log is away; what was acknowledged until then stays.
        """
        batch, together = IntakeBatch(), _oldest_notice_first(records)
        await self._know(map(zone_of, together))
        async with self._turn:
            for record in together:
                await self._take(record, origin, batch, work)
                if isinstance(record, GridAlert):
                    for over in superseded(record, self.intake.revisions):
                        await self._take(over, origin, batch, work)
        return batch

    async def _take(self, record: Record, origin: Origin, batch: IntakeBatch, work: Work) -> None:
        with work.here():
            verdict = self.intake.judge(record, origin.zone, self._clock.now())
        await work.breath()
        if isinstance(verdict, QuarantinedRecord):
            batch.set_aside.append(verdict)
            self._tell_set_aside(verdict, origin)
            return
        if verdict.outliers is not None:
            batch.outliers.append(verdict.outliers)
            self._tell_set_aside(verdict.outliers, origin)
        if verdict.publish is None:
            batch.known += verdict.news is News.KNOWN
            batch.lower += verdict.news is News.LOWER
        else:
            await self._publish(verdict.publish, verdict.news, origin, work)
            batch.published.append((verdict.news, verdict.publish))

    async def _publish(self, record: Record, news: News, origin: Origin, work: Work) -> None:
        source = f"/ingest/{origin.provider}"
        value = await work.away(self._codec.encode, record)
        appended = await append(self._log, record, value, principal=origin.principal, source=source)
        stream = TOPIC_OF_RECORD[record.record_name].stream
        if self._known.get((stream, appended.partition), 0) <= appended.offset:  # else it was read back by now
            self.intake.learn(record)
            if stream in self.followed:
                self._ahead.add((stream, appended.partition, appended.offset))
        self.metrics.published(origin.provider, zone_of(record), origin.signal, news)

    def _tell_set_aside(self, aside: QuarantinedRecord, origin: Origin) -> None:
        zone = zone_of(aside.record)
        self.metrics.quarantined(origin.provider, zone, origin.signal, aside.reasons)
        _log.warning(
            "set aside", provider=origin.provider, zone=zone, reasons=[reason.text for reason in aside.reasons]
        )

    async def until_the_log_is_back(self, fault: LogUnavailable, zones: Iterable[str]) -> None:
        """Waits and reads back: whether the append under way was logged is unknown until then."""
        together = sorted(set(zones))
        outage = Outage(_log, "log", zones=together)
        outage.say(fault)
        while True:
            await asyncio.sleep(_LOG_PAUSE_S)
            try:
                await self._know(together)
            except LogUnavailable as still:
                outage.say(still)
            else:
                return outage.over()


def zone_of(record: Record) -> str:
    """The zone it is of, or nothing."""
    zone: str = getattr(record, "zone", "")
    return zone


def _oldest_notice_first(records: Iterable[Record]) -> list[Record]:
    # feeds list the newest notice first, but a notice can only replace one that was told before it
    together = list(records)
    notices = iter(sorted((r for r in together if isinstance(r, GridAlert)), key=lambda alert: alert.issued_at))
    return [next(notices) if isinstance(record, GridAlert) else record for record in together]
