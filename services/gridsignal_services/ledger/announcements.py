"""Announcements: what the ledger owes the sites, and what it has told them.

A state changes at its cause's offset; an OfferDecision or DispatchOrder only announces it. Announcements are pure
functions of the cause and the state there, so any owner writes the same bytes and a repeat is recognised. One that was
overtaken by events before it was written is not written any more.

Bounded: one owed and one told announcement for each offer and order in the book.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from gridsignal_schemas.messages import Decision, DispatchOrder, FlexOffer, OfferDecision
from gridsignal_schemas.rules.lifecycle import ORDER_OVER
from gridsignal_schemas.rules.offers import decision_on

OfferKey = tuple[str, str]
"""(participant, offer_id)."""

Announcement = OfferDecision | DispatchOrder


@dataclass(slots=True)
class Decided:
    """What is to be said of an offer. One record may decide thousands, so only who writes it puts it in full, once."""

    offer: FlexOffer
    decision: Decision
    codes: tuple[str, ...]
    reason: str
    option: str | None
    power_w: int | None
    _in_full: OfferDecision | None = field(default=None, compare=False)

    def in_full(self) -> OfferDecision:
        """The announcement."""
        if self._in_full is None:
            self._in_full = decision_on(
                self.offer, self.decision, self.codes, self.reason, option=self.option, power_w=self.power_w
            )
        return self._in_full


_Owed = Decided | DispatchOrder


def _subject(announcement: Announcement | _Owed) -> tuple[str, str, str]:
    if isinstance(announcement, Decided):
        return ("offer", announcement.offer.participant, announcement.offer.offer_id)
    if isinstance(announcement, OfferDecision):
        return ("offer", announcement.participant, announcement.offer_id)
    return ("order", announcement.participant, announcement.order_id)


def _in_full(owed: _Owed) -> Announcement:
    return owed.in_full() if isinstance(owed, Decided) else owed


def _what_counts(announcement: Announcement) -> Announcement:
    """What counts of it: another version of this program may have said why in other words."""
    words: dict[str, object] = {"reason": ""}
    if isinstance(announcement, OfferDecision):
        words |= {"codes": [], "rank": None}
    return announcement.model_copy(update=words)


@dataclass(slots=True)
class Announcements:
    """What is owed, in the order it came to be owed, and the last one told about each offer and order."""

    _owed: dict[tuple[str, str, str], _Owed] = field(default_factory=dict)
    _told: dict[tuple[str, str, str], Announcement] = field(default_factory=dict)
    _orders_owed: Counter[str] = field(default_factory=Counter)
    """How many orders of each request are owed."""

    def next_owed(self) -> Iterator[Announcement]:
        """What has to be written, oldest first, each put in full when its turn comes."""
        return map(_in_full, self._owed.values())

    def owe(self, announcement: _Owed) -> None:
        """Replaces what was owed about the same offer or order."""
        subject = _subject(announcement)
        overtaken = self._pop(subject)
        never_told = subject not in self._told and overtaken is not None
        if never_told and isinstance(announcement, DispatchOrder) and announcement.state in ORDER_OVER:
            return  # the site never heard of the order: there is nothing to take back
        self._owed[subject] = announcement
        if isinstance(announcement, DispatchOrder):
            self._orders_owed[announcement.request_id] += 1

    def told(self, announcement: Announcement) -> bool:
        """Whether this is the announcement that is owed; then it counts as made."""
        subject = _subject(announcement)
        owed = self._owed.get(subject)
        if owed is None or _what_counts(_in_full(owed)) != _what_counts(announcement):
            return False
        self._pop(subject)
        self._told[subject] = announcement
        return True

    def forget(self, announcement: Announcement) -> None:
        """Of what no book lists nothing is remembered: nobody asks for it again."""
        self._told.pop(_subject(announcement), None)

    def owes(self, kind: str, participant: str, subject_id: str) -> bool:
        """Whether something has still to be announced about an offer or order."""
        return (kind, participant, subject_id) in self._owed

    def drop(self, kind: str, participant: str, subject_id: str) -> None:
        """Nothing is announced about it any more, so what was said last is not asked for either."""
        self._told.pop((kind, participant, subject_id), None)

    def drop_orders_of(self, request_id: str) -> None:
        """No order on this request will be owed again."""
        self._orders_owed.pop(request_id, None)

    def decided(self, order: DispatchOrder) -> None:
        """An operator's own order on the log is its announcement, too."""
        self._pop(_subject(order))
        self._told[_subject(order)] = order

    def last_told(self, kind: str, participant: str, subject_id: str) -> Announcement | None:
        """What the site heard last about an offer or order."""
        return self._told.get((kind, participant, subject_id))

    def owes_order_of(self, request_id: str) -> bool:
        """Whether an order on this request still has to be announced."""
        return self._orders_owed[request_id] > 0

    def _pop(self, subject: tuple[str, str, str]) -> _Owed | None:
        owed = self._owed.pop(subject, None)
        if isinstance(owed, DispatchOrder):
            self._orders_owed[owed.request_id] -= 1
        return owed
