"""The port to the log: partitioned, append-only, durable, the same for the embedded log and for Kafka.

Streams are named as in topics.toml ("prices", "dispatch", ...); the topic's real name, and the prefix a simulation
puts before it, are known to the implementation alone.

Bounded: `read` returns at most `limit` records; `append` waits while the writer is behind.
When full: the caller waits, nothing is dropped. Conflates: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gridsignal_services.bus.condition import Condition

PRINCIPAL = "gridsignal_principal"
"""The header that names who caused a record."""
SIGNATURE = "gridsignal_signature"
"""The header with the signature of the participant whose word a record is, where there is one."""
SERVICE = "service:"
"""What the names of our own services begin with: nobody has such a name at a door."""


class LogError(Exception):
    """The log did not do what it was asked; the subclass says what is known about it."""

    retriable = False


class LogUnavailable(LogError):
    """The log can't be reached now. Whether an append under way was logged is unknown: read it back."""

    retriable = True


class LogConfigurationError(LogError):
    """The log is not what the contract describes (partitions, schema ids, owner): refuse to start."""


class Unwritable(ValueError):
    """A record that no log takes: it breaks its own rules or is too long. The message says how; nothing was logged."""


class PositionGone(LogError):
    """Records from the asked position on are no longer kept, or never were."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record as it lies on the log."""

    stream: str
    partition: int
    offset: int
    key: str
    value: bytes
    """Confluent framing and Avro, untouched."""
    appended_us: int
    """Append time, microseconds since 1970, by the log's own clock; not monotonic."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an acknowledged record lies."""

    partition: int
    offset: int
    appended_us: int


class Reader(Protocol):
    """Reads some partitions of one stream in offset order, from given positions, without a group."""

    @property
    def positions(self) -> Mapping[int, int]:
        """The next offset of each partition."""

    async def read(self, limit: int = 1000) -> list[LogRecord]:
        """At least one record, as soon as there is one; at most `limit`.

        Raises PositionGone when retention has passed a position, LogUnavailable when the log is away; then it may be
        called again, and goes on where it was.
        """

    async def aclose(self) -> None: ...


class Election(Protocol):
    """Whose turn it is to act on each partition of a stream; everybody reads all of them.

    Nothing rests on it: two who both think it is theirs write records of which the first valid one counts.
    """

    @property
    def mine(self) -> frozenset[int]:
        """The partitions that are this process's to act on, as far as it knows."""

    async def changed(self) -> None:
        """Returns when `mine` has changed since the last call, or since the election was entered."""

    async def aclose(self) -> None:
        """Gives all partitions up, so that others get them at once. Returns within ten seconds."""


class Log(Protocol):
    """The log under one topic prefix."""

    epoch: str
    """Names this incarnation of the log: positions of another epoch mean nothing here."""
    condition: Condition
    """How it does, as this process meets it."""

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        """Returns when the record is durable. Raises LogUnavailable; then it may or may not have been logged.

        The partition is the key's, unless one is given (the grid's clock goes to every partition).
        Appends of one caller that are awaited one after the other lie in that order. Where appends wait, those that
        one principal caused (see PRINCIPAL) keep theirs, and do not keep those of others; the services (see SERVICE)
        have their turn however many others there are.
        """

    async def reader(self, stream: str, positions: Mapping[int, int]) -> Reader:
        """A reader of exactly these partitions. Raises PositionGone for a position outside [start, end]."""

    async def start_positions(self, stream: str) -> dict[int, int]:
        """The first kept offset of each partition."""

    async def end_positions(self, stream: str) -> dict[int, int]:
        """The offset the next record of each partition will get; everything acknowledged lies before it."""

    async def position_at(self, stream: str, appended_us: int) -> dict[int, int]:
        """The first offset of each partition appended at or after this time; the end where there is none."""

    def stand(self, stream: str) -> Election:
        """Enters the election of those who act on the partitions of a stream; at first none are this process's."""

    async def aclose(self) -> None:
        """Returns within ten seconds, whatever the log does."""
