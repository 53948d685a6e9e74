"""What a valid clearing does: orders to the winners, standby for the others."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from gridsignal_schemas.messages import (
    Award,
    Clearing,
    ClearingMode,
    ClearingTrigger,
    Decision,
    DispatchOrder,
    DispatchRequest,
    OfferOption,
    OnCommsLoss,
    OrderState,
    Pricing,
    QuantityKind,
)
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import REQUEST_OVER, Event, OfferState, RequestState
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.clearing import (
    clearing_faults,
    derived_id,
    goes_on,
    lists_end,
    stopped_at_once,
    stopped_in_the_end,
)
from gridsignal_services.ledger.entry import Entry, Outcome, receipt_of
from gridsignal_services.ledger.merit_order import order_window
from gridsignal_services.ledger.moves import end_if_over, move_offer, move_request, set_order_timers
from gridsignal_services.ledger.pieces import Steps, pieces
from gridsignal_services.ledger.shifting import begin, moves_work
from gridsignal_services.ledger.tracked import Step, TrackedOrder, TrackedRequest
from gridsignal_services.settlement.pinned import meaning_of


def clear(book: Book, entry: Entry, clearing: Clearing) -> Steps[Outcome]:
    """Valid if everything it says still holds at its own offset; the first valid one counts."""
    if faults := (yield from clearing_faults(book, clearing, book.now)):
        return Outcome(False, tuple(faults))
    tracked = book.requests[clearing.request_id]
    if book.announcements.owes_order_of(clearing.request_id):
        expected = "expected earlier orders of this request to be announced first"
        return Outcome(False, (fault("ANNOUNCEMENT_OWED", "/request_id", expected),))
    book.await_no_clearing(clearing.request_id)
    if clearing.trigger is ClearingTrigger.BY_HAND:
        _want_again(book, tracked)
    tracked.clearings.append(clearing)
    beyond = _beyond_the_list(book, clearing)
    codes = (yield from stopped_at_once(book, clearing, beyond)) if beyond else {}
    for some in pieces(list(enumerate(clearing.awards, start=1))):
        for rank, award in some:
            _award(book, entry, clearing, award, rank)
        yield
    if beyond:
        codes |= yield from stopped_in_the_end(book, clearing, [key for key in beyond if key not in codes])
    yield from _stand_by(book, clearing, codes)
    _conclude(book, clearing.request_id)
    return Outcome(True, receipt=receipt_of(book.now, entry))


def _want_again(book: Book, tracked: TrackedRequest) -> None:
    """A person who clears a request wants what was taken back before: it is lacking like the rest."""
    for order_id in tracked.orders:
        book.orders[order_id].taken_back = None


def _award(book: Book, entry: Entry, clearing: Clearing, award: Award, rank: int) -> None:
    key: OfferKey = (award.participant, award.offer_id)
    offer = book.offers[key]
    offer.option, offer.power_w, offer.rank = award.option, award.power_w, rank
    offer.order_id = derived_id(clearing.clearing_id, *key)
    move_offer(book, key, Event.SELECT)
    order = _order(book, clearing, award, offer.order_id)
    capacity_w = book.sites[order.site].capacity_w
    tracked = TrackedOrder(order, key, clearing.clearing_id, issued_place=entry.offset, capacity_w=capacity_w)
    cause = (clearing.actor, str(clearing.trigger), clearing.reason, book.principal)
    tracked.history.append(Step(book.now, OrderState.ISSUED, *cause))
    book.add_order(tracked)
    if order.shift_id is not None:
        begin(book, entry, tracked, offer)
        return
    set_order_timers(book, tracked)
    book.announcements.owe(order)


def _order(book: Book, clearing: Clearing, award: Award, order_id: str) -> DispatchOrder:
    request = book.requests[clearing.request_id].request
    offer = book.offers[award.participant, award.offer_id]
    option = offer.option_named(award.option)
    if option is None:
        raise AssertionError("a valid clearing names an option of the offer")
    starts_at, ends_at = order_window(request, option, book.now, award.starts_at)
    meaning = meaning_of(request)
    limit_w: int | None = None
    if meaning is QuantityKind.IMPORT_LIMIT:
        limit_w = max(0, book.peak_w(request.request_id, offer.offer.site, starts_at, ends_at) - award.power_w)
    return DispatchOrder(
        zone=request.zone,
        request_id=request.request_id,
        participant=award.participant,
        site=offer.offer.site,
        order_id=order_id,
        revision=1,
        offer_id=award.offer_id,
        option=award.option,
        quantity_kind=meaning,
        power_w=award.power_w,
        direction=request.direction,
        starts_at=starts_at,
        ends_at=ends_at,
        price_per_mwh=_own_price(request, option, award),
        clearing_price_per_mwh=award.price_per_mwh if request.pricing is Pricing.PAY_AS_CLEARED else None,
        respond_by=book.now + timedelta(seconds=request.respond_within_s),
        rebound_cap_w=request.rebound_cap_w,
        restore_not_before=award.restore_not_before,
        max_ramp_w_per_min=award.max_ramp_w_per_min or request.max_ramp_w_per_min,
        on_comms_loss=OnCommsLoss.COMPLETE,
        state=OrderState.ISSUED,
        actor=clearing.actor,
        reason_code=str(clearing.trigger),
        reason=clearing.reason,
        run_mode=request.run_mode,
        import_limit_w=limit_w,
        shift_id=order_id if moves_work(offer) else None,
    )


def _own_price(request: DispatchRequest, option: OfferOption, award: Award) -> Decimal:
    return option.price_per_mwh if request.pricing is Pricing.PAY_AS_CLEARED else award.price_per_mwh


def _beyond_the_list(book: Book, clearing: Clearing) -> list[OfferKey]:
    """Losers that a full list did not name."""
    if not lists_end(clearing):
        return []
    named = {(award.participant, award.offer_id) for award in clearing.awards}
    named |= {(loser.participant, loser.offer_id) for loser in clearing.rejected}
    considered = book.callable_offers(clearing.request_id, book.now)
    return [key for key, offer in considered if key not in named and offer.place < clearing.position]


def _stand_by(book: Book, clearing: Clearing, beyond: dict[OfferKey, str]) -> Steps[None]:
    codes = beyond | {(loser.participant, loser.offer_id): loser.code for loser in clearing.rejected}
    listed = [(standby.participant, standby.offer_id) for standby in clearing.standby]
    ranks = {key: rank for rank, key in enumerate(listed, start=len(clearing.awards) + 1)}
    for some in pieces(book.requests[clearing.request_id].offers):
        for key in some:
            offer = book.offers[key]
            code = codes.get(key, "NOT_CONSIDERED")  # it came or expired meanwhile, or was left out
            if offer.state is OfferState.LIVE:
                offer.rank = ranks.get(key)
                move_offer(book, key, Event.PASS_OVER, Decision.STANDBY, (code,))
            elif offer.state is OfferState.STANDBY:
                offer.codes = (code,)
        yield


def _conclude(book: Book, request_id: str) -> None:
    tracked = book.requests[request_id]
    alive = any(book.live_orders(tracked.orders))
    if not alive and (tracked.state is RequestState.ACTIVE or book.taken_back(request_id)):
        end_if_over(book, request_id)
        return
    full = book.shortfall_w(request_id, book.now) == 0
    event = Event.NOTHING_AWARDED if not alive else Event.CLEARED_IN_FULL if full else Event.CLEARED_IN_PART
    move_request(book, request_id, event)
    may_go_on = tracked.request.clearing_mode is ClearingMode.AUTOMATIC and tracked.state not in REQUEST_OVER
    if goes_on(tracked.clearings[-1]) and may_go_on and not full:
        book.await_clearing(request_id)
