"""The fake grid's ledger: what stands, what a site may do about it, and what it is told of that. No I/O.

Bounded: by the test that fills it. When full: it grows. Conflates: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gridsignal.testing.rules import Held, after, answer_fault, by_the_clock, offer_faults, says_what_is_so
from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    Decision,
    DispatchOrder,
    DispatchRequest,
    Firmness,
    FlexOffer,
    OfferDecision,
    OfferWithdrawal,
    OrderResponse,
    OrderState,
    Record,
    RequestCancellation,
    ResponseKind,
)
from gridsignal_schemas.rules.changes import latest_end
from gridsignal_schemas.values import rfc3339


@dataclass(slots=True)
class Standing:
    """An offer's newest revision and where it stands."""

    offer: FlexOffer
    state: str
    awarded_w: int | None = None


@dataclass(slots=True)
class Ledger:
    """Requests, offers and orders of one participant."""

    requests: dict[str, DispatchRequest] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    offers: dict[str, Standing] = field(default_factory=dict)
    orders: dict[str, Held] = field(default_factory=dict)
    owed: list[Record] = field(default_factory=list)
    """What has to be published next."""

    def published(self, record: Record) -> None:
        """Takes note of what the test, or this ledger, has published."""
        match record:
            case DispatchRequest():
                self.requests[record.request_id] = record
            case RequestCancellation():
                self.cancelled.add(record.request_id)
            case DispatchOrder():
                self._ordered(record)

    def _ordered(self, order: DispatchOrder) -> None:
        held = self.orders.get(order.order_id)
        if held is not None:
            held.order, held.state = order, order.state
            return
        request = self.requests.get(order.request_id)
        obliged = request is not None and request.firmness is not Firmness.VOLUNTARY
        self.orders[order.order_id] = Held(order, order.state, obliged)
        if order.offer_id in self.offers:
            self.offers[order.offer_id].state = "TENTATIVE"

    # --- what a site says ----------------------------------------------------------------------------------------

    def fault(self, record: Record, now: datetime) -> Detail | None:
        """Why this write is refused; None where it is taken. An offer that breaks rules is taken, and rejected then."""
        match record:
            case FlexOffer():
                return self._offer_fault(record)
            case OfferWithdrawal():
                return self._withdrawal_fault(record)
            case OrderResponse():
                held = self.orders.get(record.order_id)
                if held is None or (held.order.site, held.order.request_id) != (record.site, record.request_id):
                    return Detail(code="ORDER_UNKNOWN", pointer="/order_id", message="expected an order to this site")
                return None if says_what_is_so(held, record) else answer_fault(held, record, now)
        return None

    def written(self, record: Record, now: datetime) -> None:
        """A write without a fault: what follows from it."""
        match record:
            case FlexOffer():
                self._offered(record, now)
            case OfferWithdrawal():
                self._withdrawn(record)
            case OrderResponse():
                self._answered(self.orders[record.order_id], record)

    def _offer_fault(self, offer: FlexOffer) -> Detail | None:
        known = self.offers.get(offer.offer_id)
        expected = known.offer.revision + 1 if known else 1
        if offer.revision != expected:
            return Detail(code="REVISION", pointer="/revision", message=f"expected {expected}, got {offer.revision}")
        if known is not None and known.state != "LIVE":
            return _illegal("amend", known.state)
        return None

    def _withdrawal_fault(self, withdrawal: OfferWithdrawal) -> Detail | None:
        known = self.offers.get(withdrawal.offer_id)
        if known is None or known.offer.site != withdrawal.site:
            return Detail(code="OFFER_UNKNOWN", pointer="/offer_id", message="expected an offer of this participant")
        return None if known.state in ("LIVE", "STANDBY", "TENTATIVE") else _illegal("withdraw", known.state)

    def _offered(self, offer: FlexOffer, now: datetime) -> None:
        request = self.requests.get(offer.request_id or "")
        is_open = offer.request_id not in self.cancelled and not self._orders_on(offer.request_id)
        faults = list(offer_faults(offer, request, is_open, now))
        self.offers[offer.offer_id] = standing = Standing(offer, "REJECTED" if faults else "LIVE")
        decision = Decision.REJECTED if faults else Decision.ACCEPTED_FOR_CLEARING
        self._decide(standing, decision, codes=list(dict.fromkeys(fault.code for fault in faults)))

    def _withdrawn(self, withdrawal: OfferWithdrawal) -> None:
        standing = self.offers[withdrawal.offer_id]
        standing.state = "WITHDRAWN"
        self._decide(standing, Decision.WITHDRAWN, reason=withdrawal.reason)
        for held in self.orders.values():
            if held.order.offer_id == withdrawal.offer_id and not held.over:
                self._revise(held, state=OrderState.CANCELLED, reason_code="OFFER_WITHDRAWN")

    def _answered(self, held: Held, response: OrderResponse) -> None:
        held.answered[response.response] = None
        if says_what_is_so(held, response):
            return
        then = after(held.state, response)
        held.state = then or held.state
        match response.response:
            case ResponseKind.ACCEPTED:
                held.accepted_w = response.accepted_w or held.order.power_w
                self._move_offer(held, "AWARDED", Decision.AWARDED, power_w=held.accepted_w)
            case ResponseKind.REFUSED:
                self._move_offer(held, "FAILED_AWARD", Decision.FAILED_AWARD, codes=["REFUSED"])
            case ResponseKind.COMPLETED:
                self._move_offer(held, "DELIVERED")
            case ResponseKind.UNAVAILABLE:
                held.accepted_w = response.available_w or 0
                code = response.reason_code or ("DERATED" if held.accepted_w else "ABORTED")
                self._revise(held, power_w=held.accepted_w, reason_code=code, reason=response.reason)

    # --- what the clock and the operator do ----------------------------------------------------------------------

    def pass_time(self, now: datetime) -> None:
        """Orders are voided, begun and completed by the clock; only those whose request is known here."""
        for held in self.orders.values():
            while held.order.request_id in self.requests and (then := by_the_clock(held, now)) is not None:
                held.state = then
                if then is OrderState.VOIDED:
                    self._revise(held, reason_code="NO_ANSWER", reason="no answer by respond_by")
                    self._move_offer(held, "FAILED_AWARD", Decision.FAILED_AWARD, codes=["NO_ANSWER"])
                elif then is OrderState.ACTIVE and held.accepted_w is None:
                    held.accepted_w = held.order.power_w
                    self._move_offer(held, "AWARDED", Decision.AWARDED, power_w=held.accepted_w)
                elif then is OrderState.COMPLETED:
                    self._move_offer(held, "DELIVERED")

    def change(self, order_id: str, **changes: Any) -> DispatchOrder:
        """The next revision of an order, as its operator changes it."""
        held = self.orders[order_id]
        if held.over:
            raise ValueError(f"expected an order that is not over, got {held.state}")
        self._must_be_offered(held.order, changes.get("ends_at"))
        self._revise(held, power_w=held.power_w, actor="operator:tso-fake", **changes)
        return held.order

    def cancel_order(self, order_id: str, reason: str) -> None:
        """The operator takes one order back before it begins, and lets go of its offer."""
        held = self.orders[order_id]
        if held.state not in (OrderState.ISSUED, OrderState.RECEIVED, OrderState.ACCEPTED):
            raise ValueError(f"expected an order that has not begun, got {held.state}")
        self.change(order_id, state=OrderState.CANCELLED, reason=reason)
        self._move_offer(held, "RELEASED", Decision.RELEASED, reason=reason)

    def _must_be_offered(self, order: DispatchOrder, ends_at: datetime | None) -> None:
        standing = self.offers.get(order.offer_id or "")
        options = standing.offer.options if standing else []
        option = next((option for option in options if option.option == order.option), None)
        if option is None or ends_at is None or order.ends_at is None or ends_at <= order.ends_at:
            return
        if ends_at > (latest := latest_end(order, option)):
            raise ValueError(f"expected an end by {rfc3339(latest)}, as the site offered, got {rfc3339(ends_at)}")

    def cancel(self, request: DispatchRequest, now: datetime) -> None:
        """Offers are released and orders cancelled; one that runs ends now."""
        for held in self._orders_on(request.request_id):
            if held.over:
                continue
            if held.state in (OrderState.ACTIVE, OrderState.SUSTAINING):
                self._revise(held, ends_at=max(now, held.order.starts_at), reason_code="REQUEST_CANCELLED")
            else:
                self._revise(held, state=OrderState.CANCELLED, reason_code="REQUEST_CANCELLED")
        for standing in self.offers.values():
            if standing.offer.request_id == request.request_id and standing.state in ("LIVE", "STANDBY", "TENTATIVE"):
                standing.state = "RELEASED"
                self._decide(standing, Decision.RELEASED)

    # --- what is told --------------------------------------------------------------------------------------------

    def _orders_on(self, request_id: str | None) -> list[Held]:
        return [held for held in self.orders.values() if held.order.request_id == request_id]

    def _revise(self, held: Held, **changes: Any) -> None:
        revised = {"revision": held.order.revision + 1, "state": held.state, "actor": "ledger"} | changes
        held.order = held.order.model_copy(update=revised)
        held.state = held.order.state
        self.owed.append(held.order)

    def _move_offer(self, held: Held, state: str, decision: Decision | None = None, **said: Any) -> None:
        standing = self.offers.get(held.order.offer_id or "")
        if standing is None:
            return
        standing.state, standing.awarded_w = state, held.accepted_w
        if decision is not None:
            self._decide(standing, decision, **said)

    def _decide(self, standing: Standing, decision: Decision, **said: Any) -> None:
        offer = standing.offer
        shared: dict[str, Any] = {"zone": offer.zone, "request_id": offer.request_id, "participant": offer.participant}
        shared |= {"site": offer.site, "offer_id": offer.offer_id, "revision": offer.revision}
        filled = {"codes": [], "reason": "", "option": offer.options[0].option if "power_w" in said else None} | said
        self.owed.append(OfferDecision.model_validate(shared | {"decision": decision} | filled))


def _illegal(what: str, state: str) -> Detail:
    return Detail(code="ILLEGAL_STATE", message=f"expected a state that allows '{what}', got {state}")
