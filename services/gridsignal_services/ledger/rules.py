"""What an offer must satisfy beside the book: the request is there and open, and the site can promise what it says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import FlexOffer, OfferOption
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.offers import (
    UNSEEN,
    Crowd,
    can_see,
    crowd_fault,
    fit_faults,
    own_faults,
    rebound_fault,
    room_fault,
    takes_offers,
)
from gridsignal_schemas.rules.profile import Profile
from gridsignal_services.ledger.book import Book, TrackedRequest


def offer_faults(book: Book, offer: FlexOffer, now: datetime) -> list[Detail]:
    """Everything that is wrong with an offer at this grid time; empty when nothing is."""
    faults = [*own_faults(offer, now)]
    site = book.sites.get(offer.site)
    if site is None or site.participant != offer.participant or site.zone != offer.zone:
        faults.append(fault("SITE_UNKNOWN", "/site", "expected a registered site of this participant and zone"))
    tracked = book.requests.get(offer.request_id) if offer.request_id else None
    if tracked is None or not _concerns(tracked, offer):
        return [*faults, UNSEEN]
    if not faults and (full := _cap_fault(book, tracked, offer)):
        return [full]
    faults.extend(takes_offers(tracked.request, tracked.state, offer, now))
    faults.extend(request_fit_faults(book, tracked, offer))
    return faults


def request_fit_faults(book: Book, tracked: TrackedRequest, offer: FlexOffer) -> list[Detail]:
    """What keeps the offer from serving the request as it is now: also asked when the request is amended."""
    request = tracked.request
    if not _concerns(tracked, offer):
        return [UNSEEN]
    faults: list[Detail] = []
    promised = book.committed(offer.site, request) if offer.site in book.sites else None
    for index, option in enumerate(offer.options):
        faults.extend(fit_faults(request, option, f"/options/{index}"))
        if promised is not None:
            faults.extend(_headroom_faults(book, tracked, offer, option, promised, f"/options/{index}"))
    if too_much := rebound_fault(request, offer):
        faults.append(too_much)
    return faults


def _concerns(tracked: TrackedRequest, offer: FlexOffer) -> bool:
    return tracked.request.zone == offer.zone and can_see(tracked.request, offer.participant)


def _cap_fault(book: Book, tracked: TrackedRequest, offer: FlexOffer) -> Detail | None:
    """Why there is no room for a new offer; one that is amended has its room."""
    who = offer.participant
    if (who, offer.offer_id) in book.offers:
        return None
    of_site, of_participant = tracked.offers_of_site[who, offer.site], tracked.offers_of[who]
    return crowd_fault(Crowd(of_site, of_participant, tracked.offers_of.total(), book.standing[who]))


def _headroom_faults(
    book: Book, tracked: TrackedRequest, offer: FlexOffer, option: OfferOption, promised: Profile, at: str
) -> Iterator[Detail]:
    request = tracked.request
    starts_at, ends_at = max(option.starts_at, request.starts_at), min(option.ends_at, request.ends_at)
    if starts_at >= ends_at:
        return  # no overlap: said by WINDOW
    room = book.headroom_w(offer.site, request, starts_at, ends_at, before=tracked.place, promised=promised)
    if problem := room_fault(option, room, at):
        yield problem
