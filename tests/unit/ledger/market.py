"""A zone with sites, requests and offers in few words: `market.offer("acme", 6 * MW, "80")`.

A participant is called by its name; its site is that name with "-1", its offer that name with "-offer".
Every site draws 40 MW of which 12 MW can't be shed, so it can offer 28 MW less; its connection carries 60 MW.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from gridsignal_schemas.messages import (
    Clearing,
    ClearingTrigger,
    Decision,
    DispatchOrder,
    DispatchRequest,
    OfferDecision,
    OrderState,
    Record,
)
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.values import MW
from gridsignal_services.access import SIGNAL_READ, Principal
from gridsignal_services.ledger.book import KEPT
from gridsignal_services.ledger.clearing import decide
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.overtaken import NOTHING, LeftOut
from gridsignal_services.ledger.picks import Pick
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedOrder
from tests.builders import (
    OPERATOR,
    REQUEST_ID,
    a_baseline_declaration,
    a_dispatch_request,
    a_flex_offer,
    a_request_cancellation,
    a_site_registration,
    an_offer_withdrawal,
    an_option,
    an_order_response,
    utc,
)
from tests.unit.ledger.zone import Zone

OPERATORS_NAME = f"operator:{OPERATOR}"
OWNER = Principal("operator", OPERATOR, "tests", frozenset({SIGNAL_READ}), datetime.max.replace(tzinfo=UTC))
"""The operator, as who may see its request."""


class Market(Zone):
    """One request of 12 MW is asked for at 16:00Z unless you say otherwise; gate 17:00Z, period 18:00Z to 18:45Z."""

    def __init__(self, *sites: str, kept: timedelta = KEPT, **request: Any) -> None:
        super().__init__(utc("16:00"), kept)
        for who in sites:
            self.site(who)
        if sites:
            assert self.ask(**request).accepted

    def site(self, who: str, *, baseline_w: int = 40 * MW, **changes: Any) -> None:
        """Registers a site and declares its flat baseline."""
        site = a_site_registration(site=f"{who}-1", participant=who, **changes)
        assert self.add(site).accepted
        self.baseline(who, baseline_w)

    def baseline(self, who: str, power_w: int, **changes: Any) -> Outcome:
        """Declares a flat baseline over the market day."""
        declared = a_baseline_declaration(site=f"{who}-1", participant=who, power_w=[power_w] * 96, **changes)
        return self.add(declared)

    def ask(self, **changes: Any) -> Outcome:
        """Logs a request."""
        return self.add(a_dispatch_request(**changes), OPERATORS_NAME)

    def offer(self, who: str, power_w: int = 12 * MW, price: str = "90", **changes: Any) -> Outcome:
        """Logs a divisible offer without a floor; fields of the option and of the offer are told apart by name."""
        fields: dict[str, Any] = {"offer_id": f"{who}-offer", "participant": who, "site": f"{who}-1"}
        option: dict[str, Any] = {"power_w": power_w, "price_per_mwh": Decimal(price), "min_power_w": 0}
        option |= {"ramp_down_w_per_min": 20 * MW, "ramp_up_w_per_min": 20 * MW}
        of_option = type(an_option()).model_fields
        option |= {name: value for name, value in changes.items() if name in of_option}
        fields |= {"options": [an_option(**option)]}
        fields |= {name: value for name, value in changes.items() if name not in of_option}
        return self.add(a_flex_offer(**fields), f"participant:{who}")

    def withdraw(self, who: str) -> Outcome:
        """Takes the participant's offer back."""
        return self.add(an_offer_withdrawal(offer_id=f"{who}-offer", participant=who, site=f"{who}-1"))

    def cancel(self, request_id: str = REQUEST_ID) -> Outcome:
        """The operator takes the request back."""
        return self.add(a_request_cancellation(request_id=request_id), OPERATORS_NAME)

    def close(self) -> list[Record]:
        """Lets the gate close and everything follow that follows at once."""
        return self.run_until(self.request.gate_closure_at)

    def answer(self, who: str, response: str = "ACCEPTED", **changes: Any) -> Outcome:
        """The site answers the current revision of its latest order."""
        return self.reply(self.order(who).order, response, **changes)

    def reply(self, order: DispatchOrder, response: str, **changes: Any) -> Outcome:
        """Its site answers this order."""
        fields: dict[str, Any] = {
            "response_id": f"response-{len(self.log)}",
            "order_id": order.order_id,
            "request_id": order.request_id,
            "participant": order.participant,
            "site": order.site,
            "revision": order.revision,
            "response": response,
        }
        return self.add(an_order_response(**fields | changes), f"participant:{order.participant}")

    def change(self, order: str | DispatchOrder, **changes: Any) -> Outcome:
        """The operator's next revision of an order, or of a participant's latest."""
        tracked = self.order(order) if isinstance(order, str) else self.remembered.orders[order.order_id]
        fields = dict(tracked.order) | {
            "revision": tracked.order.revision + 1,
            "power_w": tracked.power_w,
            "state": tracked.state,
            "actor": OPERATORS_NAME,
        }
        return self.add(DispatchOrder(**fields | changes), OPERATORS_NAME)

    def by_hand(self, *picks: tuple[str, int], request_id: str = REQUEST_ID) -> Clearing:
        """A clearing by hand as the book stands: what was picked, or the merit order."""
        offers = {key[0]: key for key in self.ledger.requests[request_id].offers}
        chosen = [Pick(*offers.get(who, (who, "none")), "all", power_w) for who, power_w in picks]
        return self.decided(ClearingTrigger.BY_HAND, request_id, chosen or None)

    def decided(
        self,
        trigger: ClearingTrigger,
        request_id: str = REQUEST_ID,
        picks: Any = None,
        now: datetime | None = None,
        left_out: LeftOut = NOTHING,
    ) -> Clearing:
        """A clearing that somebody else makes of the book as it stands."""
        return decide(
            self.ledger.book,
            request_id,
            now=now or self.now,
            position=self.ledger.position,
            trigger=trigger,
            actor="somebody",
            picks=picks,
            left_out=left_out,
        )

    @property
    def remembered(self) -> Ledger:
        """A ledger that has all that ever was."""
        return self.ledger

    @property
    def request(self) -> DispatchRequest:
        return self.ledger.requests[REQUEST_ID].request

    @property
    def state(self) -> RequestState:
        return self.ledger.requests[REQUEST_ID].state

    def offered(self, who: str) -> TrackedOffer:
        return self.ledger.offers[who, f"{who}-offer"]

    def offer_state(self, who: str) -> OfferState:
        found = self.ledger.offer_state(who, f"{who}-offer")
        assert found is not None
        return found[0]

    def order(self, who: str) -> TrackedOrder:
        """The latest order to the participant."""
        return [order for order in self.ledger.orders.values() if order.order.participant == who][-1]

    def ordered(self) -> dict[str, int]:
        """Who holds an order that is not over, and how many watts of it."""
        orders = self.ledger.book.live_orders(self.ledger.requests[REQUEST_ID].orders)
        return {order.order.participant: order.power_w for order in orders}


def told_orders(records: list[Record]) -> list[tuple[str, OrderState, int]]:
    """(participant, state, watts) of the orders among what was announced."""
    return [(r.participant, r.state, r.power_w) for r in records if isinstance(r, DispatchOrder)]


def told_decisions(records: list[Record]) -> list[tuple[str, Decision]]:
    """(participant, decision) of the decisions among what was announced."""
    return [(r.participant, r.decision) for r in records if isinstance(r, OfferDecision)]
