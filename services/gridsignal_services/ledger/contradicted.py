"""What was announced of offers and orders, and what our rules make of them: not the same in a log of an older version.

An announcement that comes twice, or of an owner that was late, is refused, too. But no version that reduces by our
rules has announced an order that the ledger does not have, or anything but a refusal of an offer that it rejects.
"""

from __future__ import annotations

from gridsignal_schemas.messages import Decision, DispatchOrder, OfferDecision, Record
from gridsignal_schemas.rules.lifecycle import OfferState
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.reduce import Ledger


class Contradicted:
    """Looks at what is reduced until the end of the log is reached.

    Bounded: KEPT names of each kind. When full: no more are counted. Conflates: nothing.
    """

    KEPT = 10_000

    def __init__(self) -> None:
        self._orders: set[str] = set()
        self._offers: set[tuple[str, str]] = set()

    def look(self, ledger: Ledger, record: Record, outcome: Outcome) -> None:
        """One record that was reduced."""
        if outcome.accepted:
            return
        match record:
            case _ if getattr(record, "request_id", None) in ledger.book.past.audiences:
                return  # the owner was late by a day
            case DispatchOrder() if record.order_id not in ledger.orders and len(self._orders) < self.KEPT:
                self._orders.add(record.order_id)
            case OfferDecision() if record.decision is not Decision.REJECTED and len(self._offers) < self.KEPT:
                if _is_rejected(ledger, (record.participant, record.offer_id)):
                    self._offers.add((record.participant, record.offer_id))

    def counts(self) -> dict[str, int]:
        """How many orders and offers it is; nothing where all is as it was announced."""
        found = {"orders": len(self._orders), "offers": len(self._offers)}
        return found if self._orders or self._offers else {}


def _is_rejected(ledger: Ledger, key: tuple[str, str]) -> bool:
    standing = ledger.offer_state(*key)
    return standing is None or standing.state is OfferState.REJECTED
