"""Settlements computed again: from the book and the readings that each of them names by their hashes.

No settlement says where in the log it was computed, for whoever is shown two would know how much others wrote between
them. The root of the partition's tree is found at one place of the log alone; the readings by their own hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter

from gridsignal_schemas.messages import Settlement
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOrder
from gridsignal_services.metering.counting import CountingReadings
from gridsignal_services.metering.older_readings import Held
from gridsignal_services.metering.readings import Said
from gridsignal_services.owning.due import Undecidable
from gridsignal_services.owning.settling import Unsettled, readings_sha256, unsettled

_NOTHING = readings_sha256([])
"""No readings; or more than are added up."""


@dataclass(frozen=True, slots=True)
class SettledAgain:
    """One version that held, and what the rules make of the log in its place."""

    offset: int
    settlement: Settlement
    again: Settlement | None = None
    """None where nothing comes of it: `why` says why."""
    why: str = ""
    """What is wrong with it; empty where it is the same, and where readings that it is from are not kept any more."""

    @property
    def is_same(self) -> bool:
        """Whether all of it is the same."""
        return self.again == self.settlement

    @property
    def fault(self) -> str:
        """What is wrong with it, as a sentence; empty as `why` is."""
        version = f"order {self.settlement.order_id}, version {self.settlement.version}"
        return self.why and f"the settlement at offset {self.offset}, {version}, {self.why}"


@dataclass(slots=True)
class _Version:
    offset: int
    settlement: Settlement
    unsettled: Unsettled
    counting: CountingReadings
    """Of the readings of its period, up to where its own were found."""
    is_found: bool = False
    """Whether these are the readings that it names."""

    def __post_init__(self) -> None:
        self._look()

    def hear(self, held: Held) -> None:
        """The next reading that the log has of its site."""
        may_be_too_many = self.settlement.inputs.readings_sha256 == _NOTHING and not self.counting.are_too_many
        if (not self.is_found or may_be_too_many) and self.counting.hear(held):
            self._look()

    def said(self) -> Iterator[Said]:
        """What it may be from: the readings that it names."""
        if self.is_found:
            is_nothing = self.settlement.inputs.readings_sha256 == _NOTHING
            yield Said([] if is_nothing else self.counting.held, 0)
        if self.counting.are_too_many:
            yield Said([], 0, are_too_many=True)

    def _look(self) -> None:
        named = self.settlement.inputs
        if not self.is_found and len(self.counting) == named.readings:
            self.is_found = readings_sha256(self.counting.held) == named.readings_sha256


@dataclass(slots=True)
class SettlingAgain:
    """Follows one partition's ledger from its first record.

    Bounded: by the settlements of the partition and the readings of their periods; by some kilobytes of each order that
    has left the ledger and of which a version is still to come.
    """

    named: list[tuple[int, Settlement]]
    """Each with its offset."""
    _awaited: Counter[str] = field(default_factory=Counter)
    """How many versions of an order are still to come."""
    _at: dict[str | None, list[tuple[int, Settlement]]] = field(default_factory=dict)
    """By the root that it names, those whose place was not found so far."""
    _left: dict[str, Book] = field(default_factory=dict)
    """What orders that have left the ledger were kept with, by the order, until the last version named of it."""
    _begun: dict[int, Unsettled] = field(default_factory=dict)
    _lost: list[tuple[int, Settlement]] = field(default_factory=list)
    """Those that name no state before them in which they were owed."""
    _versions: dict[str, list[_Version]] = field(default_factory=dict)
    """By site."""

    @property
    def sites(self) -> Iterable[str]:
        """Whose readings are needed."""
        return self._versions.keys()

    def __post_init__(self) -> None:
        for offset, settlement in self.named:
            self._at.setdefault(settlement.inputs.root, []).append((offset, settlement))
            self._awaited[settlement.order_id] += 1

    def before(self, ledger: Ledger) -> None:
        """Takes what is needed of the book, before the record at the ledger's position is reduced."""
        if not self._at or not (ledger.book.settlements or self._left):
            return
        for offset, settlement in self._at.pop(ledger.tree.root().hex(), ()):
            order_id = settlement.order_id
            self._awaited[order_id] -= 1
            left = self._left.get(order_id) if self._awaited[order_id] else self._left.pop(order_id, None)
            if (found := unsettled(ledger, order_id, settlement.status, left=left)) is not None:
                self._begun[offset] = found

    def after(self, offset: int, settlement: Settlement) -> None:
        """One that held."""
        if (found := self._begun.pop(offset, None)) is None:
            self._lost.append((offset, settlement))
        else:
            self._versions.setdefault(settlement.site, []).append(_Version(offset, settlement, found, found.counting()))

    def leave(self, books: Iterable[Book]) -> None:
        """Takes what the last record has made the ledger let go of, where a version is still to come."""
        keep(self._left, books, lambda order_id: bool(self._awaited[order_id]))

    def hear(self, held: Held) -> None:
        """A reading that is a measurement, in the order of the log."""
        for version in self._versions.get(held.reading.site, ()):
            version.hear(held)

    def stretches(self) -> Iterator[tuple[str, datetime, datetime]]:
        """The times of which readings are needed, each with its site."""
        for site, versions in self._versions.items():
            for version in versions:
                yield site, version.unsettled.since, version.unsettled.terms.ends_at

    def settled(self, *, are_gone: bool) -> list[SettledAgain]:
        """What comes of each, in the order of the log, once all was heard; `are_gone`: readings not kept any more."""
        found = [
            SettledAgain(*lost, why="names no state of the log before it in which it was owed") for lost in self._lost
        ]
        found += [_again(version, are_gone=are_gone) for some in self._versions.values() for version in some]
        return sorted(found, key=attrgetter("offset"))


def keep(left: dict[str, Book], books: Iterable[Book], is_wanted: Callable[[str], bool]) -> None:
    """Takes what orders are settled from, by the order, out of books that the ledger has let go of."""
    for book in books:
        for order_id, settlement in book.settlements.items():
            if not is_wanted(order_id):
                continue
            if order_id in book.orders:
                left[order_id] = _alone(book, book.orders[order_id])
            elif order_id in left:
                left[order_id].settlements[order_id] = settlement


def _alone(book: Book, order: TrackedOrder) -> Book:
    """As much of a request that has left as one of its orders is settled from."""
    request_id, site, key = order.order.request_id, order.order.site, order.offer_key
    names = book.orders_of_site[site]
    return Book(
        requests={request_id: replace(book.requests[request_id], offers=[], orders=[], clearings=[])},
        offers={} if key is None else {key: book.offers[key]},
        orders={name: book.orders[name] for name in names},
        orders_of_site={site: names},
        settlements={order.order.order_id: book.settlements[order.order.order_id]},
        sites={name: each for name, each in book.sites.items() if name == site},
        declared={site: book.declared[site]},
        fixed={name: each for name, each in book.fixed.items() if name[1] == site},
    )


def _again(version: _Version, *, are_gone: bool) -> SettledAgain:
    place = (version.offset, version.settlement)
    found = SettledAgain(*place, why="" if are_gone else "is from other readings than those on the log")
    for said in version.said():
        try:
            again = version.unsettled.settled(said)
        except Undecidable as error:
            return SettledAgain(*place, why=f"can't be computed again: {error.reason}")
        if again == version.settlement:
            return SettledAgain(*place, again)
        found = SettledAgain(*place, again, _difference(version.settlement, again))
    return found


def _difference(settlement: Settlement, again: Settlement | None) -> str:
    if again is None:
        return "corrects nothing"
    if again.inputs != settlement.inputs:
        return "is from other baselines than those on the log"
    if again.total != settlement.total:
        return f"is another: its total is {settlement.total}, by the rule it is {again.total}"
    names = [name for name in Settlement.model_fields if getattr(settlement, name) != getattr(again, name)]
    return f"is another: its total is right, but {' and '.join(names)} differ from what the rule says"
