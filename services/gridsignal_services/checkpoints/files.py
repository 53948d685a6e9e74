"""A checkpoint as a file: the hash of all that follows, a line that says what it is of, and the pieces of the state."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Self

from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.private_files import sync
from gridsignal_services.checkpoints.lines import Piece, written

_HASH = 64
_BEGIN = _HASH + 1
_LONGEST_HEAD = 4096
_SUFFIX = ".checkpoint"
_BUFFER = 1 << 20


class Unfit(Exception):
    """The file can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a checkpoint is of."""

    partition: int
    position: int
    """The next offset to be reduced."""
    last: str
    """The digest of the record before it: another log has another one there."""
    stamp: str
    """Of which log, and by which code."""

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.partition:04}-{self.position:016}{_SUFFIX}"


@dataclass(frozen=True, slots=True)
class Found:
    """A file, and what it says it is of."""

    path: Path
    head: Head

    @classmethod
    def at(cls, path: Path) -> Self:
        """Raises Unfit for a file that says nothing of the kind, OSError where it can't be read."""
        try:
            with path.open("rb") as file:
                file.seek(_BEGIN)
                head = Head(**json.loads(file.readline(_LONGEST_HEAD)))
                partition, position = path.name.removesuffix(_SUFFIX).split("-")
                if (int(partition), int(position)) != (head.partition, head.position) or not _is_offset(head.position):
                    raise Unfit("its name says another position than it does")
        except (ValueError, TypeError, RecursionError):
            raise Unfit("it is torn, or was changed") from None
        return cls(path, head)

    def lines(self) -> Iterator[bytes]:
        """The pieces of the state. Raises Unfit before the first one where the file is not as it was written."""
        with self.path.open("rb") as file:
            digest = file.read(_BEGIN).strip()
            if digest != file_digest(file, sha256).hexdigest().encode():
                raise Unfit("it is torn, or was changed")
            file.seek(_BEGIN)
            file.readline()
            yield from file


def _is_offset(position: object) -> bool:
    return type(position) is int and position >= 1


def files_in(directory: Path, partition: int | None = None) -> list[Path]:
    """The checkpoints in a directory, of one partition or of all; of one partition the newest last."""
    return sorted(directory.glob(f"{'*' if partition is None else f'{partition:04}-*'}{_SUFFIX}"))


def write(directory: Path, head: Head, pieces: Iterable[Piece]) -> None:
    """Puts a checkpoint into the directory, whole or not at all. Raises OSError."""
    draft, digest = directory / f"{head.name}.draft", sha256()
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", _BUFFER) as file:
        file.write(b" " * _HASH + b"\n")
        for line in (json.dumps(asdict(head)).encode() + b"\n", *written(pieces)):
            digest.update(line)
            file.write(line)
        file.seek(0)
        file.write(digest.hexdigest().encode())
        file.flush()
        os.fsync(file.fileno())
    draft.rename(directory / head.name)
    sync(directory)


def digest_of(record: LogRecord) -> str:
    """What tells a record of this log from one of another."""
    return sha256(f"{record.partition} {record.offset} {record.appended_us} ".encode() + record.value).hexdigest()
