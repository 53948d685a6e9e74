"""Work that moves between two zones: an order in each, both or neither.

The zones are two partitions without an order between them. The zone that work moves from coordinates: its award is an
order that waits, and the other zone is asked to hold its part. What the other zone answers before the deadline decides,
at its offset here. The other zone holds until it is told, never by a clock of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from gridsignal_schemas.codes import why_lost
from gridsignal_schemas.messages import (
    ClearingMode,
    Decision,
    Direction,
    DispatchOrder,
    DispatchRequest,
    FlexibilityKind,
    OnCommsLoss,
    OrderState,
    Pricing,
    QuantityKind,
    RunMode,
    ShiftConfirm,
    ShiftRelease,
    ShiftReserve,
    ShiftReserved,
    Timer,
    Visibility,
)
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import ORDER, Event, OfferState, RequestState, allows
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_services.access import Audience
from gridsignal_services.ledger.area_guard import AreaGuard
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.clearing import derived_id
from gridsignal_services.ledger.coming_back import comes_back_at
from gridsignal_services.ledger.entry import Entry, Outcome, receipt_of
from gridsignal_services.ledger.legs import Hold, Shift
from gridsignal_services.ledger.moves import (
    fall_short,
    move_offer,
    move_order,
    release_offer_of,
    revise_order,
    set_order_timers,
    set_request_timers,
)
from gridsignal_services.ledger.swings import swing_of
from gridsignal_services.ledger.tracked import Step, TrackedOffer, TrackedOrder, TrackedRequest
from gridsignal_services.settlement.pinned import meaning_of

_ACTOR = "ledger"
_OPPOSITE = {
    Direction.LOAD_DECREASE: Direction.LOAD_INCREASE,
    Direction.LOAD_INCREASE: Direction.LOAD_DECREASE,
}
_NOT_OWED = Outcome(False, (fault("NOT_OWED", "/shift_id", "expected a shift that waits for this"),))


# --- the zone that work moves from ------------------------------------------------------------------------------


def moves_work(offer: TrackedOffer) -> bool:
    """Whether an award of this offer is an order in two zones."""
    flexibility = offer.offer.flexibility
    return flexibility.kind is FlexibilityKind.SHIFT_SITE and flexibility.shift_to_site is not None


def begin(book: Book, entry: Entry, tracked: TrackedOrder, offer: TrackedOffer) -> None:
    """The order waits: the other zone has half of the time in which its site has to answer."""
    order, flexibility = tracked.order, offer.offer.flexibility
    request = book.requests[order.request_id].request
    assert flexibility.shift_to_zone is not None
    assert flexibility.shift_to_site is not None
    assert flexibility.counterpart_power_w, "else the offer was rejected"
    largest_w = max(option.power_w for option in offer.offer.options)
    reserve = ShiftReserve(
        zone=flexibility.shift_to_zone,
        shift_id=order.order_id,
        source_zone=order.zone,
        source_position=entry.offset,
        request_id=order.request_id,
        operator=request.operator,
        product=request.product,
        purpose=request.purpose,
        participant=order.participant,
        site=flexibility.shift_to_site,
        direction=_OPPOSITE[order.direction],
        power_w=-(-flexibility.counterpart_power_w * order.power_w // largest_w),
        starts_at=order.starts_at,
        ends_at=order.ends_at or request.ends_at,
        deadline=book.now + timedelta(seconds=request.respond_within_s) / 2,
        respond_by=order.respond_by,
        firmness=request.firmness,
        currency=request.currency,
        max_ramp_w_per_min=request.max_ramp_w_per_min,
        run_mode=request.run_mode,
        settlement=request.settlement if meaning_of(request) is QuantityKind.DELTA else None,
    )
    book.shifts[order.order_id] = Shift(reserve)
    book.timers.set(Timer.SHIFT_DEADLINE, order.order_id, order.revision, reserve.deadline, order.zone)


def reserved(book: Book, entry: Entry, reserved: ShiftReserved) -> Outcome:
    """The other zone's word decides: both orders stand, or neither. One that comes after the deadline is no word."""
    shift = book.shifts.get(reserved.shift_id)
    if shift is None or shift.held_at is not None or reserved.zone != shift.reserve.source_zone:
        return _NOT_OWED
    if reserved.codes:
        _pass_over(book, reserved.shift_id, reserved.codes[0])
    elif book.now >= shift.reserve.deadline:
        _pass_over(book, reserved.shift_id, "SHIFT_UNANSWERED")
    else:
        shift.held_at = reserved.position
        book.timers.clear(Timer.SHIFT_DEADLINE, reserved.shift_id)
        _stand(book, book.orders[reserved.shift_id])
    return Outcome(True)


def unanswered(book: Book, shift_id: str) -> None:
    """The deadline has come first."""
    _pass_over(book, shift_id, "SHIFT_UNANSWERED")


def _pass_over(book: Book, shift_id: str, code: str) -> None:
    tracked = book.orders[shift_id]
    reason = why_lost([code])
    move_order(book, tracked, Event.CANCEL, _ACTOR, code, reason)
    if tracked.offer_key is not None:
        move_offer(book, tracked.offer_key, Event.ORDER_FAILED, Decision.FAILED_AWARD, (code,), reason)
    fall_short(book, tracked.order.request_id)


# --- the zone that it moves to ----------------------------------------------------------------------------------


def reserve(book: Book, entry: Entry, reserve: ShiftReserve) -> Outcome:
    """Holds the power, or says why not; once."""
    if reserve.shift_id in book.holds:
        return _NOT_OWED
    _forget_refused(book)
    request_id = _request_id(reserve)
    if request_id in book.requests or request_id in book.past.audiences:
        book.holds[reserve.shift_id] = Hold(reserve, place=entry.offset, codes=("CONFLICT",))
        return Outcome(True)
    request = _counterpart(book, reserve)
    if codes := tuple(_codes(book, entry, reserve, request)):
        book.holds[reserve.shift_id] = Hold(reserve, place=entry.offset, codes=codes)
        return Outcome(True)
    order = _order(reserve)
    book.holds[reserve.shift_id] = Hold(reserve, order.order_id, entry.offset)
    seen_by = Audience(participants=frozenset({reserve.participant}), operators=frozenset({reserve.operator}))
    asked = TrackedRequest(request, entry.offset, {}, {}, seen_by, RequestState.AWARDED)
    asked.digests[request.revision], asked.receipts[request.revision] = entry.sha256, receipt_of(book.now, entry)
    book.open_request(asked)
    set_request_timers(book, request.request_id)
    capacity_w = book.sites[order.site].capacity_w
    tracked = TrackedOrder(order, None, reserve.shift_id, issued_place=entry.offset, capacity_w=capacity_w)
    tracked.history.append(Step(book.now, OrderState.ISSUED, _ACTOR, "SHIFT", "", book.principal))
    book.add_order(tracked)
    return Outcome(True)


def _codes(book: Book, entry: Entry, reserve: ShiftReserve, request: DispatchRequest) -> Iterator[str]:
    """Why the power can't be held: what an award in this zone would be held against, too."""
    site = book.sites.get(reserve.site)
    if book.now >= reserve.deadline:  # however often it is asked again later, nothing is held for ever
        yield "SHIFT_UNANSWERED"
    elif site is None or (site.participant, site.zone) != (reserve.participant, reserve.zone):
        yield "SITE_UNKNOWN"
    elif len(book.live_of_site.get(reserve.site, ())) >= LIMITS.orders_of_site:
        yield "ORDERS_OF_SITE"
    elif not _has_room(book, entry, reserve, request):
        yield "OVERCOMMITTED"
    else:  # the one place where the areas are asked
        is_dry, unfiled = reserve.run_mode is RunMode.DRY_RUN, TrackedOrder(_order(reserve), None, reserve.shift_id)
        swing = swing_of(book.course_of(unfiled), is_dry=is_dry)
        if (cut := AreaGuard(book, is_dry=is_dry).cut(reserve.site, swing)) is not None:
            yield cut.code


def _has_room(book: Book, entry: Entry, reserve: ShiftReserve, request: DispatchRequest) -> bool:
    promised = book.committed(reserve.site, request)
    room_w = book.headroom_w(
        reserve.site, request, reserve.starts_at, reserve.ends_at, before=entry.offset, promised=promised
    )
    return room_w is not None and reserve.power_w <= room_w


def _forget_refused(book: Book) -> None:
    """Those that nobody asks for again."""
    over = [name for name, hold in book.holds.items() if hold.codes and hold.reserve.deadline + book.kept < book.now]
    for name in over:
        del book.holds[name]


def confirm(book: Book, entry: Entry, confirmed: ShiftConfirm) -> Outcome:
    """The order of this zone is owed, too."""
    hold = book.holds.get(confirmed.shift_id)
    if hold is None or hold.codes or hold.is_confirmed or hold.reserve.zone != confirmed.zone:
        return _NOT_OWED
    assert hold.order_id is not None, "what is not refused is held"
    hold.is_confirmed = True
    _stand(book, book.orders[hold.order_id])
    return Outcome(True)


def _counterpart(book: Book, reserve: ShiftReserve) -> DispatchRequest:
    """What the shift asks of this zone, as a request that nobody but its order answers."""
    return DispatchRequest(
        zone=reserve.zone,
        request_id=_request_id(reserve),
        revision=1,
        operator=reserve.operator,
        product=reserve.product,
        purpose=reserve.purpose,
        text=f"the counterpart of an order in {reserve.source_zone}",
        direction=reserve.direction,
        visibility=Visibility.LISTED,
        audience=[reserve.participant],
        starts_at=reserve.starts_at,
        ends_at=reserve.ends_at,
        power_w=reserve.power_w,
        min_quantity_w=reserve.power_w,
        currency=reserve.currency,
        pricing=Pricing.UNPAID,
        firmness=reserve.firmness,
        max_notice_s=0,
        full_activation_s=0,
        max_ramp_w_per_min=reserve.max_ramp_w_per_min,
        gate_closure_at=book.now,
        decision_deadline=reserve.deadline,
        respond_within_s=0,
        clearing_mode=ClearingMode.BY_HAND,
        run_mode=reserve.run_mode,
        settlement=reserve.settlement,
    )


def counterpart_of(shift_id: str) -> str:
    """The order of the zone that the work moves to."""
    return derived_id(shift_id, "counterpart")


def _request_id(reserve: ShiftReserve) -> str:
    """Another than that of any order, for both zones may lie in one partition."""
    return derived_id(reserve.shift_id, "request")


def _order(reserve: ShiftReserve) -> DispatchOrder:
    return DispatchOrder(
        zone=reserve.zone,
        request_id=_request_id(reserve),
        participant=reserve.participant,
        site=reserve.site,
        order_id=counterpart_of(reserve.shift_id),
        revision=1,
        quantity_kind=QuantityKind.DELTA,
        power_w=reserve.power_w,
        direction=reserve.direction,
        starts_at=reserve.starts_at,
        ends_at=reserve.ends_at,
        price_per_mwh=Decimal(0),
        respond_by=reserve.respond_by,
        max_ramp_w_per_min=reserve.max_ramp_w_per_min,
        on_comms_loss=OnCommsLoss.COMPLETE,
        state=OrderState.ISSUED,
        actor=_ACTOR,
        reason_code="SHIFT",
        reason=f"the counterpart of an order in {reserve.source_zone}",
        run_mode=reserve.run_mode,
        shift_id=reserve.shift_id,
    )


# --- both -------------------------------------------------------------------------------------------------------


def _stand(book: Book, tracked: TrackedOrder) -> None:
    """From now on its site is told, and its clock runs."""
    set_order_timers(book, tracked)
    book.announcements.owe(tracked.order)


def release(book: Book, entry: Entry, release: ShiftRelease) -> Outcome:
    """The other leg is over or ends early, or never came to be: so does this one."""
    hold, shift = book.holds.get(release.shift_id), book.shifts.get(release.shift_id)
    if hold is not None and not hold.codes and hold.order_id is not None and hold.reserve.zone == release.zone:
        tracked, is_told = book.orders[hold.order_id], hold.is_confirmed
    elif shift is not None and shift.held_at is not None and shift.reserve.source_zone == release.zone:
        tracked, is_told = book.orders[release.shift_id], True
    else:
        return _NOT_OWED
    if not _end(book, tracked, release, is_told=is_told):
        return _NOT_OWED
    fall_short(book, tracked.order.request_id)
    return Outcome(True)


def _end(book: Book, tracked: TrackedOrder, release: ShiftRelease, *, is_told: bool) -> bool:
    """Not begun: cancelled; else it ends with the other, and ramps back from there as from any end.

    False where it ends no later anyway.
    """
    code, reason = "SHIFT_OVER", release.reason or why_lost(["SHIFT_OVER"])
    ends_at = max(release.ends_at or book.now, book.now)
    if allows(ORDER, tracked.state, Event.CANCEL) and (ends_at <= tracked.order.starts_at or not is_told):
        restores_at = comes_back_at(book, tracked, None) or tracked.order.restore_not_before
        tracked.order = tracked.order.model_copy(update={"restore_not_before": restores_at})
        move_order(book, tracked, Event.CANCEL, _ACTOR, code, reason)
        if not is_told:
            return True
        revise_order(book, tracked, _ACTOR, code, reason)
        if tracked.offer_key is not None and book.offers[tracked.offer_key].state is OfferState.TENTATIVE:
            move_offer(book, tracked.offer_key, Event.ORDER_FAILED, Decision.FAILED_AWARD, (code,), reason)
        else:
            release_offer_of(book, tracked, reason)
        return True
    if tracked.order.ends_at is not None and ends_at >= tracked.order.ends_at:
        return False
    restores_at = comes_back_at(book, tracked, ends_at) or tracked.order.restore_not_before
    revise_order(book, tracked, _ACTOR, code, reason, ends_at=ends_at, restore_not_before=restores_at)
    return True
