"""A month on a log: sites that are metered all the time and are called now and then, written straight to its file."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any

import fastavro

from gridsignal_schemas.catalog import TOPICS, avro_schema, partition_of
from gridsignal_schemas.messages import Record
from gridsignal_schemas.records import field_of
from gridsignal_schemas.values import MW
from gridsignal_services.bus import sqlite_file
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.private_files import make_private
from gridsignal_services.bus.publish import headers_of
from gridsignal_services.clock import micros
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.registry import ParticipantEntry, Registry, SiteEntry, example_registry
from gridsignal_services.settlement.pinned import STANDARD_RULE
from tests.builders import a_meter_reading, utc
from tests.unit.ledger.market import Market

ZONE = "DE-LU"
HOUR = timedelta(hours=1)
_START = utc("2024-05-01T00:00")
_MOST_A_DAY = 8
"""Orders of a site: each takes three hours from its request to its end."""
CALLED_W, DRAWN_W = MW, 40 * MW
_SOURCE = "/benchmark"


@dataclass(frozen=True, slots=True)
class Month:
    """What is on the log."""

    sites: int
    days: int
    orders: int
    """Of each site, an hour each."""
    reading_s: int = 60

    def __post_init__(self) -> None:
        """Raises ValueError for more orders than there is room for."""
        if not 1 <= self.orders <= _MOST_A_DAY * self.days:
            message = f"expected from 1 to {_MOST_A_DAY * self.days} orders in {self.days} days, got {self.orders}"
            raise ValueError(message)

    @property
    def readings(self) -> int:
        """Of all sites."""
        return self.sites * self.days * 86_400 // self.reading_s

    @property
    def ends_at(self) -> datetime:
        """When a first version of every settlement is owed."""
        return self.called_at(self.orders - 1) + 3 * HOUR

    def called_at(self, order: int) -> datetime:
        """When the sites' order of this number begins."""
        return _START + 2 * HOUR + timedelta(hours=order * 24 * self.days // self.orders)

    def registry(self) -> Registry:
        """Who and what there is."""
        names = [f"p{number}" for number in range(self.sites)]
        place = {"zone": ZONE, "capacity_w": 60 * MW, "minimum_load_w": 12 * MW}
        sites = {f"{name}-1": SiteEntry.model_validate({"participant": name} | place) for name in names}
        participants = {name: ParticipantEntry.model_validate({"zones": [ZONE]}) for name in names}
        return example_registry().model_copy(update={"participants": participants, "sites": sites})


def write(directory: Path, month: Month) -> None:
    """Makes the log's file."""
    codec = Codec.from_lock()
    make_private(directory / sqlite_file.FILE)
    with closing(sqlite_file.connect(directory / sqlite_file.FILE)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # it is read by this benchmark alone
        contents = sqlite_file.create_or_check(connection, "")
        _Market(month, _Writer(connection, contents, "dispatch").add).write(codec)
        written = _Writer(connection, contents, "readings")
        for at, readings in _readings(month, codec):
            written.add(at, readings)


class _Writer:
    """Writes what follows on the zone's partition of a stream."""

    def __init__(self, connection: sqlite3.Connection, contents: sqlite_file.Contents, stream: str) -> None:
        self._connection = connection
        self._next = contents.lanes[stream, partition_of(ZONE, TOPICS[stream].partitions)].first

    def add(self, at: datetime, rows: list[tuple[str, bytes]]) -> None:
        """Headers and values, logged at a moment."""
        places = range(self._next, self._next + len(rows))
        sqlite_file.commit(
            self._connection,
            [(place, micros(at), ZONE, headers, value) for place, (headers, value) in zip(places, rows, strict=True)],
        )
        self._next += len(rows)


class _Market(Market):
    """The zone's ledger; what is logged is written."""

    def __init__(self, month: Month, add: Callable[[datetime, list[tuple[str, bytes]]], None]) -> None:
        super().__init__()
        self._month, self._write = month, add
        self.now = _START
        self._logged: list[tuple[datetime, Record, str]] = []

    def add(self, record: Record, principal: str = "service:test") -> Outcome:
        outcome = super().add(record, principal)
        self._logged.append((self.now, record, principal))
        self.log.clear()
        return outcome

    def write(self, codec: Codec) -> None:
        """The sites, their baselines, and what they were asked and told."""
        names = [f"p{number}" for number in range(self._month.sites)]
        baseline = {"starts_at": _START, "resolution_s": 900}
        for name in names:
            self.site(name, zone=ZONE, capacity_w=60 * MW, minimum_load_w=12 * MW)
        for number in range(self._month.orders):
            starts_at = self._month.called_at(number)
            self.run_until(starts_at - 2 * HOUR)
            baseline["starts_at"] = starts_at.replace(hour=0)
            for name in names:
                self.baseline(name, DRAWN_W, **baseline)
            self._order(number, starts_at, names)
            self._flush(codec)
        self.run_until(self._month.ends_at)
        self._flush(codec)

    def _order(self, number: int, starts_at: datetime, names: list[str]) -> None:
        period: dict[str, Any] = {"starts_at": starts_at, "ends_at": starts_at + HOUR}
        gate, request = starts_at - HOUR, f"request-{number}"
        deadlines = {"gate_closure_at": gate, "decision_deadline": gate + HOUR / 6}
        asked = self.ask(
            request_id=request,
            zone=ZONE,
            power_w=len(names) * CALLED_W,
            settlement=STANDARD_RULE,
            **deadlines,
            **period,
        )
        assert asked.accepted, asked.faults
        for at, name in enumerate(names):
            fields = {"offer_id": f"{request}-{name}", "request_id": request, "expires_at": period["ends_at"]}
            made = self.offer(name, CALLED_W, str(50 + at % 40), zone=ZONE, **fields, **period)
            assert not made.faults, made.faults
        self.run_until(gate)
        for tracked in list(self.ledger.orders.values()):
            if tracked.order.request_id == request:
                assert self.reply(tracked.order, "ACCEPTED", response_id=tracked.order.order_id, zone=ZONE).accepted
        self.run_until(period["ends_at"])

    def _flush(self, codec: Codec) -> None:
        for at, record, principal in self._logged:
            headers = json.dumps(headers_of(record, principal=principal, source=_SOURCE))
            assert field_of(record, "zone") == ZONE
            self._write(at, [(headers, codec.encode(record))])
        self._logged.clear()


def _readings(month: Month, codec: Codec) -> Iterator[tuple[datetime, list[tuple[str, bytes]]]]:
    """Those of all sites, interval by interval: less than drawn while they are called, and never quite the same."""
    chance, length = random.Random(1), timedelta(seconds=month.reading_s)
    called = {
        month.called_at(number) + each * length for number in range(month.orders) for each in range(HOUR // length)
    }
    firsts = [
        a_meter_reading(zone=ZONE, participant=f"p{number}", site=f"p{number}-1", register_wh=None)
        for number in range(month.sites)
    ]
    headers = [
        json.dumps(headers_of(first, principal=f"participant:{first.participant}", source=_SOURCE)) for first in firsts
    ]
    framing, schema = codec.encode(firsts[0])[:5], fastavro.parse_schema(avro_schema("MeterReading"))
    fields = [first.model_dump() for first in firsts]
    for seq in range(month.days * 86_400 // month.reading_s):
        starts_at = _START + seq * length
        drawn_w = DRAWN_W - (CALLED_W if starts_at in called else 0)
        rows = []
        for said, header in zip(fields, headers, strict=True):
            said |= {"starts_at": starts_at, "ends_at": starts_at + length, "seq": seq}
            said["import_w"] = drawn_w + chance.randrange(-CALLED_W // 4, CALLED_W // 4)
            out = BytesIO(framing)
            out.seek(0, SEEK_END)
            fastavro.schemaless_writer(out, schema, said)
            rows.append((header, out.getvalue()))
        yield starts_at + length, rows


def values(directory: Path, most: int) -> Iterator[bytes]:
    """The first readings, as they lie on the log."""
    with closing(sqlite_file.connect(directory / sqlite_file.FILE)) as connection:
        contents = sqlite_file.create_or_check(connection, "")
        lane = contents.lanes["readings", partition_of(ZONE, TOPICS["readings"].partitions)]
        rows = connection.execute("SELECT value FROM records WHERE place >= ? LIMIT ?", (lane.first, most))
        for (value,) in rows:
            yield value
