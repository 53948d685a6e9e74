"""What a third party gets of a log: one folder of plain files, which proves itself with nothing else at hand.

dispatch.jsonl has every record of the zone's partition from the first to the first head after the period, for the
ledger needs its beginning; readings.jsonl what meters said of the period; schemas.json how values are read.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import GridClock, MeterReading, TreeHead
from gridsignal_schemas.values import rfc3339
from gridsignal_services.bus import PRINCIPAL, LogConfigurationError, LogRecord
from gridsignal_services.bus.codec import Codec, Poison, schema_id_of
from gridsignal_services.bus.publish import principal_of
from gridsignal_services.bus.sqlite_reading import LogReading
from gridsignal_services.clock import grid_time
from gridsignal_services.ledger.tree import leaf_of

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
_DISPATCH, _READINGS, _SCHEMAS = "dispatch.jsonl", "readings.jsonl", "schemas.json"
_FILES = (MANIFEST, _DISPATCH, _READINGS, _SCHEMAS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported."""

    zone: str
    begin: datetime
    end: datetime

    @property
    def partition(self) -> int:
        """Of the dispatch stream and of the readings."""
        return partition_of(self.zone, TOPICS["dispatch"].partitions)


def export(log: LogReading, codec: Codec, wanted: Wanted, folder: Path) -> dict[str, Any]:
    """Writes the folder, which must not be there yet; its manifest. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True)
    ids: set[int] = set()
    counts = {
        "records": _write(folder / _DISPATCH, _records(log, codec, wanted), ids),
        "readings": _write(folder / _READINGS, _readings(log, codec, wanted), ids),
    }
    schemas = {str(each): json.loads(codec.schema_text(each)) for each in sorted(ids) if codec.knows(each)}
    (folder / _SCHEMAS).write_text(json.dumps(schemas, indent=1) + "\n", "utf-8")
    manifest = {
        "gridsignal": "export",
        "version": 1,
        "log": log.epoch,
        "zone": wanted.zone,
        "partition": wanted.partition,
        "from": rfc3339(wanted.begin),
        "to": rfc3339(wanted.end),
        **counts,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
    sums = [f"{_sum_of(folder / name)}  {name}\n" for name in _FILES]
    (folder / SUMS).write_text("".join(sums), "utf-8")
    return manifest


def _records(log: LogReading, codec: Codec, wanted: Wanted) -> Iterator[LogRecord]:
    grid: GridClock | None = None
    heads = codec.framings_of(TreeHead)
    for logged in log.records("dispatch", wanted.partition):
        if logged.offset == 0:
            grid = _grid(codec, logged)
        yield logged
        if grid_time(grid, logged.appended_us) >= wanted.end and logged.value[:5] in heads:
            return


def _grid(codec: Codec, first: LogRecord) -> GridClock | None:
    try:
        record = codec.decode(first.value)
    except Poison:
        return None
    return record if isinstance(record, GridClock) else None


def _readings(log: LogReading, codec: Codec, wanted: Wanted) -> Iterator[LogRecord]:
    for logged in log.records("readings", wanted.partition):
        try:
            reading = codec.decode(logged.value)
        except Poison:
            continue
        if not isinstance(reading, MeterReading) or reading.zone != wanted.zone:
            continue
        if reading.starts_at < wanted.end and reading.ends_at > wanted.begin:
            yield logged


def _write(path: Path, records: Iterable[LogRecord], ids: set[int]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for count, logged in enumerate(records, 1):  # noqa: B007 - it is what is returned
            file.write(json.dumps(_line(logged)) + "\n")
            if logged.value[:1] == b"\0" and len(logged.value) >= 5:
                ids.add(schema_id_of(logged.value))
    return count


def _line(logged: LogRecord) -> dict[str, Any]:
    return {
        "offset": logged.offset,
        "appended_us": logged.appended_us,
        "key": logged.key,
        "principal": principal_of(logged),
        "value": b64encode(logged.value).decode(),
        "leaf": leaf_of(logged).hex(),
    }


def _sum_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, sha256).hexdigest()


class Exported:
    """A folder that was exported."""

    def __init__(self, folder: Path) -> None:
        """Raises LogConfigurationError for one that has no manifest of ours, OSError where it can't be read."""
        self._folder = folder
        try:
            self.manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
            self.partition = int(self.manifest["partition"])
        except (ValueError, KeyError, TypeError):
            raise LogConfigurationError(f"{folder / MANIFEST} was changed: it can't be read") from None

    def records(self) -> Iterator[LogRecord]:
        """Those of dispatch.jsonl. Raises LogConfigurationError naming a line that can't be read."""
        return (logged for logged, _ in self._lines(_DISPATCH, "dispatch"))

    def leaves(self) -> Iterator[bytes]:
        """The hashes that were kept of them; ends where the first can't be read."""
        return (leaf for _, leaf in self._lines(_DISPATCH, "dispatch"))

    def faults(self) -> Iterator[str]:
        """What is wrong with the files as such, and with the readings, which lie under no head of this topic."""
        try:
            for logged, leaf in self._lines(_READINGS, "readings"):
                if leaf_of(logged) != leaf:
                    yield f"the reading at offset {logged.offset} was changed: its hash is another"
        except LogConfigurationError as broken:
            yield str(broken)
        stated = {name: digest for digest, name in self._sums()}
        for name in _FILES:
            if stated.get(name) != _sum_of(self._folder / name):
                yield f"{name} or its line in {SUMS} was changed: its sum is another"

    def _sums(self) -> Iterator[tuple[str, str]]:
        for line in (self._folder / SUMS).read_text("utf-8", errors="replace").splitlines():
            digest, _, name = line.partition("  ")
            yield digest, name

    def _lines(self, name: str, stream: str) -> Iterator[tuple[LogRecord, bytes]]:
        with (self._folder / name).open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    headers = {PRINCIPAL: row["principal"]} if row["principal"] else {}
                    value = b64decode(row["value"], validate=True)
                    place = (stream, self.partition, int(row["offset"]), str(row["key"]))
                    yield LogRecord(*place, value, int(row["appended_us"]), headers), bytes.fromhex(row["leaf"])
                except (ValueError, KeyError, TypeError, OverflowError):
                    which = f", the record at offset {number - 1}," if name == _DISPATCH else ""
                    message = f"line {number} of {name}{which} was changed: it can't be read"
                    raise LogConfigurationError(message) from None
