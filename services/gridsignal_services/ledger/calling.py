"""Standing offers that a request calls: what each of them offers it, or the rule by which it is passed over.

It happens at the request's own offset, as a function of the book there: of each standing offer whose participant may
see the request an offer on it is made, as if its participant had sent one. From there on all is as with any other:
merit order, areas, rests, orders, standby, settlement. One that does not fit is rejected with the reason. An
option keeps its power: what its site has left would tell an operator what others have ordered of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import Decision, FlexOffer, OfferOption, StandingTerms, Timer
from gridsignal_schemas.messages.standing import DAY_S
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import OfferState
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.rules.offers import can_see, is_listed
from gridsignal_schemas.rules.profile import Block
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.clearing import derived_id
from gridsignal_services.ledger.merit_order import is_ordered, long_enough, order_window
from gridsignal_services.ledger.moves import decision_of, offer_timer_id
from gridsignal_services.ledger.needs import needs_of
from gridsignal_services.ledger.pieces import Steps, weighed
from gridsignal_services.ledger.rests import rest_code
from gridsignal_services.ledger.rules import request_fit_faults
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedRequest
from gridsignal_services.settlement.pinned import underpaid

_OWN_WORDS = frozenset({"WINDOW", "NOTICE", "FULL_ACTIVATION", "RAMP", "MIN_QUANTITY", "OUTSIDE_PRODUCT", "DURATION"})
"""What an offer on a request breaks by itself: a standing one was made without it, so it is its profile that ends."""
_OF_RESTS = {"REST": "TOO_SOON", "ACTIVATIONS": "FREQUENCY_EXHAUSTED"}


def call(book: Book, tracked: TrackedRequest) -> Steps[None]:
    """Makes the offers that stand for the request's product offers on it."""
    request = tracked.request
    keys = list(book.standing_offers.get(request.product, ()))
    for some in weighed(keys, (len(book.offers[key].offer.options) for key in keys)):
        for key in some:
            standing = book.offers[key]
            if standing.offer.zone == request.zone and can_see(request, key[0]) and _has_its_site(book, standing.offer):
                _call_one(book, tracked, key, standing)
        yield


def _has_its_site(book: Book, offer: FlexOffer) -> bool:
    """Whether the site is still its participant's: it may have gone to another since the offer came."""
    site = book.sites.get(offer.site)
    return site is not None and (site.participant, site.zone) == (offer.participant, offer.zone)


def _call_one(book: Book, tracked: TrackedRequest, key: OfferKey, standing: TrackedOffer) -> None:
    offer, terms = standing.offer, standing.offer.standing
    assert terms is not None, "an offer that is filed by its product names it"
    request = tracked.request
    named = derived_id(request.request_id, "standing", *key)
    made: OfferKey = (key[0], named)
    if made in book.offers or book.past.knows_offer(made) or _is_full(book, tracked, key[0]):
        return
    fields = {
        "offer_id": named,
        "revision": 1,
        "request_id": request.request_id,
        "request_revision": request.revision,
        "standing": None,
        "called_from": offer.offer_id,
    }
    called = offer.model_copy(update=fields)
    options, faults = _options(book, tracked, called, terms)
    called = called.model_copy(update={"options": options or offer.options})
    codes = () if options else tuple(dict.fromkeys(each.code for each in faults))
    if codes and not is_listed(codes, tracked.turned_down[key[0]]):
        return
    receipt = standing.receipt.model_copy(update={"offer_id": named, "revision": 1})
    digests = {1: (receipt.sha256, receipt.received_at)}
    timer_id = offer_timer_id(made)
    new = TrackedOffer(called, standing.place, receipt, digests, timer_id, request.revision, codes=codes)
    new.state = OfferState.REJECTED if codes else OfferState.LIVE
    book.add_offer(tracked, made)
    book.offers[made] = new
    tracked.called_of[key[0]] += 1
    book.called[key[0], request.operator] += 1
    told = f"from your standing offer {offer.offer_id}"
    if codes:
        tracked.turned_down[key[0]] += 1
        why = "; ".join(f"{each.pointer}: {each.message}" for each in faults)
        book.announcements.owe(decision_of(new, Decision.REJECTED, codes, f"{told}: {why}"))
        return
    new.needs = needs_of(called)
    book.expiring[timer_id] = made
    book.timers.set(Timer.EXPIRY, timer_id, 1, called.expires_at, called.zone)
    book.announcements.owe(decision_of(new, Decision.ACCEPTED_FOR_CLEARING, (), told))


def _is_full(book: Book, tracked: TrackedRequest, participant: str) -> bool:
    """Whether the request makes no more offers: it, or its operator with this participant, has as many as it may."""
    of_operator = book.called[participant, tracked.request.operator]
    return tracked.called_of.total() >= LIMITS.offers_of_request or of_operator >= LIMITS.offers_called


def _options(
    book: Book, tracked: TrackedRequest, called: FlexOffer, terms: StandingTerms
) -> tuple[list[OfferOption], list[Detail]]:
    """Those that serve the request, and why the others do not."""
    request = tracked.request
    if request.currency != terms.currency:
        expected = f"expected a request in {terms.currency}, got {request.currency}"
        return [], [fault("OUTSIDE_PROFILE", "/standing/currency", expected)]
    if called.expires_at <= book.now:
        return [], [fault("OUTSIDE_PROFILE", "/expires_at", "expected to stand still, got one that has expired")]
    found, faults = [], list[Detail]()
    for index, option in enumerate(called.options):
        broken = list(_faults(book, tracked, called.model_copy(update={"options": [option]}), terms))
        if broken:
            at = f"/options/{index}"
            faults += [each.model_copy(update={"pointer": each.pointer.replace("/options/0", at)}) for each in broken]
        else:
            found.append(option)
    return found, faults


def _faults(book: Book, tracked: TrackedRequest, called: FlexOffer, terms: StandingTerms) -> Iterator[Detail]:
    """What is wrong with an offer of one option."""
    request, (option,) = tracked.request, called.options
    for each in request_fit_faults(book, request, called):
        yield each.model_copy(update={"code": "OUTSIDE_PROFILE"}) if each.code in _OWN_WORDS else each
    yield from underpaid(request, option, "/options/0")
    starts_at, ends_at = order_window(request, option, book.now)
    if not long_enough(option, starts_at, ends_at):
        expected = f"expected at least {option.min_duration_s} s that can be served"
        yield fault("OUTSIDE_PROFILE", "/options/0/min_duration_s", expected)
        return
    if terms.hours and not any(_lies_in(hours.from_s, hours.to_s, starts_at, ends_at) for hours in terms.hours):
        yield fault("OUTSIDE_PROFILE", "/standing/hours", "expected a call that lies whole in one of them")
    wanted = Block(starts_at, ends_at, option.power_w)
    if is_ordered(book, request, called, wanted):
        yield fault("OVERCOMMITTED", "/options/0", "expected no other order on the standing offer in that time")
    if (code := rest_code(option, wanted, book.activations(called.site, request.run_mode))) is not None:
        rested = f"expected a site that has rested {option.rest_s} s"
        fewer = f"expected fewer than {option.max_activations_per_day} activations in a day"
        yield fault(_OF_RESTS[code], "/options/0", rested if code == "REST" else fewer)


def _lies_in(from_s: int, to_s: int, starts_at: datetime, ends_at: datetime) -> bool:
    """Whether a period lies whole in hours of the day, which go over midnight where to_s comes first."""
    midnight = starts_at.replace(hour=0, minute=0, second=0, microsecond=0)
    until = to_s + (DAY_S if to_s < from_s else 0)
    opens = (midnight + timedelta(seconds=from_s - back) for back in (0, DAY_S))
    return any(each <= starts_at and ends_at <= each + timedelta(seconds=until - from_s) for each in opens)
