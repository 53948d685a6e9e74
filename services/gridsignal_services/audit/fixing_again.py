"""Baselines from history fixed again: from the book, the calendar and the readings that each of them names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter

from gridsignal_schemas.messages import BaselineFixed
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.metering.counting import CountingReadings
from gridsignal_services.metering.older_readings import Held
from gridsignal_services.owning.due import Undecidable
from gridsignal_services.owning.fixing import Unfixed, fixed_before, set_of
from gridsignal_services.owning.settling import readings_sha256


@dataclass(slots=True)
class _Baseline:
    offset: int
    record: BaselineFixed
    unfixed: Unfixed
    counting: list[CountingReadings]
    """Of the readings of each period, up to where the record's own were found."""
    offsets: Counter[int] = field(default_factory=Counter)
    """In how many periods each of them counts; once there are as many as are named, their hash is asked for."""
    is_found: bool = False
    """Whether these are the readings that it names."""

    def __post_init__(self) -> None:
        self._look()

    @property
    def held(self) -> list[Held]:
        """Each reading once, in the order of the log; none of a period of which there are too many."""
        return sorted(set_of(each for counting in self.counting for each in counting.held), key=attrgetter("offset"))

    def hear(self, held: Held) -> None:
        """The next reading of its site."""
        is_news = False
        for counting in self.counting if not self.is_found else ():
            before = counting.instead_of(held)
            if counting.hear(held):
                if before is not None:
                    self._drop(before.offset)
                self.offsets[held.offset] += 1
                is_news = True
        if is_news:
            self._look()

    def _drop(self, offset: int) -> None:
        self.offsets[offset] -= 1
        if not self.offsets[offset]:
            del self.offsets[offset]

    def _look(self) -> None:
        are_too_many = any(each.are_too_many for each in self.counting)
        if are_too_many or len(self.offsets) == self.record.readings:
            self.is_found = readings_sha256(self.held) == self.record.readings_sha256


@dataclass(slots=True)
class FixingAgain:
    """Follows one partition's ledger from its first record.

    Bounded: by the baselines of the partition and the readings of the days that their methods may look at.
    """

    named: list[tuple[int, BaselineFixed]]
    """Each with its offset."""
    _at: dict[str, list[tuple[int, BaselineFixed]]] = field(default_factory=dict)
    _begun: dict[int, Unfixed | str] = field(default_factory=dict)
    """What each is from, or why that can't be said."""
    _baselines: dict[str, list[_Baseline]] = field(default_factory=dict)
    """By site."""
    _faults: list[str] = field(default_factory=list)
    count: int = 0
    """How many came to the same."""
    left: int = 0
    """How many can't be fixed again: their readings are not kept any more."""

    def __post_init__(self) -> None:
        for offset, record in self.named:
            if record.root is not None:  # older versions of the product have not said it
                self._at.setdefault(record.root, []).append((offset, record))

    def before(self, ledger: Ledger) -> None:
        """Takes what is needed of the book, before the record at the ledger's position is reduced."""
        if not self._at or not ledger.book.baselines_owed:
            return
        for offset, record in self._at.pop(ledger.tree.root().hex(), ()):
            try:
                found = fixed_before(ledger, record)
            except ValueError as wrong:
                self._begun[offset] = str(wrong)
                continue
            if found is not None:
                self._begun[offset] = found

    def after(self, offset: int, record: BaselineFixed) -> None:
        """One that held."""
        found = self._begun.pop(offset, None)
        if isinstance(found, Unfixed):
            baseline = _Baseline(offset, record, found, found.counting())
            self._baselines.setdefault(record.site, []).append(baseline)
        elif record.root is not None:
            why = found or "it names no state of the log before it in which it was owed"
            self._faults.append(f"{_which(offset, record)}, can't be fixed again: {why}")

    @property
    def sites(self) -> Iterable[str]:
        """Whose readings are needed."""
        return self._baselines.keys()

    def stretches(self) -> Iterator[tuple[str, datetime, datetime]]:
        """The times of which readings are needed, each with its site."""
        for site, baselines in self._baselines.items():
            for period in (period for each in baselines for period in each.counting):
                yield site, period.starts_at, period.ends_at

    def hear(self, held: Held) -> None:
        """A reading that is a measurement, in the order of the log."""
        for baseline in self._baselines.get(held.reading.site, ()):
            baseline.hear(held)

    def faults(self, *, are_gone: bool) -> Iterator[str]:
        """What is other than the method has it, a sentence each; `are_gone`: readings that are not kept any more."""
        yield from self._faults
        for baseline in (each for some in self._baselines.values() for each in some):
            fault = _fault_of(baseline, are_gone=are_gone)
            if fault is None:
                self.count += 1
            elif fault:
                yield fault
            else:
                self.left += 1


def _which(offset: int, record: BaselineFixed) -> str:
    return f"the baseline at offset {offset}, request {record.request_id}, site {record.site}"


def _fault_of(baseline: _Baseline, *, are_gone: bool) -> str | None:
    """What is wrong with it; None where it is the same. Empty where readings that it is from are not kept any more."""
    record, which = baseline.record, _which(baseline.offset, baseline.record)
    if not baseline.is_found:
        return "" if are_gone else f"{which}, is from other readings than those on the log"
    try:
        again = baseline.unfixed.fixed(baseline.held)
    except Undecidable as error:
        return f"{which}, can't be fixed again: {error.reason}"
    if again == record:
        return None
    days = "goes by other days" if (again.days, again.left_out) != (record.days, record.left_out) else "is another"
    return f"{which}, {days} than its method has it"
