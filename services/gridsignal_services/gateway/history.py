"""What a stream has lately carried: entries rendered once, a ring to resume from, the place of its head."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime

from gridsignal_schemas.messages import GridAlert, Record
from gridsignal_schemas.records import facet_of, identity_of, row_of
from gridsignal_services.access import NOBODY, Audience
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import schema_id_of
from gridsignal_services.gateway.cursor import Place, advanced, place_of

_WEIGHT_OF_OBJECTS = 600
_WEIGHT_OF_VALUE = 20  # a decoded record and its JSON, in multiples of the Avro value; measured on prices


class StreamEntry:
    """One record of a stream as the gateway keeps it; one that is delivered to nobody is only an offset.

    The JSON of the body is made once, when somebody first needs it, and then takes the record's place.
    """

    __slots__ = (
        "_body", "appended_us", "audience", "facet", "name", "offset", "partition", "provider", "record", "series",
        "valid_until", "value", "zone",
    )  # fmt: skip

    def __init__(self, logged: LogRecord, record: Record | None, audience: Audience = NOBODY) -> None:
        self.partition = logged.partition
        self.offset = logged.offset
        self.appended_us = logged.appended_us
        self.record = record
        self.audience = audience
        self.value = logged.value if record is not None else b""
        self.name = record.record_name if record is not None else ""
        self.zone: str = getattr(record, "zone", "")
        self.provider: str = getattr(record, "provider", "")
        self.facet = facet_of(record) if record is not None else None
        self.series = series_of(record)
        self.valid_until: datetime | None = getattr(record, "valid_until", None)
        self._body: bytes | None = None

    @property
    def is_deliverable(self) -> bool:
        return bool(self.value)

    def is_over(self, now: datetime) -> bool:
        """Whether nobody is sent it any more."""
        return self.valid_until is not None and self.valid_until <= now

    @property
    def schema_id(self) -> int:
        return schema_id_of(self.value)

    def body(self) -> bytes:
        """The body's JSON; fields that are null are left out."""
        if self._body is None:
            assert self.record is not None, "an entry that is delivered to nobody has no body"
            self._body = body_of(self.record)
            self.record = None
        return self._body

    def framed(self) -> bytes:
        """The Avro value with its framing."""
        return self.value

    @property
    def weight(self) -> int:
        """Roughly what it takes in memory, in bytes."""
        return _WEIGHT_OF_OBJECTS + _WEIGHT_OF_VALUE * len(self.value)


class StateEntry(StreamEntry):
    """One record of a stream's present state, which is on no log as it is: its Avro is made when somebody needs it."""

    __slots__ = ("__weakref__", "_encode", "of")

    def __init__(self, record: Record, audience: Audience, encode: Callable[[Record], bytes]) -> None:
        super().__init__(LogRecord("dispatch", 0, 0, getattr(record, "zone", ""), b"", 0), record, audience)
        self._encode = encode
        self.of = record

    @property
    def is_deliverable(self) -> bool:
        return True

    def framed(self) -> bytes:
        if not self.value:
            self.value = self._encode(self.of)
        return self.value


def body_of(record: Record) -> bytes:
    """A record as a signal's body."""
    return record.model_dump_json(exclude_none=True).encode()


def series_of(record: Record | None) -> str | None:
    """Of which series a newer record makes this one obsolete; None where every record counts."""
    return identity_of(record) if record is not None and row_of(record).newest_until is not None else None


def ended_by(record: Record | None) -> str | None:
    """The identity of the alert that this one ends: of the same provider and zone."""
    if isinstance(record, GridAlert) and record.supersedes is not None:
        return identity_of(record.model_copy(update={"alert_id": record.supersedes}))
    return None


class Ring:
    """The latest records of one stream, by partition and offset, complete from `low` on.

    Bounded by `records` and `weight`. When full: the oldest go, and `low` tells from where it is complete.
    Conflates: nothing.
    """

    def __init__(self, start: Mapping[int, int], *, records: int, weight: int) -> None:
        self.low = dict(start)
        self._kept: dict[int, list[StreamEntry]] = {partition: [] for partition in start}
        self._first = dict.fromkeys(start, 0)
        self._arrival: deque[int] = deque()
        self._records = records
        self._weight = weight
        self._weighs = 0

    def add(self, entry: StreamEntry) -> None:
        """Offsets of a partition only grow; one seen before is ignored."""
        kept = self._kept[entry.partition]
        if entry.offset < self.low[entry.partition] or (kept and entry.offset <= kept[-1].offset):
            return
        kept.append(entry)
        self._arrival.append(entry.partition)
        self._weighs += entry.weight
        while len(self._arrival) > self._records or (self._weighs > self._weight and len(self._arrival) > 1):
            self._drop(self._arrival.popleft())

    def _drop(self, partition: int) -> None:
        kept, first = self._kept[partition], self._first[partition]
        self._weighs -= kept[first].weight
        self.low[partition] = kept[first].offset + 1
        self._first[partition] = first + 1
        if first > 512 and first > len(kept) // 2:  # forget in lumps: each entry is moved once at most
            del kept[: first + 1]
            self._first[partition] = 0

    def covers(self, positions: tuple[int, ...]) -> bool:
        """Whether everything from these positions on is here."""
        return all(positions[partition] >= low for partition, low in self.low.items())

    def after(self, partition: int, position: int, limit: int) -> list[StreamEntry]:
        """At most `limit` entries of a partition from this position on."""
        kept = self._kept[partition]
        at = bisect_left(kept, position, lo=self._first[partition], key=_offset)
        return kept[at : at + limit]

    def appended_us(self, partition: int, offset: int) -> int | None:
        """The append time of exactly this record; None where it is not here."""
        found = self.after(partition, offset, 1)
        return found[0].appended_us if found and found[0].offset == offset else None


def _offset(entry: StreamEntry) -> int:
    return entry.offset


class Stream:
    """One stream as far as this gateway has read it.

    Bounded by its ring. When full: see there. Conflates: nothing.
    """

    def __init__(self, name: str, start: Mapping[int, int], *, records: int, weight: int) -> None:
        self.name = name
        self.head: Place = place_of(start)
        """Behind the last record read: where every group of the stream stands."""
        self.ring = Ring(start, records=records, weight=weight)

    def move(self, entry: StreamEntry) -> None:
        """Takes in the next record of its partition."""
        self.ring.add(entry)
        self.head = advanced(self.head, entry.partition, entry.offset, entry.appended_us)

    def behind(self, place: Place) -> int:
        """How many offsets lie between a place and the head."""
        return sum(max(0, head - at) for head, at in zip(self.head.positions, place.positions, strict=True))

    def has_passed(self, place: Place) -> bool:
        """Whether everything before the place has been read."""
        return all(head >= at for head, at in zip(self.head.positions, place.positions, strict=True))
