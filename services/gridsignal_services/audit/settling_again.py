"""Settlements computed again: from the book and the readings before the positions that each of them names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter

from gridsignal_schemas.messages import MeterReading, Settlement
from gridsignal_schemas.rules.readings import is_interval, reading_faults
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec, Poison, sha256_of
from gridsignal_services.clock import grid_time
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.metering.older_readings import MOST_READ, Held, Place, place_of, says_more
from gridsignal_services.metering.readings import Said
from gridsignal_services.owning.due import Undecidable
from gridsignal_services.owning.settling import Unsettled, unsettled


@dataclass(slots=True)
class _Version:
    offset: int
    settlement: Settlement
    unsettled: Unsettled
    held: dict[Place, Held] = field(default_factory=dict)
    """What counts of the readings of its period."""


@dataclass(slots=True)
class SettlingAgain:
    """Follows one partition's ledger, which must not have passed any of the positions that are named.

    Bounded: by the settlements of the partition and the readings of their periods.
    """

    named: list[tuple[int, Settlement]]
    """Each with its offset."""
    _at: dict[int, list[tuple[int, Settlement]]] = field(default_factory=dict)
    _begun: dict[int, Unsettled] = field(default_factory=dict)
    _versions: dict[str, list[_Version]] = field(default_factory=dict)
    """By site."""
    count: int = 0
    """How many came to the same."""

    def __post_init__(self) -> None:
        for offset, settlement in self.named:
            self._at.setdefault(settlement.inputs.position, []).append((offset, settlement))

    def before(self, ledger: Ledger) -> None:
        """Takes what is needed of the book, before the record at the ledger's position is reduced."""
        for offset, settlement in self._at.pop(ledger.position, ()):
            if settlement.order_id in ledger.book.settlements:
                found = unsettled(ledger, settlement.order_id, settlement.status)
                if found is not None:
                    self._begun[offset] = found

    def after(self, offset: int, settlement: Settlement) -> None:
        """One that held."""
        if (found := self._begun.pop(offset, None)) is not None:
            self._versions.setdefault(settlement.site, []).append(_Version(offset, settlement, found))

    def faults(self, ledger: Ledger, codec: Codec, readings: Iterable[LogRecord]) -> Iterator[str]:
        """What is other than the rules have it, a sentence each; `ledger` is the one at the end."""
        first: int | None = None
        for logged in readings if self._versions else ():
            first = logged.offset if first is None else first
            self._hear(ledger, codec, logged)
        for version in sorted((each for some in self._versions.values() for each in some), key=attrgetter("offset")):
            fault = _fault_of(version, are_gone=bool(first))
            if fault is None:
                self.count += 1
            elif fault:
                yield fault

    def _hear(self, ledger: Ledger, codec: Codec, logged: LogRecord) -> None:
        try:
            reading = codec.decode(logged.value)
        except Poison:
            return
        if not isinstance(reading, MeterReading) or reading.site not in self._versions or not is_interval(reading):
            return
        site = ledger.sites[reading.site]
        if site.zone != reading.zone:
            return
        if [*reading_faults(reading, grid_time(ledger.grid, logged.appended_us), site.capacity_w)]:
            return
        held = Held(logged.offset, reading, bytes.fromhex(sha256_of(logged.value)))
        for version in self._versions[reading.site]:
            of, settlement = version.unsettled, version.settlement
            is_before = logged.offset < settlement.inputs.readings_position
            is_theirs = reading.participant == settlement.participant
            touches = reading.starts_at < of.terms.ends_at and reading.ends_at > of.since
            if is_before and is_theirs and touches and says_more(version.held, held):
                version.held[place_of(reading)] = held


def _fault_of(version: _Version, *, are_gone: bool) -> str | None:
    """What is wrong with it; None where it is the same. Empty where readings that it is from are not kept any more."""
    settlement, held = version.settlement, sorted(version.held.values(), key=attrgetter("offset"))
    are_too_many = len(held) > MOST_READ
    said = Said([] if are_too_many else held, settlement.inputs.readings_position, are_too_many)
    which = f"the settlement at offset {version.offset}, order {settlement.order_id}, version {settlement.version}"
    try:
        again = version.unsettled.settled(said)
    except Undecidable as error:
        return f"{which}, can't be computed again: {error.reason}"
    if again == settlement:
        return None
    if are_gone and (again is None or again.inputs != settlement.inputs):
        return ""
    if again is None:
        return f"{which}, corrects nothing"
    if again.inputs != settlement.inputs:
        return f"{which}, is from other readings or baselines than those on the log"
    return f"{which}, is another: its total is {settlement.total}, by the rule it is {again.total}"
