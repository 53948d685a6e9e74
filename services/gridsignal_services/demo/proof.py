"""Whether the day's log proves itself: what `gridsignal audit verify` says of the folder it lies in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gridsignal_services.audit.whole import WholeLog
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite_reading import log_in


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of all partitions."""

    faults: tuple[str, ...]
    clearings: int
    """Decided again, with the same result."""
    settlements: int
    """Computed again, with the same result."""

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def proof_of(directory: Path) -> Proof:
    """Goes through the whole log, twice. Blocks. Raises LogUnavailable."""
    with log_in(directory) as log:
        found = WholeLog(log, Codec.from_lock(), directory).checked()
    return Proof(
        tuple(fault for each in found for fault in each.faults),
        sum(each.clearings for each in found),
        sum(each.settlements for each in found),
    )
