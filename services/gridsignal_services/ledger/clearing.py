"""Clearing: one record that says who is called and why the others are not, and whether it still holds when logged."""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    Award,
    Clearing,
    ClearingTrigger,
    DispatchRequest,
    OfferOption,
    Rejection,
    Standby,
)
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import OFFER_CALLABLE, REQUEST_OVER, RequestState
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.rules.profile import Block
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.merit_order import (
    NEXT_CLEARING,
    Fit,
    Round,
    as_offered,
    effective_price,
    in_merit_order,
    long_enough,
    order_window,
)
from gridsignal_services.ledger.overtaken import NOTHING, LeftOut
from gridsignal_services.ledger.picks import Pick, Solved, by_hand, combined
from gridsignal_services.ledger.pieces import A_PIECE, Steps, pieces, weighed
from gridsignal_services.ledger.ranking import MeritRank, left_over, price_in_full
from gridsignal_services.ledger.staggering import HOLDS, Placed
from gridsignal_services.ledger.swings import Swing, swing_of
from gridsignal_services.ledger.tracked import TrackedOffer
from gridsignal_services.ledger.worth import uniform_price, worth

MERIT_ORDER = "merit-order"
COMBINATION = "mixed-integer"
"""A solver found a better combination than the merit order."""
VERSION = 2
"""2: lists end at a bound, and identities do not tell how much was logged before."""
_NAMESPACE = uuid.UUID("6f0c0f0e-5d4b-5c38-9d59-0e6e6b1f5a10")


def derived_id(*parts: object) -> str:
    """A UUIDv5 of what it stands for: the same on every node."""
    return str(uuid.uuid5(_NAMESPACE, "|".join(map(str, parts))))


def decide(
    book: Book,
    request_id: str,
    *,
    now: datetime,
    position: int,
    trigger: ClearingTrigger,
    actor: str,
    reason: str = "",
    picks: Sequence[Pick] | None = None,
    left_out: LeftOut = NOTHING,
    solved: Solved | None = None,
) -> Clearing:
    """The clearing of a request as the book stands: a pure function of the book, the grid time and the picks.

    `position` is the next offset of the partition: what the decision was made from. What is `left_out` is not
    considered. `picks` are a person's. What a solver has `solved` is awarded if it is better than the merit order.
    Raises ValueError for a pick that names no callable offer, and for a solver's that is no better.
    """
    lot = Round(book, request_id, now, spares=trigger is not ClearingTrigger.BY_HAND)
    candidates = [(key, offer) for key, offer in book.callable_offers(request_id, now) if not left_out.has(key)]
    fits, stopped = _awarded(lot, candidates, picks, solved)
    dearest = max([*_held(lot), *((fit.effective_price, fit.place) for fit in fits)], default=None)
    others = left_over(lot, candidates, {fit.key for fit in fits})
    left = heapq.nsmallest(LIMITS.losers_of_clearing, others, key=itemgetter(0))
    return Clearing(
        zone=lot.request.zone,
        clearing_id=derived_id(request_id, "clearing", len(lot.tracked.clearings)),
        request_id=request_id,
        request_revision=lot.request.revision,
        position=position,
        awards=_awards(lot.request, fits, book),
        standby=[Standby(offer_id=k[1], participant=k[0], revision=o.offer.revision) for _, k, o in left],
        rejected=[_rejection(lot, k, _exactly(lot, stopped[k], o, dearest)) for _, k, o in left],
        trigger=trigger,
        actor=actor,
        reason=reason,
        algorithm=COMBINATION if solved is not None and solved.picks else MERIT_ORDER,
        version=VERSION,
        gap=None if solved is None else solved.gap,
    )


def _awarded(
    lot: Round,
    candidates: Sequence[tuple[OfferKey, TrackedOffer]],
    picks: Sequence[Pick] | None,
    solved: Solved | None,
) -> tuple[list[Fit], dict[OfferKey, str]]:
    """The awards, and of all others the rule that stopped them. Raises ValueError as `decide` does."""
    if picks is not None:
        offers = dict(candidates)
        return by_hand(lot, offers, picks), dict.fromkeys(offers, NOT_PICKED)
    if solved is not None and solved.picks:
        return _better(lot, candidates, solved.picks)
    return in_merit_order(lot, candidates, LIMITS.awards_of_clearing)


def _better(
    lot: Round, candidates: Sequence[tuple[OfferKey, TrackedOffer]], picks: Sequence[Pick]
) -> tuple[list[Fit], dict[OfferKey, str]]:
    """A solver's choice, if the merit order is no match for it. Raises ValueError."""
    beside = Round(lot.book, lot.request.request_id, lot.now, spares=True)
    in_order, _ = in_merit_order(beside, candidates, LIMITS.awards_of_clearing)
    fits, stopped = combined(lot, candidates, picks)
    if not worth(lot, _blocks(fits)).is_better(worth(lot, _blocks(in_order))):
        raise ValueError("expected a combination that is better than the merit order")
    return fits, stopped


def _blocks(fits: Sequence[Fit]) -> list[tuple[OfferOption, Block]]:
    return [(fit.option, fit.block) for fit in fits]


NOT_PICKED = "NOT_PICKED"


def _rejection(lot: Round, key: OfferKey, code: str) -> Rejection:
    cut = lot.cuts.get(key)
    of_area = {} if cut is None or cut.code != code or not cut.area else {"area": cut.area, "limit": cut.limit}
    return Rejection(offer_id=key[1], participant=key[0], code=code, **of_area)


def _held(lot: Round) -> Iterator[MeritRank]:
    """Where those stand that hold orders of the request."""
    for tracked in lot.book.live_orders(lot.tracked.orders):
        offer = lot.book.offers.get(tracked.offer_key) if tracked.offer_key else None
        option = offer.option_named(tracked.order.option or "") if offer else None
        if offer is not None and option is not None:
            yield effective_price(option, tracked.block()), offer.place


def _exactly(lot: Round, code: str, offer: TrackedOffer, dearest: MeritRank | None) -> str:
    """OUTBID where all who are called are cheaper, or as cheap and earlier; COVERED where somebody dearer is."""
    if code != "OUTBID" or dearest is None:
        return code
    if offer.needs is not None and offer.needs.least_price_per_mwh > dearest[0]:
        return code  # whatever of it were called: a fee is never below zero
    return "COVERED" if (price_in_full(lot.request, offer, lot.now), offer.place) < dearest else code


def stopped_at_once(book: Book, clearing: Clearing, keys: Sequence[OfferKey]) -> Steps[dict[OfferKey, str]]:
    """The rules that stop offers beyond the list before anything is awarded; not those that can still be called."""
    if clearing.rejected[0].code == NOT_PICKED:
        return dict.fromkeys(keys, NOT_PICKED)
    found = yield from _stops(_round_of(book, clearing), keys)
    return {key: code for key, code in found.items() if code != NEXT_CLEARING}


def stopped_in_the_end(book: Book, clearing: Clearing, keys: Sequence[OfferKey]) -> Steps[dict[OfferKey, str]]:
    """The rules that stop the others, as the book stands after the clearing's awards."""
    lot = _round_of(book, clearing)
    dearest = max(_held(lot), default=None)
    stops = yield from _stops(lot, keys)
    exact: dict[OfferKey, str] = {}
    for some in pieces(keys):
        exact |= {key: _exactly(lot, stops[key], book.offers[key], dearest) for key in some}
        yield
    return exact


def _round_of(book: Book, clearing: Clearing) -> Round:
    return Round(book, clearing.request_id, book.now, spares=clearing.trigger is not ClearingTrigger.BY_HAND)


def _stops(lot: Round, keys: Sequence[OfferKey]) -> Steps[dict[OfferKey, str]]:
    # all processes reduce this, with thousands of offers: where nothing fits, the first option's reason is the answer
    most = 1 if lot.lacks_nothing() else None
    stops: dict[OfferKey, str] = {}
    for some in weighed(keys, (len(lot.book.offers[key].offer.options[:most]) for key in keys)):
        stops |= {key: _stop(lot, key, lot.book.offers[key], most) for key in some}
        yield
    return stops


def _stop(lot: Round, key: OfferKey, offer: TrackedOffer, most: int | None) -> str:
    first = ""
    for option in offer.offer.options[:most]:  # the first that fits tells
        fit = lot.fit(key, offer, option)
        if not isinstance(fit, str):
            return NEXT_CLEARING
        first = first or fit
    return first


def lists_end(clearing: Clearing) -> bool:
    """Whether there may be losers that the clearing does not list."""
    return clearing.version >= VERSION and len(clearing.rejected) >= LIMITS.losers_of_clearing


def goes_on(clearing: Clearing) -> bool:
    """Whether there may be awards for which the clearing had no room."""
    return clearing.version >= VERSION and len(clearing.awards) >= LIMITS.awards_of_clearing


def _awards(request: DispatchRequest, fits: Sequence[Fit], book: Book) -> list[Award]:
    same_for_all = uniform_price(request, (fit.option for fit in fits))
    return [
        Award(
            offer_id=fit.key[1],
            participant=fit.key[0],
            revision=book.offers[fit.key].offer.revision,
            option=fit.option.option,
            power_w=fit.block.power_w,
            price_per_mwh=fit.option.price_per_mwh if same_for_all is None else same_for_all,
            **_as_placed(fit.placed),
        )
        for fit in fits
    ]


def _as_placed(placed: Placed | None) -> dict[str, Any]:
    if placed is None:
        return {}
    return {
        "starts_at": placed.starts_at,
        "restore_not_before": placed.restores_at,
        "max_ramp_w_per_min": placed.ramp_w_per_min,
    }


def clearing_faults(book: Book, clearing: Clearing, now: datetime) -> Steps[list[Detail]]:
    """Why a clearing is not valid at its own offset; empty when it is.

    Nothing else on the partition invalidates it: only this request, these offers, these sites.
    """
    if clearing.request_id in book.past.audiences:
        return [fault("REQUEST_NOT_CLEARING", "/request_id", "expected one that still clears, got one that is over")]
    tracked = book.requests.get(clearing.request_id)
    current = tracked is not None and (tracked.request.zone, tracked.request.revision) == (
        clearing.zone,
        clearing.request_revision,
    )
    if tracked is None or not current:
        return [fault("REQUEST_REVISION", "/request_revision", "expected the request's current revision")]
    if tracked.state in REQUEST_OVER:
        return [fault("REQUEST_NOT_CLEARING", "/request_id", f"expected one that still clears, got {tracked.state}")]
    first = tracked.state in (RequestState.OPEN, RequestState.CLEARING)
    if first and now > tracked.request.decision_deadline:
        expected = f"expected a decision by {rfc3339(tracked.request.decision_deadline)}"
        return [fault("TOO_LATE", "/request_id", expected)]
    if clearing.trigger is not ClearingTrigger.BY_HAND and not tracked.wants_clearing:
        return [fault("NOT_SHORT", "/request_id", "expected a request that waits for a clearing")]
    if clearing.trigger is ClearingTrigger.BY_HAND and tracked.state is RequestState.OPEN and not clearing.awards:
        return [fault("NOTHING_TO_AWARD", "/awards", "expected an award while the request is OPEN, got none")]
    lot = Round(book, clearing.request_id, now)
    faults: list[Detail] = []
    seen: set[OfferKey] = set()
    for index, award in enumerate(clearing.awards):
        key, at = (award.participant, award.offer_id), f"/awards/{index}"
        offer = book.offers.get(key)
        option = offer.option_named(award.option) if offer else None
        if key in seen:
            faults.append(fault("AWARDED_TWICE", at, "expected each offer once: its options exclude each other"))
        elif offer is None or option is None or not _still_callable(offer, clearing, award, now):
            faults.append(fault("OFFER_NOT_CALLABLE", at, "expected a LIVE or STANDBY revision that has not expired"))
        else:
            faults.extend(_award_faults(lot, offer, option, award, at))
        seen.add(key)
        if index % A_PIECE == A_PIECE - 1:
            yield
    return faults


def _still_callable(offer: TrackedOffer, clearing: Clearing, award: Award, now: datetime) -> bool:
    meant = (offer.offer.request_id, offer.offer.revision) == (clearing.request_id, award.revision)
    return meant and offer.state in OFFER_CALLABLE and offer.offer.expires_at > now


def _award_faults(lot: Round, offer: TrackedOffer, option: OfferOption, award: Award, at: str) -> list[Detail]:
    earliest, _ = order_window(lot.request, option, lot.now)
    starts_at, ends_at = order_window(lot.request, option, lot.now, award.starts_at)
    if starts_at < earliest or not long_enough(option, starts_at, ends_at):
        return [fault("TOO_LATE", at, "expected time for the site to answer, ramp and stay as long as it must")]
    faults = []
    allowed = max(0, lot.lacking_w(starts_at, ends_at) + (lot.request.step_w or 0))
    if award.power_w > allowed:
        faults.append(fault("EXCEEDS_SHORTFALL", at, f"expected at most {allowed} W, got {award.power_w}"))
    if not as_offered(option, award.power_w):
        faults.append(fault("NOT_AS_OFFERED", at, f"expected what the option allows, got {award.power_w} W"))
    block = Block(starts_at, ends_at, award.power_w)
    if code := lot.site_code(offer, option, block):
        faults.append(fault(code, at, f"expected a site with headroom and rest for {award.power_w} W"))
    swing = None
    if lot.areas.concerns(offer.offer.site):
        course = lot.course(offer, option, block, award.max_ramp_w_per_min)
        swing = swing_of(course._replace(restores_at=award.restore_not_before or ends_at), is_dry=lot.is_dry)
        faults.extend(_area_faults(lot, offer.offer.site, swing, ends_at, lot.ready_at(option), at))
    lot.take(block, offer.offer.site, swing)
    return faults


def _area_faults(
    lot: Round, site: str, swing: Swing, ends_at: datetime, ready_at: datetime, at: str
) -> Iterator[Detail]:
    assert swing.back is not None
    if swing.there.since < ready_at:
        yield fault("TOO_LATE", at, "expected time for the site to answer and to ramp as slowly as its areas need")
    if not ends_at <= swing.back.since <= ends_at + HOLDS:
        until = rfc3339(ends_at + HOLDS)
        yield fault("NOT_AS_OFFERED", at, f"expected restore_not_before from {rfc3339(ends_at)} to {until}")
    if cut := lot.areas.cut(site, swing):
        yield cut.detail(at)
