"""Clearings that did not hold any more when they were logged, and what the next one is made without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import Clearing
from gridsignal_services.ledger.announcements import OfferKey

_BORNE, _BORNE_OF_OFFERS = 2, 2


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Offers that a clearing in merit order does not consider."""

    offers: frozenset[OfferKey] = frozenset()
    participants: frozenset[str] = frozenset()
    """All of these."""

    def has(self, key: OfferKey) -> bool:
        """Whether an offer is one of them."""
        return key in self.offers or key[0] in self.participants


NOTHING = LeftOut()


@dataclass(slots=True)
class Overtaken:
    """The clearings made for one request at one turn of its life, none of which was valid any more when logged.

    After two, the next is made without the offers whose awards did not hold, whatever was in their way; after two more
    also without all offers of the participants who took back what was awarded. So nobody puts it off for ever: it takes
    four, one for each participant who goes on taking back, and one for each offer that anything else is in the way of.
    """

    clearings: int = 0
    offers: dict[OfferKey, set[str]] = field(default_factory=dict)
    """Those whose awards did not hold, and the codes of why."""

    def add(self, clearing: Clearing, faults: Sequence[Detail]) -> None:
        """One more, and what was wrong with it."""
        self.clearings += 1
        keys = {f"/awards/{index}": (award.participant, award.offer_id) for index, award in enumerate(clearing.awards)}
        for broken in faults:
            if broken.pointer in keys:
                self.offers.setdefault(keys[broken.pointer], set()).add(broken.code)

    def left_out(self) -> LeftOut:
        """What the next is made without."""
        if self.clearings < _BORNE:
            return NOTHING
        lasts = self.clearings >= _BORNE + _BORNE_OF_OFFERS
        taken_back = {key[0] for key, codes in self.offers.items() if "OFFER_NOT_CALLABLE" in codes}
        return LeftOut(frozenset(self.offers), frozenset(taken_back if lasts else ()))
