"""What an offer must satisfy beside the book: the contract's rules, and what the book knows of request and site."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import DispatchRequest, FlexOffer
from gridsignal_schemas.rules import offers
from gridsignal_schemas.rules.offers import Crowd
from gridsignal_schemas.rules.profile import Profile
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.needs import still_fits
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedRequest


def offer_faults(book: Book, offer: FlexOffer) -> list[Detail]:
    """Everything that is wrong with an offer now; empty when nothing is."""
    site, tracked = book.sites.get(offer.site), book.requests.get(offer.request_id or "")
    is_theirs = site is not None and (site.participant, site.zone) == (offer.participant, offer.zone)
    return offers.offer_faults(
        offer,
        (tracked.request, tracked.state) if tracked is not None else None,
        book.now,
        crowd=_crowd(book, tracked, offer) if tracked is not None else None,
        room_w=_Room(book, offer) if is_theirs else None,
        stands=0
        if (offer.participant, offer.offer_id) in book.offers
        else len(book.products_of.get(offer.participant, ())),
    )


class Amended:
    """A request that was just amended, and what it does to its LIVE offers: the same as if each were looked at anew."""

    def __init__(self, book: Book, tracked: TrackedRequest) -> None:
        self._book, self._tracked = book, tracked
        self._rooms: dict[str, int | None] = {}
        """Of each site, what it can still promise over the whole period."""

    @property
    def revision(self) -> int:
        """Of the request as it is now."""
        return self._tracked.request.revision

    def faults(self, held: TrackedOffer) -> list[Detail]:
        """What keeps an offer from serving the request as it is now."""
        request, offer = self._tracked.request, held.offer
        assert held.needs is not None, "a LIVE offer was good when it came"
        if offer.site not in self._rooms:
            self._rooms[offer.site] = _Room(self._book, offer)(request.starts_at, request.ends_at)
        if still_fits(request, offer, held.needs, self._rooms[offer.site]):
            return []
        return request_fit_faults(self._book, request, offer)


def request_fit_faults(book: Book, request: DispatchRequest, offer: FlexOffer) -> list[Detail]:
    """What keeps an offer that stands from serving its request as it is now."""
    return offers.fit_faults(request, offer, _Room(book, offer))


def _crowd(book: Book, tracked: TrackedRequest, offer: FlexOffer) -> Crowd | None:
    who = offer.participant
    if (who, offer.offer_id) in book.offers:
        return None
    of_site, of_participant = tracked.offers_of_site[who, offer.site], tracked.offers_of[who]
    return Crowd(of_site, of_participant, tracked.offers_of.total(), book.standing[who])


class _Room:
    """What the offer's site can still promise its request, over any period."""

    def __init__(self, book: Book, offer: FlexOffer) -> None:
        self._book, self._site = book, offer.site
        self._tracked = book.requests.get(offer.request_id or "")

    def __call__(self, starts_at: datetime, ends_at: datetime) -> int | None:
        if self._tracked is None:
            return None
        request, before = self._tracked.request, self._tracked.place
        return self._book.headroom_w(self._site, request, starts_at, ends_at, before=before, promised=self._promised)

    @cached_property
    def _promised(self) -> Profile:
        assert self._tracked is not None
        return self._book.committed(self._site, self._tracked.request)
