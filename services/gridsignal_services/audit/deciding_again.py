"""Automatic clearings decided again, from nothing but the records before them.

A clearing says from which position it was made. The book at that position is taken, and the same decision asked for.
At which moment the owner asked lies between the log's clock there and at the clearing's own place: the moments at which
anything changes between the two are tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from gridsignal_schemas.messages import Award, Clearing, ClearingTrigger
from gridsignal_services.clock import EPOCH
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.clearing import COMBINATION, VERSION, decide
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.excerpt import excerpt
from gridsignal_services.ledger.overtaken import NOTHING, LeftOut, Overtaken
from gridsignal_services.ledger.picks import Solved, picks_of
from gridsignal_services.ledger.reduce import Ledger

_ROUNDED_TO = timedelta(minutes=5)
"""Orders begin at such minutes."""
_MOST_MOMENTS = 1000


class Basis(NamedTuple):
    """What a clearing was decided from."""

    book: Book
    """The request, its offers and their sites at its position; nobody changes it any more."""
    now: datetime
    left_out: LeftOut


class Asked(NamedTuple):
    """An automatic clearing that lies on the log."""

    offset: int
    position: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Again:
    """One clearing that held, and what the rules decide at its place."""

    offset: int
    clearing: Clearing
    again: Clearing | None
    """None where it can't be decided again: `why` says why."""
    why: str = ""
    basis: Basis | None = None
    """None where it can't be decided again, or never with the same result."""

    @property
    def is_same(self) -> bool:
        """Whether all of it is the same."""
        return self.again == self.clearing


def asked_for(offset: int, clearing: Clearing) -> Asked | None:
    """What has to be remembered to decide it again; None for a person's."""
    by_hand = clearing.trigger is ClearingTrigger.BY_HAND
    return None if by_hand else Asked(offset, clearing.position, clearing.request_id)


@dataclass(slots=True)
class DecidingAgain:
    """Follows one partition's ledger, which must not have passed any of the positions that are asked for.

    Bounded: by the clearings between their position and their place, each with its request's book.
    """

    asked: list[Asked]
    _held: dict[int, Book] = field(default_factory=dict)
    """By the clearing's offset the book at its position."""
    _overtaken: dict[tuple[str, int], Overtaken] = field(default_factory=dict)
    _at: dict[int, list[Asked]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in self.asked:
            self._at.setdefault(each.position, []).append(each)

    def before(self, ledger: Ledger) -> None:
        """Takes what is needed of the book, before the record at the ledger's position is reduced."""
        for each in self._at.pop(ledger.position, ()):
            if each.request_id in ledger.requests:
                self._held[each.offset] = excerpt(ledger.book, each.request_id)

    def turn_of(self, ledger: Ledger, request_id: str) -> tuple[str, int]:
        """The request as it waits before its next clearing is reduced."""
        tracked = ledger.requests.get(request_id)
        return request_id, 0 if tracked is None else len(tracked.clearings)

    def after(
        self, offset: int, clearing: Clearing, outcome: Outcome, turn: tuple[str, int], now: datetime
    ) -> Again | None:
        """What the rules decide in the place of a clearing that was just reduced; None for one that did not hold.

        `now` is the log's clock after it.
        """
        held = self._held.pop(offset, None)
        if not outcome.accepted:
            self._overtaken.setdefault(turn, Overtaken()).add(clearing, outcome.faults)
            return None
        if clearing.version != VERSION:
            return Again(offset, clearing, None, f"it is of version {clearing.version} of the rules, not {VERSION}")
        if held is None:
            return Again(offset, clearing, None, "its position is not before it")
        overtaken = self._overtaken.pop(turn, None)
        without = [NOTHING] if overtaken is None else [overtaken.left_out(), NOTHING]
        first: Clearing | None = None
        for left_out in without:
            for moment in _moments(held, clearing, now):
                basis = Basis(held, moment, left_out)
                again = decided(basis, clearing)
                if again == clearing:
                    return Again(offset, clearing, again, basis=basis)
                first = again if first is None else first
        return Again(offset, clearing, first)


def decided(basis: Basis, clearing: Clearing) -> Clearing:
    """What the rules make of this in the place of a clearing.

    A solver is not asked again, for it may find something else in its time: what it chose has to keep the rules and to
    be better than the merit order. Where it isn't, the merit order is what the rules make of it.
    """
    again = partial(
        decide,
        basis.book,
        clearing.request_id,
        now=basis.now,
        position=clearing.position,
        trigger=clearing.trigger,
        actor=clearing.actor,
        reason=clearing.reason,
        left_out=basis.left_out,
    )
    if clearing.algorithm == COMBINATION:
        with suppress(ValueError):
            return again(solved=Solved(picks_of(clearing), clearing.gap))
    return again(solved=Solved((), clearing.gap))


def _moments(book: Book, clearing: Clearing, now: datetime) -> Iterator[datetime]:
    """From the book's own on, up to `now`: where an offer expires, and where an order would begin later."""
    yield book.now
    if now <= book.now:
        return
    yield now
    tracked = book.requests[clearing.request_id]
    offers = [book.offers[key].offer for key in tracked.offers if key in book.offers]
    changes = {offer.expires_at for offer in offers}
    leads = {
        tracked.request.respond_within_s + option.full_activation_s for offer in offers for option in offer.options
    }
    for lead in (timedelta(seconds=each) for each in leads):
        begins = EPOCH - (EPOCH - (book.now + lead)) // _ROUNDED_TO * _ROUNDED_TO
        while begins - lead < now and len(changes) < _MOST_MOMENTS:
            changes.add(begins - lead + timedelta(microseconds=1))
            begins += _ROUNDED_TO
    yield from sorted(change for change in changes if book.now < change < now)


def differing_awards(again: Again) -> tuple[list[Award], list[Award]]:
    """What was awarded, and what the rules award, where the two differ."""
    theirs, ours = list(again.clearing.awards), [] if again.again is None else list(again.again.awards)
    return [each for each in theirs if each not in ours], [each for each in ours if each not in theirs]
