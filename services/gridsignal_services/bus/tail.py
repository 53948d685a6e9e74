"""The newest records of one partition, kept in memory so that a reader at the tip needs no disk."""

from __future__ import annotations

from gridsignal_services.bus import LogRecord

MAX_RECORDS = 1024
MAX_BYTES = 1024 * 1024


class Tail:
    """The records of `[start, end)` of one partition.

    Bounded: the newest `max_records` records or `max_bytes` bytes of values, and up to twice that between two trims.
    When full: the oldest are let go; whoever needs them reads the file. Conflates: nothing.
    """

    __slots__ = ("_bytes", "_max_bytes", "_max_records", "_records", "end")

    def __init__(self, end: int, *, max_records: int = MAX_RECORDS, max_bytes: int = MAX_BYTES) -> None:
        self.end = end
        """The next offset of the partition."""
        self._records: list[LogRecord] = []
        self._bytes = 0
        self._max_records = max_records
        self._max_bytes = max_bytes

    @property
    def start(self) -> int:
        """The oldest offset held; `end` when nothing is."""
        return self.end - len(self._records)

    def add(self, record: LogRecord) -> None:
        """Takes the partition's next record."""
        if record.offset != self.end:
            raise ValueError(f"expected offset {self.end}, got {record.offset}")
        self._records.append(record)
        self._bytes += len(record.value)
        self.end += 1
        # trimmed in halves: a list loses its head in linear time
        if len(self._records) >= 2 * self._max_records or self._bytes >= 2 * self._max_bytes:
            self._trim()

    def since(self, offset: int, limit: int) -> list[LogRecord] | None:
        """At most `limit` records from `offset` on; None where the tail no longer reaches back that far."""
        at = offset - self.start
        return self._records[at : at + limit] if at >= 0 else None

    def forget(self, end: int) -> None:
        """Holds nothing any more; the next record will be at `end`."""
        self._records.clear()
        self._bytes = 0
        self.end = end

    def _trim(self) -> None:
        kept, size = 0, 0
        for record in reversed(self._records):
            size += len(record.value)
            if kept == self._max_records or size > self._max_bytes:
                break
            kept += 1
        self._records = self._records[len(self._records) - kept :]
        self._bytes = sum(len(record.value) for record in self._records)
