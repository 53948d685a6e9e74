"""The fake grid's ledger: what stands, what a site may do about it, and what it is told of that. No I/O.

The rules are the contract's. Left out is what needs other sites and an operator: merit order and clearing.

Bounded: by the test that fills it. When full: it grows. Conflates: nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gridsignal.testing.promises import Promises
from gridsignal.testing.records import a_decision
from gridsignal.testing.standing import Asked, DueTimer, Held, Standing, crowd_of
from gridsignal_schemas.frames import Detail, Receipt
from gridsignal_schemas.messages import (
    AlertAck,
    BaselineDeclaration,
    Decision,
    DispatchOrder,
    DispatchRequest,
    Firmness,
    FlexOffer,
    MeterReading,
    OfferWithdrawal,
    OrderResponse,
    Record,
    RequestCancellation,
    Settlement,
    SettlementDispute,
    Timer,
)
from gridsignal_schemas.rules.alerts import ack_faults
from gridsignal_schemas.rules.answers import UNKNOWN_ORDER, answer_fault, event_of, is_so_already, is_to
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import (
    OFFER,
    OFFER_STANDS,
    ORDER,
    REQUEST,
    Event,
    OfferState,
    RequestState,
    after,
    allows,
)
from gridsignal_schemas.rules.offers import fit_faults, is_listed, offer_faults, revision_fault
from gridsignal_schemas.rules.readings import reading_faults

_UNKNOWN_OFFER = fault("OFFER_UNKNOWN", "/offer_id", "expected an offer of this participant")


@dataclass(slots=True)
class Ledger:
    """Requests, offers and orders of one participant."""

    promises: Promises
    asked: dict[str, Asked] = field(default_factory=dict)
    offers: dict[str, Standing] = field(default_factory=dict)
    orders: dict[str, Held] = field(default_factory=dict)
    settled: dict[str, Settlement] = field(default_factory=dict)
    owed: list[Record] = field(default_factory=list)  # what has to be published next

    def published(self, record: Record) -> None:
        """Takes note of what the test, or this ledger, has published."""
        match record:
            case DispatchRequest():
                self._asked(record)
            case RequestCancellation() if record.request_id in self.asked:
                self.asked[record.request_id].state = RequestState.CANCELLED
            case DispatchOrder():
                self._ordered(record)
            case Settlement():
                self.settled[record.settlement_id] = record

    def _asked(self, request: DispatchRequest) -> None:
        known = self.asked.get(request.request_id)
        if known is None:
            known = Asked(request, self.promises.next_place(request))
            self.asked[request.request_id] = known
        known.request = known.revisions[request.revision] = request
        for standing in self._offers_on(request.request_id):
            faults = fit_faults(request, standing.offer, self.room_of(standing.offer.site, request.request_id))
            if faults and standing.state is OfferState.LIVE:
                standing.codes = _codes(faults)
                self._move(standing, Event.FAIL_RULES, Decision.REJECTED, standing.codes, faults[0].message)

    def _ordered(self, order: DispatchOrder) -> None:
        held = self.orders.get(order.order_id)
        if held is not None:
            if order.revision > held.order.revision:  # no revision of this ledger's own: those are known
                held.order, held.state = order, order.state
            return
        asked = self.asked.get(order.request_id)
        obliged = asked is not None and asked.request.firmness is not Firmness.VOLUNTARY
        self.orders[order.order_id] = Held(order, order.state, obliged)
        if asked is not None and not asked.over:
            asked.state = RequestState.AWARDED
        standing = self.offers.get(order.offer_id or "")
        if standing is not None and standing.callable:
            standing.option, standing.awarded_w = order.option, order.power_w
            self._move(standing, Event.SELECT)
        for other in filter(lambda each: each.state is OfferState.LIVE, self._offers_on(order.request_id)):
            self._move(other, Event.PASS_OVER, Decision.STANDBY, ("OUTBID",))

    # --- what a site says ----------------------------------------------------------------------------------------

    def faults(self, record: Record, now: datetime) -> list[Detail]:
        """Why this write is refused; none where it is taken. An offer that breaks rules is taken, and rejected then."""
        match record:
            case FlexOffer():
                return _listed(self._offer_fault(record))
            case OfferWithdrawal():
                return _listed(self._withdrawal_fault(record))
            case OrderResponse():
                held = self.orders.get(record.order_id)
                if held is None or not is_to(held.order, record):
                    return [UNKNOWN_ORDER]
                return _listed(answer_fault(held, record, now, obliged=held.obliged))
            case BaselineDeclaration():
                return _listed(self.promises.declaration_fault(record, now))
            case MeterReading():
                return reading_faults(record, now, self.promises.sites[record.site].capacity_w)
            case AlertAck():
                return ack_faults(record)
            case SettlementDispute():
                return _listed(self._dispute_fault(record))
        return []

    def written(self, record: Record, receipt: Receipt) -> None:
        """A write without a fault: what follows from it."""
        match record:
            case FlexOffer():
                self._offered(record, receipt.received_at)
            case OfferWithdrawal():
                self._withdrawn(record)
            case OrderResponse():
                self._answered(self.orders[record.order_id], record)
            case BaselineDeclaration():
                self.promises.declare(record, receipt)

    def _offer_fault(self, offer: FlexOffer) -> Detail | None:
        known = self.offers.get(offer.offer_id)
        if problem := revision_fault(offer, None if known is None else known.as_far_as_kept(offer)):
            return problem
        return None if known is None else known.refusal_of(Event.AMEND)

    def _dispute_fault(self, dispute: SettlementDispute) -> Detail | None:
        newest = self.settled.get(dispute.settlement_id)
        if newest is None or (newest.order_id, newest.site) != (dispute.order_id, dispute.site):
            return fault("SETTLEMENT_UNKNOWN", "/settlement_id", "expected a settlement of this order")
        if newest.version != dispute.version:
            return fault("SETTLEMENT_VERSION", "/version", f"expected {newest.version}, got {dispute.version}")
        return None

    def _withdrawal_fault(self, withdrawal: OfferWithdrawal) -> Detail | None:
        known = self.offers.get(withdrawal.offer_id)
        if known is None or not known.listed or known.offer.site != withdrawal.site:
            return _UNKNOWN_OFFER
        return known.refusal_of(Event.WITHDRAW)

    def _offered(self, offer: FlexOffer, now: datetime) -> None:
        known, asked = self.offers.get(offer.offer_id), self.asked.get(offer.request_id or "")
        faults = offer_faults(
            offer,
            None if asked is None else (asked.request, asked.state),
            now,
            crowd=crowd_of(offer, self.offers.values(), self.asked) if known is None else None,
            room_w=self.room_of(offer.site, offer.request_id or ""),
            stands=0 if known is not None else sum(each.callable for each in self._offers_on(None)),
        )
        codes, state = _codes(faults), OfferState.REJECTED if faults else OfferState.LIVE
        turned_down = sum(each.listed and not each.was_good for each in self._offers_on(offer.request_id))
        was_good, listed = not faults, is_listed(codes, turned_down)
        if known is not None:
            was_good, listed = known.was_good, known.listed
        self.offers[offer.offer_id] = standing = Standing(offer, state, codes, was_good, listed)
        decision = Decision.REJECTED if faults else Decision.ACCEPTED_FOR_CLEARING
        reason = "; ".join(f"{broken.pointer}: {broken.message}" for broken in faults)
        self.owed.append(a_decision(standing, decision, codes, reason))

    def room_of(self, site: str, request_id: str) -> Callable[[datetime, datetime], int | None]:
        """What a site can still promise a request that is known, over a period."""

        def room_w(starts_at: datetime, ends_at: datetime) -> int | None:
            live = [held for held in self.orders.values() if held.order.site == site and not held.over]
            return self.promises.headroom_w(site, self.asked[request_id], live, starts_at, ends_at)

        return room_w

    def _withdrawn(self, withdrawal: OfferWithdrawal) -> None:
        standing = self.offers[withdrawal.offer_id]
        self._move(standing, Event.WITHDRAW, Decision.WITHDRAWN, (), withdrawal.reason)
        by = {"actor": f"participant:{withdrawal.participant}", "reason": withdrawal.reason}
        for held in self.orders.values():
            if held.order.offer_id == withdrawal.offer_id and allows(ORDER, held.state, Event.CANCEL):
                held.state = after(ORDER, held.state, Event.CANCEL)
                self.revise(held, reason_code="OFFER_WITHDRAWN", **by)

    def _answered(self, held: Held, response: OrderResponse) -> None:
        so_already = is_so_already(held, response)
        held.answered[response.response] = None
        held.responses += 1
        if so_already:
            return
        event = event_of(response)
        held.state = after(ORDER, held.state, event)
        match event:
            case Event.ACCEPT:
                held.accepted_w = response.accepted_w or held.order.power_w
                self.move_offer_of(held, Event.ORDER_ACCEPTED, Decision.AWARDED)
            case Event.REFUSE:
                self.move_offer_of(held, Event.ORDER_FAILED, Decision.FAILED_AWARD, ("REFUSED",))
            case Event.START:
                self._started(held)
            case Event.COMPLETE:
                self.move_offer_of(held, Event.DELIVER)
            case Event.DERATE | Event.ABORT:
                held.accepted_w = response.available_w or 0
                code = response.reason_code or ("DERATED" if held.accepted_w else "ABORTED")
                said = {"actor": response.actor, "reason_code": code, "reason": response.reason}
                self.revise(held, power_w=held.accepted_w, **said)
                if event is Event.ABORT:
                    self.move_offer_of(held, Event.DEFAULT)

    # --- what the clock does ----------------------------------------------------------------------

    def pass_time(self, now: datetime) -> None:
        """What time has brought about by now, the first thing first."""
        while (due := min(filter(None, (each.due for each in self._waiting())), default=None)) and due.at <= now:
            self._fire(due)

    def _waiting(self) -> list[Asked | Standing | Held]:
        known = (held for held in self.orders.values() if held.order.request_id in self.asked)
        return [*self.asked.values(), *self.offers.values(), *known]

    def _fire(self, due: DueTimer) -> None:
        match due.timer:
            case Timer.GATE_CLOSURE:
                self.asked[due.name].state = after(REQUEST, self.asked[due.name].state, Event.GATE_CLOSURE)
            case Timer.DECISION_DEADLINE:
                self.asked[due.name].state = after(REQUEST, self.asked[due.name].state, Event.NOTHING_AWARDED)
                self.release_offers(due.name)
            case Timer.EXPIRY:
                self._move(self.offers[due.name], Event.EXPIRE, Decision.EXPIRED, ("EXPIRED",))
            case Timer.RESPOND_BY:
                held = self.orders[due.name]
                held.state = after(ORDER, held.state, Event.SILENCE)
                self.revise(held, reason_code="NO_ANSWER", reason="no answer by respond_by")
                self.move_offer_of(held, Event.ORDER_FAILED, Decision.FAILED_AWARD, ("NO_ANSWER",))
            case Timer.START:
                held = self.orders[due.name]
                held.state = after(ORDER, held.state, Event.START)
                self._started(held)
            case Timer.END:
                held = self.orders[due.name]
                held.state = after(ORDER, held.state, Event.COMPLETE)
                self.move_offer_of(held, Event.DELIVER)

    def _started(self, held: Held) -> None:
        if held.accepted_w is None:  # an obligation needs no answer
            held.accepted_w = held.order.power_w
            self.move_offer_of(held, Event.ORDER_ACCEPTED, Decision.AWARDED)

    def release_offers(self, request_id: str) -> None:
        """A request is over: what was not called is let go."""
        for standing in filter(lambda each: each.callable, self._offers_on(request_id)):
            self._move(standing, Event.RELEASE, Decision.RELEASED, (), "the request is over")

    # --- what is told --------------------------------------------------------------------------------------------

    def concerns(self, request_id: str) -> bool:
        """Whether a request takes offers, or one of the participant's still stands on it."""
        asked = self.asked[request_id]
        standing = any(each.state in OFFER_STANDS for each in self._offers_on(request_id))
        return not asked.over and (asked.state is RequestState.OPEN or standing)

    def _offers_on(self, request_id: str | None) -> list[Standing]:
        return [standing for standing in self.offers.values() if standing.offer.request_id == request_id]

    def revise(self, held: Held, **changes: Any) -> None:
        """The next revision of an order, which has to be published."""
        revised = {"revision": held.order.revision + 1, "state": held.state, "actor": "ledger"} | changes
        held.order = held.order.model_copy(update=revised)
        self.owed.append(held.order)

    def move_offer_of(self, held: Held, event: Event, decision: Decision | None = None, *said: Any) -> None:
        """What happens to an order happens to its offer, where that can be."""
        standing = self.offers.get(held.order.offer_id or "")
        if standing is not None and allows(OFFER, standing.state, event):
            if event is Event.ORDER_ACCEPTED:
                standing.awarded_w = held.accepted_w
            self._move(standing, event, decision, *said)

    def _move(self, standing: Standing, event: Event, decision: Decision | None = None, *said: Any) -> None:
        standing.state = after(OFFER, standing.state, event)
        if decision is not None:
            self.owed.append(a_decision(standing, decision, *said))


def _codes(faults: list[Detail]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(broken.code for broken in faults))


def _listed(problem: Detail | None) -> list[Detail]:
    return [] if problem is None else [problem]
