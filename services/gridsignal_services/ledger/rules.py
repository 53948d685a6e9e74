"""What a request and an offer must satisfy: one code for each rule, all failures at once.

The dispatch door asks before it appends, the reduce asks at the record's own offset: the same functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    ClearingMode,
    Direction,
    DispatchRequest,
    Firmness,
    Flexibility,
    FlexibilityKind,
    FlexOffer,
    OfferOption,
    Pricing,
    Purpose,
    RunMode,
    Visibility,
    Workload,
)
from gridsignal_schemas.values import text_of_decimal
from gridsignal_services.ledger.book import Book, TrackedRequest
from gridsignal_services.ledger.lifecycle import RequestState
from gridsignal_services.ledger.limits import LIMITS
from gridsignal_services.ledger.profile import Profile

LONGEST_PERIOD = timedelta(days=31)
FARTHEST_START = timedelta(days=400)
_WATT_SECONDS_PER_MWH = 3_600_000_000


def fault(code: str, pointer: str, message: str) -> Detail:
    """One broken rule."""
    return Detail(code=code, pointer=pointer, message=message)


def _text(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


# --- requests ---------------------------------------------------------------------------------------------------


def request_faults(request: DispatchRequest, now: datetime) -> list[Detail]:
    """Everything that is wrong with a request at this grid time; empty when nothing is."""
    return [*_unknown_symbols(request), *_quantity_faults(request), *_deadline_faults(request, now)]


def _unknown_symbols(request: DispatchRequest) -> Iterator[Detail]:
    required = {
        "direction": Direction.UNKNOWN,
        "purpose": Purpose.UNKNOWN,
        "visibility": Visibility.UNKNOWN,
        "pricing": Pricing.UNKNOWN,
        "firmness": Firmness.UNKNOWN,
        "clearing_mode": ClearingMode.UNKNOWN,
        "run_mode": RunMode.UNKNOWN,
    }
    for name, unknown in required.items():
        if getattr(request, name) is unknown:
            yield fault("UNKNOWN_SYMBOL", f"/{name}", "expected a symbol this version knows, got UNKNOWN")


def _quantity_faults(request: DispatchRequest) -> Iterator[Detail]:
    if request.min_quantity_w > request.power_w:
        expected = f"expected at most power_w ({request.power_w}), got {request.min_quantity_w}"
        yield fault("MIN_QUANTITY", "/min_quantity_w", expected)
    if request.step_w is not None and request.power_w % request.step_w:
        expected = f"expected a divisor of power_w ({request.power_w}), got {request.step_w}"
        yield fault("STEP", "/step_w", expected)
    for name in ("price_cap_per_mwh", "deficiency_price_per_mwh"):
        price = getattr(request, name)
        if price is not None and abs(price) > LIMITS.price_per_mwh:
            expected = f"expected {-LIMITS.price_per_mwh} to {LIMITS.price_per_mwh}, got {text_of_decimal(price)}"
            yield fault("PRICE", f"/{name}", expected)
    if request.pricing is Pricing.REGULATED and request.price_cap_per_mwh is None:
        yield fault("PRICE_CAP", "/price_cap_per_mwh", "expected the regulated price, got none")


def _deadline_faults(request: DispatchRequest, now: datetime) -> Iterator[Detail]:
    gate, decision = request.gate_closure_at, request.decision_deadline
    if gate <= now:
        yield fault("GATE_CLOSURE", "/gate_closure_at", f"expected a time after {_text(now)}, got {_text(gate)}")
    if decision <= gate:
        expected = f"expected a time after gate_closure_at ({_text(gate)}), got {_text(decision)}"
        yield fault("DECISION_DEADLINE", "/decision_deadline", expected)
    earliest = decision + timedelta(seconds=request.respond_within_s + request.full_activation_s)
    if request.starts_at < earliest:
        expected = (
            "expected decision_deadline + respond_within_s + full_activation_s"
            f" ({_text(earliest)}) or later, got {_text(request.starts_at)}"
        )
        yield fault("START", "/starts_at", expected)
    if request.ends_at <= request.starts_at:
        expected = f"expected a time after starts_at ({_text(request.starts_at)}), got {_text(request.ends_at)}"
        yield fault("END", "/ends_at", expected)
    if request.ends_at - request.starts_at > LONGEST_PERIOD:
        yield fault("END", "/ends_at", f"expected at most {LONGEST_PERIOD.days} days after starts_at")
    if request.starts_at - now > FARTHEST_START:
        yield fault("START", "/starts_at", f"expected at most {FARTHEST_START.days} days ahead")


_UNSEEN = fault("REQUEST_UNKNOWN", "/request_id", "expected an open request you can see")


# --- offers -----------------------------------------------------------------------------------------------------


def offer_faults(book: Book, offer: FlexOffer, now: datetime) -> list[Detail]:
    """Everything that is wrong with an offer at this grid time; empty when nothing is."""
    faults = [*_own_faults(offer, now)]
    site = book.sites.get(offer.site)
    if site is None or site.participant != offer.participant or site.zone != offer.zone:
        faults.append(fault("SITE_UNKNOWN", "/site", "expected a registered site of this participant and zone"))
    tracked = book.requests.get(offer.request_id) if offer.request_id else None
    if tracked is None:
        return [*faults, _UNSEEN]
    if not _can_see(tracked.request, offer):
        return [*faults, _UNSEEN]  # to the letter what is said of one that does not exist
    if not faults and (full := _cap_fault(book, tracked, offer)):
        return [full]
    faults.extend(_request_open(tracked, offer, now))
    faults.extend(request_fit_faults(book, tracked, offer))
    return faults


def _cap_fault(book: Book, tracked: TrackedRequest, offer: FlexOffer) -> Detail | None:
    """Why there is no room for a new offer; one that is amended has its room."""
    if (offer.participant, offer.offer_id) in book.offers:
        return None
    mine = tracked.offers_of[offer.participant]
    of_site = tracked.offers_of_site[offer.participant, offer.site]
    crowded = tracked.offers_of.total() >= LIMITS.offers_of_request and mine >= LIMITS.offers_reserved
    for code, full, most in (
        ("OFFERS_OF_SITE", of_site >= LIMITS.offers_of_site, f"{LIMITS.offers_of_site} offers of a site"),
        ("OFFERS_OF_PARTICIPANT", mine >= LIMITS.offers_of_participant, f"{LIMITS.offers_of_participant} of yours"),
        ("OFFERS_OF_REQUEST", crowded, f"{LIMITS.offers_reserved} of yours on a request that has so many"),
        (
            "OFFERS_STANDING",
            book.standing[offer.participant] >= LIMITS.offers_standing,
            f"{LIMITS.offers_standing} of yours on requests that are not over",
        ),
    ):
        if full:
            return fault(code, "/request_id", f"expected at most {most}")
    return None


CAPS = frozenset({"OFFERS_OF_SITE", "OFFERS_OF_PARTICIPANT", "OFFERS_OF_REQUEST", "OFFERS_STANDING"})


def request_fit_faults(book: Book, tracked: TrackedRequest, offer: FlexOffer) -> list[Detail]:
    """What keeps the offer from serving the request as it is now: also asked when the request is amended."""
    request = tracked.request
    if not _can_see(request, offer):
        return [_UNSEEN]
    faults: list[Detail] = []
    promised = book.committed(offer.site, request) if offer.site in book.sites else None
    for index, option in enumerate(offer.options):
        faults.extend(_option_fit(request, option, f"/options/{index}"))
        if promised is not None:
            faults.extend(_headroom_faults(book, tracked, offer, option, promised, f"/options/{index}"))
    rebound = offer.flexibility.rebound
    if request.rebound_cap_w is not None and rebound is not None and rebound.peak_w > request.rebound_cap_w:
        expected = f"expected at most {request.rebound_cap_w}, got {rebound.peak_w}"
        faults.append(fault("REBOUND_CAP", "/flexibility/rebound/peak_w", expected))
    return faults


def _can_see(request: DispatchRequest, offer: FlexOffer) -> bool:
    listed = request.visibility is Visibility.PUBLIC or offer.participant in request.audience
    return listed and request.zone == offer.zone


def _request_open(tracked: TrackedRequest, offer: FlexOffer, now: datetime) -> Iterator[Detail]:
    request = tracked.request
    if tracked.state is not RequestState.OPEN:
        yield fault("REQUEST_NOT_OPEN", "/request_id", "expected a request that still takes offers")
    elif now >= request.gate_closure_at:
        expected = f"expected before {_text(request.gate_closure_at)}, got {_text(now)}"
        yield fault("GATE_CLOSED", "/request_id", expected)
    if offer.request_revision != request.revision:
        expected = f"expected revision {request.revision}, got {offer.request_revision}"
        yield fault("REQUEST_REVISION", "/request_revision", expected)


def _own_faults(offer: FlexOffer, now: datetime) -> Iterator[Detail]:
    if offer.expires_at <= now:
        yield fault("EXPIRED", "/expires_at", f"expected a time after {_text(now)}, got {_text(offer.expires_at)}")
    names = [option.option for option in offer.options]
    if len(set(names)) < len(names):
        yield fault("OPTION_NAMES", "/options", "expected options with different names")
    for index, option in enumerate(offer.options):
        yield from _option_faults(option, f"/options/{index}")
    yield from _flexibility_faults(offer.flexibility)


def _option_faults(option: OfferOption, at: str) -> Iterator[Detail]:
    if option.ends_at <= option.starts_at:
        expected = f"expected a time after starts_at ({_text(option.starts_at)}), got {_text(option.ends_at)}"
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
    elif seconds > 0 and fee * _WATT_SECONDS_PER_MWH > LIMITS.fee_per_mwh * option.power_w * seconds:
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


def _option_fit(request: DispatchRequest, option: OfferOption, at: str) -> Iterator[Detail]:
    if option.ends_at <= request.starts_at or option.starts_at >= request.ends_at:
        expected = f"expected an overlap with {_text(request.starts_at)} to {_text(request.ends_at)}, got none"
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
    ramp = activation_ramp(request.direction, option)
    reached_after_s = option.notice_s + -(-option.power_w * 60 // ramp)
    if reached_after_s > option.full_activation_s:
        expected = f"notice and ramp reach {option.power_w} W after {reached_after_s} s, expected within"
        yield fault("RAMP", f"{at}/full_activation_s", f"{expected} full_activation_s ({option.full_activation_s})")


def activation_ramp(direction: Direction, option: OfferOption) -> int:
    """The ramp towards the ordered power, in watts per minute."""
    return option.ramp_down_w_per_min if direction is Direction.LOAD_DECREASE else option.ramp_up_w_per_min


def _headroom_faults(
    book: Book, tracked: TrackedRequest, offer: FlexOffer, option: OfferOption, promised: Profile, at: str
) -> Iterator[Detail]:
    request = tracked.request
    starts_at, ends_at = max(option.starts_at, request.starts_at), min(option.ends_at, request.ends_at)
    if starts_at >= ends_at:
        return  # no overlap: said by WINDOW
    room = book.headroom_w(offer.site, request, starts_at, ends_at, before=tracked.place, promised=promised)
    if room is None:
        expected = "expected a baseline declared before the request for the whole window, got none"
        yield fault("OVERCOMMITTED", f"{at}/power_w", expected)
    elif option.power_w > room:
        expected = f"expected at most {max(room, 0)} W that the site has not promised, got {option.power_w}"
        yield fault("OVERCOMMITTED", f"{at}/power_w", expected)
