"""A folder that was exported, read by somebody who has nothing else: its records, and what is wrong with its files."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from functools import partial
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

from gridsignal_services.audit.checking import Readings
from gridsignal_services.audit.exporting import (
    DISPATCH,
    FILES,
    LINES,
    MANIFEST,
    READINGS,
    SCHEMAS,
    SUMS,
    lines_of,
    sum_of,
)
from gridsignal_services.bus import PRINCIPAL, SIGNATURE, LogConfigurationError, LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.ledger.tree import leaf_of

_SHOWN = 3
"""Changed lines that are told of each file."""
_UNREADABLE = (ValueError, KeyError, TypeError, OverflowError, AttributeError)


class Exported:
    """What lies in a folder. Bounded: one line at a time."""

    def __init__(self, folder: Path) -> None:
        """Raises LogConfigurationError where a file that all else rests on is missing or can't be read."""
        self._folder = folder
        manifest = self._json(MANIFEST)
        try:
            self.zone, self.partition = str(manifest["zone"]), int(manifest["partition"])
            self._kept_from = int(manifest["readings_kept_from"])
            self._counts = {DISPATCH: int(manifest["records"]), READINGS: int(manifest["readings"])}
        except _UNREADABLE:
            raise LogConfigurationError(f"{MANIFEST} was changed: it can't be read") from None

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether something was exported to it, even if files were taken away since."""
        return any((folder / name).exists() for name in (MANIFEST, DISPATCH, SUMS))

    def codec(self) -> Codec:
        """Reads values as schemas.json says. Raises LogConfigurationError."""
        schemas = self._json(SCHEMAS)
        try:
            return Codec.of_schemas({int(schema_id): json.dumps(schema) for schema_id, schema in schemas.items()})
        except (*_UNREADABLE, LogConfigurationError):
            raise LogConfigurationError(f"{SCHEMAS} was changed: its schemas can't be read") from None

    def records(self) -> Iterator[LogRecord]:
        """Those of dispatch.jsonl. Raises LogConfigurationError naming a line that can't be read."""
        return (logged for logged, _ in self._lines(DISPATCH, "dispatch"))

    def leaves(self) -> Iterator[bytes]:
        """The hashes that were kept of them."""
        return (leaf for _, leaf in self._lines(DISPATCH, "dispatch"))

    def readings(self) -> Readings:
        """What the zone's figures are computed again from."""
        lines = partial(self._lines, READINGS, "readings")
        return Readings(lambda: (logged for logged, _ in lines()), are_whole=self._kept_from == 0, zone=self.zone)

    def faults(self) -> Iterator[str]:
        """What is wrong with the readings, which lie under no head of this topic, and with the counts."""
        counts = {DISPATCH: sum(1 for _ in self.records()), READINGS: 0}
        for logged, leaf in self._lines(READINGS, "readings"):
            counts[READINGS] += 1
            if leaf_of(logged) != leaf:
                yield f"the reading at offset {logged.offset} was changed: its hash is another"
        for name, count in counts.items():
            if count != self._counts[name]:
                yield f"{name}: expected {self._counts[name]} lines, as {MANIFEST} says, got {count}"

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self._folder / name).read_bytes())
        except FileNotFoundError:
            raise LogConfigurationError(f"{name} is missing") from None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise LogConfigurationError(f"{name} was changed: it can't be read")
        return found

    def _lines(self, name: str, stream: str) -> Iterator[tuple[LogRecord, bytes]]:
        try:
            file = (self._folder / name).open("rb")
        except FileNotFoundError:
            raise LogConfigurationError(f"{name} is missing") from None
        with file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    headers = {PRINCIPAL: row["principal"]} if row["principal"] else {}
                    headers |= {SIGNATURE: str(row["signature"])} if "signature" in row else {}
                    value = b64decode(row["value"], validate=True)
                    place = (stream, self.partition, int(row["offset"]), str(row["key"]))
                    yield LogRecord(*place, value, int(row["appended_us"]), headers), bytes.fromhex(row["leaf"])
                except _UNREADABLE:
                    which = f", the record at offset {number - 1}," if name == DISPATCH else ""
                    message = f"line {number} of {name}{which} was changed: it can't be read"
                    raise LogConfigurationError(message) from None


def faults_of_files(folder: Path) -> Iterator[str]:
    """What is wrong with the files as such, whatever they say: missing, beside them, or with other bytes; and where."""
    names = (*FILES, LINES, SUMS)
    there = {path.name for path in folder.iterdir()}
    yield from (f"{name} is missing" for name in names if name not in there)
    yield from (f"{name} was added: nothing of that name was exported" for name in sorted(there - {*names}))
    if SUMS not in there:
        return
    rows = (folder / SUMS).read_bytes().decode("utf-8", "replace").splitlines(keepends=True)
    expected = [f"  {name}\n" for name in (*FILES, LINES)]
    for number, (row, ending) in enumerate(zip_longest(rows, expected, fillvalue=""), 1):
        name = ending.strip()
        if row[64:] != ending:
            yield f"line {number} of {SUMS} was changed: expected a sum of {name or 'nothing more'}"
        elif name in there and row[:64] != sum_of(folder / name):
            yield f"{name} or its line in {SUMS} was changed: its sum is another"
    if there >= {*FILES, LINES}:
        yield from _changed_lines(folder)


def _changed_lines(folder: Path) -> Iterator[str]:
    """Of each file the first lines whose sum is not the one that was kept.

    Both lists are gone through side by side, file by file: what was added to or taken out of one moves no other.
    """
    told = dict.fromkeys(FILES, 0)
    for name, lines in groupby(lines_of(folder), key=_file_of):
        for now, kept in zip_longest(lines, _kept_lines(folder, name)):
            if now != kept and told[name] < _SHOWN:
                told[name] += 1
                yield _changed(now or kept or "")


def _kept_lines(folder: Path, name: str) -> Iterator[str]:
    with (folder / LINES).open(encoding="utf-8", errors="replace", newline="\n") as file:
        for row in file:
            if _file_of(row) == name:
                yield row.removesuffix("\n")


def _file_of(line: str) -> str:
    return line.partition("  ")[2].partition(":")[0]


def _changed(line: str) -> str:
    name, _, number = line.partition("  ")[2].partition(":")
    which = f", the record at offset {int(number) - 1}," if name == DISPATCH and number.isdecimal() else ""
    return f"line {number} of {name}{which} or its line in {LINES} was changed"
