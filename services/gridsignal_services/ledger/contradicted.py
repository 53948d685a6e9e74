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
        self._orders: dict[str, Ledger] = {}
        self._offers: dict[tuple[str, str], Ledger] = {}

    def look(self, ledger: Ledger, record: Record, outcome: Outcome) -> None:
        """One record that was reduced."""
        if outcome.accepted:
            return
        match record:
            case DispatchOrder() if len(self._orders) < self.KEPT:
                self._orders[record.order_id] = ledger
            case OfferDecision() if record.decision is not Decision.REJECTED and len(self._offers) < self.KEPT:
                self._offers[record.participant, record.offer_id] = ledger

    def counts(self) -> dict[str, int]:
        """How many orders and offers it is; nothing where all is as it was announced."""
        orders = sum(order_id not in ledger.orders for order_id, ledger in self._orders.items())
        offers = sum(_is_rejected(ledger, key) for key, ledger in self._offers.items())
        return {"orders": orders, "offers": offers} if orders or offers else {}


def _is_rejected(ledger: Ledger, key: tuple[str, str]) -> bool:
    standing = ledger.offer_state(*key)
    return standing is None or standing.state is OfferState.REJECTED
