"""What a third party gets of a log: one folder of plain files, which proves itself with nothing else at hand.

dispatch.jsonl has every record of the zone's partition from the first to the first head after the period, for the
ledger needs its beginning; readings.jsonl what meters said of the period, and of the times that settlements and
baselines before it are from; schemas.json how values are read.
"""

from __future__ import annotations

import json
from base64 import b64encode
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any
from zlib import crc32

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import GridClock, MeterReading, TreeHead
from gridsignal_schemas.values import rfc3339
from gridsignal_services.audit.checking import stretches_of
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec, Poison, schema_id_of
from gridsignal_services.bus.publish import principal_of, signature_of
from gridsignal_services.bus.reading import LogReading
from gridsignal_services.clock import grid_time
from gridsignal_services.ledger.tree import leaf_of

MANIFEST, SUMS, LINES = "manifest.json", "SHA256SUMS", "lines.crc32"
DISPATCH, READINGS, SCHEMAS = "dispatch.jsonl", "readings.jsonl", "schemas.json"
FILES = (MANIFEST, DISPATCH, READINGS, SCHEMAS)
"""Those with something to say, each of whose lines has a sum."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is exported."""

    zone: str
    begin: datetime
    end: datetime

    @property
    def partition(self) -> int:
        """Of the dispatch stream and of the readings."""
        return partition_of(self.zone, TOPICS["dispatch"].partitions)


class Stretches:
    """Times at sites, to be asked by a reading. Bounded: by what they are made of, which overlaps no more."""

    def __init__(self, stretches: Iterable[tuple[str, datetime, datetime]]) -> None:
        self._ends: dict[str, dict[datetime, datetime]] = {}
        for site, starts_at, ends_at in sorted(stretches):
            of_site = self._ends.setdefault(site, {})
            last = next(reversed(of_site), None)
            if last is not None and of_site[last] >= starts_at:
                of_site[last] = max(of_site[last], ends_at)
            else:
                of_site[starts_at] = ends_at
        self._starts = {site: list(of_site) for site, of_site in self._ends.items()}

    def touch(self, reading: MeterReading) -> bool:
        """Whether it says something of one of them."""
        starts = self._starts.get(reading.site, [])
        before = bisect_left(starts, reading.ends_at)
        return before > 0 and self._ends[reading.site][starts[before - 1]] > reading.starts_at


def export(log: LogReading, codec: Codec, wish: Wish, folder: Path) -> dict[str, Any]:
    """Writes the folder, which must not be there yet; its manifest. Raises OSError, LogUnavailable."""
    folder.mkdir(mode=0o700, parents=True)
    ids: set[int] = set()
    first, _ = log.bounds("readings", wish.partition)
    records = partial(_records, log, codec, wish)
    wanted = Stretches(stretches_of(wish.partition, codec, records, wish.zone))
    counts = {
        "records": _write(folder / DISPATCH, records(), ids),
        "readings": _write(folder / READINGS, _readings(log, codec, wish, wanted), ids),
    }
    schemas = {str(each): json.loads(codec.schema_text(each)) for each in sorted(ids) if codec.knows(each)}
    _write_json(folder / SCHEMAS, schemas)
    manifest = {
        "gridsignal": "export",
        "version": 2,
        "log": log.epoch,
        "zone": wish.zone,
        "partition": wish.partition,
        "from": rfc3339(wish.begin),
        "to": rfc3339(wish.end),
        **counts,
        "readings_kept_from": first,
    }
    _write_json(folder / MANIFEST, manifest)
    (folder / LINES).write_text("".join(f"{line}\n" for line in lines_of(folder)), "utf-8")
    (folder / SUMS).write_text("".join(f"{sum_of(folder / name)}  {name}\n" for name in (*FILES, LINES)), "utf-8")
    return manifest


def _records(log: LogReading, codec: Codec, wish: Wish) -> Iterator[LogRecord]:
    grid: GridClock | None = None
    heads = codec.framings_of(TreeHead)
    for logged in log.records("dispatch", wish.partition):
        if logged.offset == 0:
            grid = _grid(codec, logged)
        yield logged
        if grid_time(grid, logged.appended_us) >= wish.end and logged.value[:5] in heads:
            return


def _grid(codec: Codec, first: LogRecord) -> GridClock | None:
    try:
        record = codec.decode(first.value)
    except Poison:
        return None
    return record if isinstance(record, GridClock) else None


def _readings(log: LogReading, codec: Codec, wish: Wish, wanted: Stretches) -> Iterator[LogRecord]:
    for logged in log.records("readings", wish.partition):
        try:
            reading = codec.decode(logged.value)
        except Poison:
            continue
        if not isinstance(reading, MeterReading) or reading.zone != wish.zone:
            continue
        is_of_period = reading.starts_at < wish.end and reading.ends_at > wish.begin
        if is_of_period or wanted.touch(reading):
            yield logged


def _write(path: Path, records: Iterable[LogRecord], ids: set[int]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for count, logged in enumerate(records, 1):  # noqa: B007 - it is what is returned
            file.write(json.dumps(_line(logged)) + "\n")
            if logged.value[:1] == b"\0" and len(logged.value) >= 5:
                ids.add(schema_id_of(logged.value))
    return count


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _line(logged: LogRecord) -> dict[str, Any]:
    signature = signature_of(logged)
    return {
        "offset": logged.offset,
        "appended_us": logged.appended_us,
        "key": logged.key,
        "principal": principal_of(logged),
        "value": b64encode(logged.value).decode(),
        "leaf": leaf_of(logged).hex(),
        **({} if signature is None else {"signature": signature}),
    }


def sum_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return file_digest(file, sha256).hexdigest()


def lines_of(folder: Path) -> Iterator[str]:
    """The CRC-32 of each line of each file, in their order, with its place. Raises OSError."""
    for name in FILES:
        with (folder / name).open("rb") as file:
            for number, line in enumerate(file, 1):
                yield f"{crc32(line):08x}  {name}:{number}"
