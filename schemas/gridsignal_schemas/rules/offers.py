"""What an offer must satisfy, as far as it follows from the offer and its request: one code for each rule.

What the site can still promise is for whoever knows its baseline and its orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    Decision,
    Direction,
    DispatchRequest,
    Flexibility,
    FlexibilityKind,
    FlexOffer,
    OfferDecision,
    OfferOption,
    Visibility,
    Workload,
)
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import RequestState
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.rules.products import offer_outside, product_of
from gridsignal_schemas.values import WATT_SECONDS_PER_MWH, rfc3339, text_of_decimal

UNSEEN = fault("REQUEST_UNKNOWN", "/request_id", "expected an open request you can see")
"""To the letter the same for a request that does not exist and for one that is not for this participant."""
_CAPS = frozenset({"OFFERS_OF_SITE", "OFFERS_OF_PARTICIPANT", "OFFERS_OF_REQUEST", "OFFERS_STANDING"})
_UNLISTED = frozenset({"SITE_UNKNOWN", "REQUEST_UNKNOWN", "PRICE", "FEE", *_CAPS})
"""What breaks one of these is in no book: it concerns no request, or its figures are none."""


Room = Callable[[datetime, datetime], int | None]
"""What a site can still promise over a period, in watts; None where no baseline covers it."""


class Crowd(NamedTuple):
    """How many offers there are that were good when they came."""

    of_site: int
    """On the request, of the offer's site."""
    of_participant: int
    """On the request."""
    of_request: int
    standing: int
    """Of the participant on all requests that are not over."""


def can_see(request: DispatchRequest, participant: str) -> bool:
    """Whether a participant may know of a request in a zone that is open to it."""
    return request.visibility is Visibility.PUBLIC or participant in request.audience


def _concerns(request: DispatchRequest, offer: FlexOffer) -> bool:
    return request.zone == offer.zone and can_see(request, offer.participant)


def _crowd_fault(crowd: Crowd) -> Detail | None:
    crowded = crowd.of_request >= LIMITS.offers_of_request and crowd.of_participant >= LIMITS.offers_reserved
    for code, full, most in (
        ("OFFERS_OF_SITE", crowd.of_site >= LIMITS.offers_of_site, f"{LIMITS.offers_of_site} offers of a site"),
        (
            "OFFERS_OF_PARTICIPANT",
            crowd.of_participant >= LIMITS.offers_of_participant,
            f"{LIMITS.offers_of_participant} of yours",
        ),
        ("OFFERS_OF_REQUEST", crowded, f"{LIMITS.offers_reserved} of yours on a request that has so many"),
        (
            "OFFERS_STANDING",
            crowd.standing >= LIMITS.offers_standing,
            f"{LIMITS.offers_standing} of yours on requests that are not over",
        ),
    ):
        if full:
            return fault(code, "/request_id", f"expected at most {most}")
    return None


def revision_fault(offer: FlexOffer, before: FlexOffer | None) -> Detail | None:
    """Why this can't be an offer's first revision, or the one after `before`."""
    expected = 1 if before is None else before.revision + 1
    if offer.revision != expected:
        return fault("REVISION", "/revision", f"expected {expected}, got {offer.revision}")
    if offer.revision > LIMITS.revisions_of_offer:
        return fault("REVISIONS", "/revision", f"expected at most {LIMITS.revisions_of_offer}, got {offer.revision}")
    if before is not None and (before.request_id, before.site) != (offer.request_id, offer.site):
        return fault("CONFLICT", "/request_id", "expected the request and site of the first revision")
    return None


def _standing_faults(offer: FlexOffer, stands: int) -> Iterator[Detail]:
    if offer.flexibility.rebound is not None or offer.flexibility.complete_by is not None:
        expected = "expected none with a standing offer, for nobody knows when it is called"
        yield fault("STANDING", "/flexibility/rebound", expected)
    if offer.flexibility.shift_to_site is not None:
        expected = "expected none with a standing offer, for it waits for no other zone"
        yield fault("STANDING", "/flexibility/shift_to_site", expected)
    if stands >= LIMITS.offers_for_products:
        most = LIMITS.offers_for_products
        yield fault("OFFERS_STANDING", "/standing", f"expected at most {most} of yours that stand for a product")


def _takes_offers(request: DispatchRequest, state: RequestState, offer: FlexOffer, now: datetime) -> Iterator[Detail]:
    if now >= request.gate_closure_at and state is not RequestState.CANCELLED:  # whatever has become of it since
        expected = f"expected before {rfc3339(request.gate_closure_at)}, got {rfc3339(now)}"
        yield fault("GATE_CLOSED", "/request_id", expected)
    elif state is not RequestState.OPEN:
        is_cancelled = state is RequestState.CANCELLED
        standing = state if is_cancelled else "one that was decided before its gate closed"
        yield fault("REQUEST_NOT_OPEN", "/request_id", f"expected a request that still takes offers, got {standing}")
    if offer.request_revision != request.revision:
        expected = f"expected revision {request.revision}, got {offer.request_revision}"
        yield fault("REQUEST_REVISION", "/request_revision", expected)


def offer_faults(
    offer: FlexOffer,
    asked: tuple[DispatchRequest, RequestState] | None,
    now: datetime,
    *,
    crowd: Crowd | None,
    room_w: Room | None,
    stands: int = 0,
) -> list[Detail]:
    """Everything that is wrong with an offer at this grid time; empty when nothing is.

    `stands` is how many others of its participant stand for a product, and matters to another such alone.
    `asked` is the request as it stands. `crowd` is None for an offer that is amended: it has its place.
    `room_w` is None where the site is not this participant's.
    """
    faults = [*_own_faults(offer, now)]
    if room_w is None:
        faults.append(fault("SITE_UNKNOWN", "/site", "expected a registered site of this participant and zone"))
    if offer.called_from is not None:
        faults.append(fault("STANDING", "/called_from", "expected none, for a request says it"))
    if offer.request_id is None and offer.standing is not None:
        return [*faults, *_standing_faults(offer, stands)]
    if asked is None or not _concerns(asked[0], offer):
        return [*faults, UNSEEN]
    if offer.standing is not None:
        faults.append(fault("STANDING", "/standing", "expected none in an offer on a request"))
    if not faults and crowd is not None and (full := _crowd_fault(crowd)):
        return [full]
    return [*faults, *_takes_offers(*asked, offer, now), *fit_faults(asked[0], offer, room_w)]


def fit_faults(request: DispatchRequest, offer: FlexOffer, room_w: Room | None) -> list[Detail]:
    """What keeps the offer from serving the request as it is now: also asked when the request is amended."""
    if not _concerns(request, offer):
        return [UNSEEN]
    faults: list[Detail] = []
    for index, option in enumerate(offer.options):
        at = f"/options/{index}"
        faults.extend(_option_fit(request, option, at))
        starts_at, ends_at = max(option.starts_at, request.starts_at), min(option.ends_at, request.ends_at)
        if room_w is not None and starts_at < ends_at:  # without an overlap WINDOW says it
            faults.extend(_room_faults(option, room_w(starts_at, ends_at), at))
    rebound = offer.flexibility.rebound
    if request.rebound_cap_w is not None and rebound is not None and rebound.peak_w > request.rebound_cap_w:
        expected = f"expected at most {request.rebound_cap_w}, got {rebound.peak_w}"
        faults.append(fault("REBOUND_CAP", "/flexibility/rebound/peak_w", expected))
    terms = product_of(request)
    return faults if terms is None else [*faults, *offer_outside(terms, offer)]


def is_listed(codes: Sequence[str], turned_down: int) -> bool:
    """Whether a request's book lists an offer; of one it does not, nothing but its receipt is known later.

    `turned_down`: how many rejected ones of its participant the book lists.
    """
    return not codes or (_UNLISTED.isdisjoint(codes) and turned_down < LIMITS.offers_turned_down)


def _room_faults(option: OfferOption, room_w: int | None, at: str) -> Iterator[Detail]:
    if room_w is None:
        expected = "expected a baseline declared before the request for the whole window, got none"
        yield fault("OVERCOMMITTED", f"{at}/power_w", expected)
    elif option.power_w > room_w:
        expected = f"expected at most {max(room_w, 0)} W that the site has not promised, got {option.power_w}"
        yield fault("OVERCOMMITTED", f"{at}/power_w", expected)


# --- the offer itself -------------------------------------------------------------------------------------------


def _own_faults(offer: FlexOffer, now: datetime) -> Iterator[Detail]:
    if offer.expires_at <= now:
        yield fault("EXPIRED", "/expires_at", f"expected a time after {rfc3339(now)}, got {rfc3339(offer.expires_at)}")
    names = [option.option for option in offer.options]
    if len(set(names)) < len(names):
        yield fault("OPTION_NAMES", "/options", "expected options with different names")
    for index, option in enumerate(offer.options):
        yield from _option_faults(option, f"/options/{index}")
    yield from _flexibility_faults(offer.flexibility)
    if offer.flexibility.shift_to_site is not None and offer.flexibility.shift_to_zone == offer.zone:
        yield fault("COUNTERPART", "/flexibility/shift_to_zone", f"expected another zone than {offer.zone}")


def _option_faults(option: OfferOption, at: str) -> Iterator[Detail]:
    if option.ends_at <= option.starts_at:
        expected = f"expected a time after starts_at ({rfc3339(option.starts_at)}), got {rfc3339(option.ends_at)}"
        yield fault("WINDOW", f"{at}/ends_at", expected)
    if option.max_duration_s < max(option.min_duration_s, 1):
        expected = f"expected at least min_duration_s ({option.min_duration_s}), got {option.max_duration_s}"
        yield fault("DURATION", f"{at}/max_duration_s", expected)
    if option.min_power_w > option.power_w:
        expected = f"expected at most power_w ({option.power_w}), got {option.min_power_w}"
        yield fault("MIN_POWER", f"{at}/min_power_w", expected)
    yield from _money_faults(option, at)
    if option.levels_w is not None:
        yield from _level_faults(option, option.levels_w, f"{at}/levels_w")


def _money_faults(option: OfferOption, at: str) -> Iterator[Detail]:
    if abs(option.price_per_mwh) > LIMITS.price_per_mwh:
        expected = f"expected {-LIMITS.price_per_mwh} to {LIMITS.price_per_mwh}"
        yield fault("PRICE", f"{at}/price_per_mwh", f"{expected}, got {text_of_decimal(option.price_per_mwh)}")
    fee, seconds = option.activation_fee or Decimal(0), int((option.ends_at - option.starts_at).total_seconds())
    if not 0 <= fee <= LIMITS.activation_fee:
        expected = f"expected 0 to {LIMITS.activation_fee}, got {text_of_decimal(fee)}"
        yield fault("FEE", f"{at}/activation_fee", expected)
    elif seconds > 0 and fee * WATT_SECONDS_PER_MWH > LIMITS.fee_per_mwh * option.power_w * seconds:
        yield fault("FEE", f"{at}/activation_fee", f"expected at most {LIMITS.fee_per_mwh} for each MWh of the option")


def _level_faults(option: OfferOption, levels: list[int], at: str) -> Iterator[Detail]:
    if not levels or not option.min_power_w <= min(levels) <= max(levels) <= option.power_w:
        yield fault("LEVELS", at, f"expected levels from min_power_w ({option.min_power_w}) to {option.power_w}")
    elif not option.divisible and option.power_w not in levels:
        yield fault("LEVELS", at, f"expected power_w ({option.power_w}) among them: the option is taken whole or not")


def _flexibility_faults(flexibility: Flexibility) -> Iterator[Detail]:
    kind = flexibility.kind
    if kind is FlexibilityKind.UNKNOWN or flexibility.workload is Workload.UNKNOWN:
        yield fault("UNKNOWN_SYMBOL", "/flexibility", "expected a kind and workload this version knows, got UNKNOWN")
    if kind is FlexibilityKind.SHIFT_TIME and flexibility.complete_by is None:
        yield fault("COMPLETE_BY", "/flexibility/complete_by", "expected a time with SHIFT_TIME, got none")
    if kind is FlexibilityKind.SHIFT_TIME and flexibility.rebound is None:
        yield fault("REBOUND", "/flexibility/rebound", "expected the rebound with SHIFT_TIME, got none")
    if kind is FlexibilityKind.SHIFT_SITE and not (flexibility.shift_to_zone and flexibility.counterpart_power_w):
        expected = "expected shift_to_zone and counterpart_power_w with SHIFT_SITE, got none"
        yield fault("COUNTERPART", "/flexibility/counterpart_power_w", expected)
    rebound = flexibility.rebound
    if rebound is not None and rebound.latest <= rebound.earliest:
        yield fault("REBOUND", "/flexibility/rebound/latest", "expected a time after earliest")


# --- the offer and its request ----------------------------------------------------------------------------------


def _option_fit(request: DispatchRequest, option: OfferOption, at: str) -> Iterator[Detail]:
    if option.ends_at <= request.starts_at or option.starts_at >= request.ends_at:
        expected = f"expected an overlap with {rfc3339(request.starts_at)} to {rfc3339(request.ends_at)}, got none"
        yield fault("WINDOW", f"{at}/starts_at", expected)
    if option.notice_s > request.max_notice_s:
        yield fault("NOTICE", f"{at}/notice_s", f"expected at most {request.max_notice_s}, got {option.notice_s}")
    yield from _activation_fit(request, option, at)
    if request.price_cap_per_mwh is not None and option.price_per_mwh > request.price_cap_per_mwh:
        cap, price = text_of_decimal(request.price_cap_per_mwh), text_of_decimal(option.price_per_mwh)
        expected = f"expected at most {cap}, got {price}"
        yield fault("PRICE_CAP", f"{at}/price_per_mwh", expected)
    if option.power_w < request.min_quantity_w:
        expected = f"expected at least {request.min_quantity_w}, got {option.power_w}"
        yield fault("MIN_QUANTITY", f"{at}/power_w", expected)


def _activation_fit(request: DispatchRequest, option: OfferOption, at: str) -> Iterator[Detail]:
    if option.full_activation_s > request.full_activation_s:
        expected = f"expected at most {request.full_activation_s}, got {option.full_activation_s}"
        yield fault("FULL_ACTIVATION", f"{at}/full_activation_s", expected)
    ramp = _activation_ramp(request.direction, option)
    reached_after_s = option.notice_s + -(-option.power_w * 60 // ramp)
    if reached_after_s > option.full_activation_s:
        expected = f"notice and ramp reach {option.power_w} W after {reached_after_s} s, expected within"
        yield fault("RAMP", f"{at}/full_activation_s", f"{expected} full_activation_s ({option.full_activation_s})")


def _activation_ramp(direction: Direction, option: OfferOption) -> int:
    """The ramp towards the ordered power, in watts per minute."""
    return option.ramp_down_w_per_min if direction is Direction.LOAD_DECREASE else option.ramp_up_w_per_min


def decision_on(
    offer: FlexOffer,
    decision: Decision,
    codes: Sequence[str] = (),
    reason: str = "",
    *,
    option: str | None,
    power_w: int | None,
) -> OfferDecision:
    """What its site is told of an offer; `option` and `power_w` are those awarded.

    It carries no rank: among many small offers of one's own a rank tells the price of everybody else's.
    """
    return OfferDecision(
        zone=offer.zone,
        request_id=offer.request_id,
        participant=offer.participant,
        site=offer.site,
        offer_id=offer.offer_id,
        revision=offer.revision,
        decision=decision,
        codes=list(codes)[:32],
        option=option,
        power_w=power_w,
        reason=reason[:512],
    )
