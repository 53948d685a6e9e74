"""Announcements: what the ledger owes the sites, and what it has told them.

A state changes at its cause's offset; an OfferDecision or DispatchOrder only announces it. Announcements are pure
functions of the cause and the state there, so any owner writes the same bytes and a repeat is recognised. One that was
overtaken by events before it was written is not written any more.

What is owed to one participant waits for nothing that is owed to another: thousands of rejected offers hold up nobody's
order. Orders come before decisions, but for the decision on the offer that an order calls, which its site hears first.

Bounded: one owed and one told announcement for each offer and order in the book.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from gridsignal_schemas.messages import Decision, DispatchOrder, FlexOffer, OfferDecision
from gridsignal_schemas.rules.lifecycle import ORDER_OVER
from gridsignal_schemas.rules.offers import decision_on
from gridsignal_services.ledger.in_turn import in_turn

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
_Subject = tuple[str, str, str]
_Queues = dict[str, dict[_Subject, _Owed]]
"""What is owed to each participant, oldest first; whose turn it is comes first."""


def _subject(announcement: Announcement | _Owed) -> _Subject:
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
    """What is owed, and the last one told about each offer and order."""

    _first: _Queues = field(default_factory=dict)
    """Orders, and decisions that precede them."""
    _owed: _Queues = field(default_factory=dict)
    """All others."""
    _last: dict[_Subject, Announcement] = field(default_factory=dict)
    _orders_owed: Counter[str] = field(default_factory=Counter)
    """How many orders of each request are owed."""

    def next_owed(self) -> Iterator[Announcement]:
        """What has to be written next, a participant's oldest first, each put in full when its turn comes."""
        queues = (in_turn(queue.values() for queue in each.values()) for each in (self._first, self._owed))
        return map(_in_full, chain.from_iterable(queues))

    def owe(self, announcement: _Owed) -> None:
        """Replaces what was owed about the same offer or order."""
        subject = _subject(announcement)
        overtaken = self._pop(subject)
        is_new = subject not in self._last and overtaken is not None
        if is_new and isinstance(announcement, DispatchOrder) and announcement.state in ORDER_OVER:
            return  # the site never heard of the order: there is nothing to take back
        if not isinstance(announcement, DispatchOrder):
            self._owed.setdefault(subject[1], {})[subject] = announcement
            return
        queue, offer = self._first.setdefault(subject[1], {}), ("offer", subject[1], announcement.offer_id or "")
        if (before := _take(self._owed, offer)) is not None:
            queue[offer] = before
        queue[subject] = announcement
        self._orders_owed[announcement.request_id] += 1

    def announced(self, announcement: Announcement) -> bool:
        """Whether this is the announcement that is owed; then it counts as made."""
        subject = _subject(announcement)
        owed = self._find(subject)
        if owed is None or _what_counts(_in_full(owed)) != _what_counts(announcement):
            return False
        self._pop(subject)
        self._last[subject] = announcement
        for queues in (self._first, self._owed):
            if (queue := queues.pop(subject[1], None)) is not None:
                queues[subject[1]] = queue  # the others come first now
        return True

    def forget(self, announcement: Announcement) -> None:
        """Of what no book lists nothing is remembered: nobody asks for it again."""
        self._last.pop(_subject(announcement), None)

    def owes(self, kind: str, participant: str, subject_id: str) -> bool:
        """Whether something has still to be announced about an offer or order."""
        return self._find((kind, participant, subject_id)) is not None

    def decisions_owed(self, participant: str) -> int:
        """How many are owed to a participant, beside those that precede orders."""
        return len(self._owed.get(participant, ()))

    def drop(self, kind: str, participant: str, subject_id: str) -> None:
        """Nothing is announced about it any more, so what was said last is not asked for either."""
        self._last.pop((kind, participant, subject_id), None)

    def drop_orders_of(self, request_id: str) -> None:
        """No order on this request will be owed again."""
        self._orders_owed.pop(request_id, None)

    def decided(self, order: DispatchOrder) -> None:
        """An operator's own order on the log is its announcement, too."""
        self._pop(_subject(order))
        self._last[_subject(order)] = order

    def last_announced(self, kind: str, participant: str, subject_id: str) -> Announcement | None:
        """What the site heard last about an offer or order."""
        return self._last.get((kind, participant, subject_id))

    def owes_order_of(self, request_id: str) -> bool:
        """Whether an order on this request still has to be announced."""
        return self._orders_owed[request_id] > 0

    def _find(self, subject: _Subject) -> _Owed | None:
        found = self._first.get(subject[1], {}).get(subject)
        return self._owed.get(subject[1], {}).get(subject) if found is None else found

    def _pop(self, subject: _Subject) -> _Owed | None:
        owed = _take(self._first, subject) or _take(self._owed, subject)
        if isinstance(owed, DispatchOrder):
            self._orders_owed[owed.request_id] -= 1
        return owed


def _take(queues: _Queues, subject: _Subject) -> _Owed | None:
    """What is owed about it, no longer owed; a participant to whom nothing is owed has no queue."""
    if (queue := queues.get(subject[1])) is None:
        return None
    owed = queue.pop(subject, None)
    if not queue:
        del queues[subject[1]]
    return owed
