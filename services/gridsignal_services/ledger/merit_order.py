"""Merit order: which offers are called for what a request lacks, and which rule stops each of the others.

Merit order is (price x MWh + fee) / MWh of what would be awarded, then the earlier place in time.
Greedy: the cheapest that fits is taken until nothing is lacking; what does not fit is passed over with the reason.
The offers' effective prices only rise as less is lacking (a fee is spread over fewer MWh), so a heap whose entries are
looked at again when they come up finds the cheapest without sorting everything anew.

Source of the ideas: merit order activation as in the Nordic mFRR energy activation market; minimum quantity,
divisibility and exclusive options from the electricity balancing guideline's standard products.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from gridsignal_schemas.messages import DispatchRequest, OfferOption
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book, TrackedOffer
from gridsignal_services.ledger.profile import Block, lowest, power_at, steps

_FIVE_MINUTES = 300
_WATT_SECONDS_PER_MWH = Decimal(3_600_000_000)


@dataclass(frozen=True, slots=True)
class Fit:
    """A possible award, and where it stands in the merit order."""

    effective_price: Decimal
    place: int
    key: OfferKey
    option: OfferOption
    block: Block

    def __lt__(self, other: Fit) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[Decimal, int, OfferKey, str]:
        return self.effective_price, self.place, self.key, self.option.option


def order_window(request: DispatchRequest, option: OfferOption, now: datetime) -> tuple[datetime, datetime]:
    """The period an order made now would have: max(requested, respond_by + full activation, to five minutes)."""
    ready = now + timedelta(seconds=request.respond_within_s + option.full_activation_s)
    seconds = -(-int(ready.timestamp() * 1_000_000) // (_FIVE_MINUTES * 1_000_000)) * _FIVE_MINUTES
    rounded = datetime.fromtimestamp(seconds, tz=ready.tzinfo)
    starts_at = max(request.starts_at, option.starts_at)
    if ready > starts_at:
        starts_at = rounded
    return starts_at, min(request.ends_at, option.ends_at)


class Round:
    """One clearing under way: what is still lacking, and what each site has given in it."""

    def __init__(self, book: Book, request_id: str, now: datetime) -> None:
        self.book, self.now = book, now
        self.tracked = book.requests[request_id]
        self.request = self.tracked.request
        self.given: list[Block] = list(book.served(request_id))
        self.of_site: dict[str, list[Block]] = {}
        self.lacking_at_first = book.shortfall_w(request_id, now)

    def lacking_w(self, starts_at: datetime, ends_at: datetime) -> int:
        """What every moment of the period lacks at least."""
        most = -lowest(lambda when: -power_at(self.given, when), steps(self.given, starts_at, ends_at))
        return max(0, self.request.power_w - most)

    def fit(self, key: OfferKey, offer: TrackedOffer, option: OfferOption) -> Fit | str:
        """The award this option could have now, or the code of the rule that stops it."""
        starts_at, ends_at = order_window(self.request, option, self.now)
        duration_s = int((ends_at - starts_at).total_seconds())
        if duration_s <= 0 or duration_s < option.min_duration_s:
            return "TOO_LATE" if self.now >= self.request.gate_closure_at else "DURATION"
        if duration_s > option.max_duration_s:
            ends_at = starts_at + timedelta(seconds=option.max_duration_s)
            duration_s = option.max_duration_s
        lacking = self.lacking_w(starts_at, ends_at)
        if not lacking:
            return "OUTBID"
        power = self._power(option, lacking)
        if isinstance(power, str):
            return power
        if not self.has_room(offer, starts_at, ends_at, power):
            return "OVERCOMMITTED"
        mwh = Decimal(power) * duration_s / _WATT_SECONDS_PER_MWH
        price = option.price_per_mwh + (option.activation_fee or Decimal(0)) / mwh
        return Fit(price, offer.place, key, option, Block(starts_at, ends_at, power))

    def _power(self, option: OfferOption, lacking: int) -> int | str:
        step = self.request.step_w or 1
        power = min(option.power_w, lacking)
        if not option.divisible:
            power = option.power_w
            if power > lacking + (self.request.step_w or 0):
                return "INDIVISIBLE"
        elif option.levels_w is not None:
            power = max((level for level in option.levels_w if level <= lacking), default=0)
            if not power:
                return "LEVELS"
        power -= power % step if option.divisible and option.levels_w is None else 0
        if power % step:
            return "STEP"
        if power < option.min_power_w:
            return "MIN_POWER"
        if power < min(self.request.min_quantity_w, self.lacking_at_first) or not power:
            return "MIN_QUANTITY"
        return power

    def has_room(self, offer: TrackedOffer, starts_at: datetime, ends_at: datetime, power: int) -> bool:
        site = offer.offer.site
        room = self.book.headroom_w(
            site,
            self.request.direction,
            starts_at,
            ends_at,
            before=self.tracked.place,
            also=self.of_site.get(site, ()),
        )
        return room is not None and power <= room

    def take(self, fit: Fit, site: str) -> None:
        """Counts an award as given."""
        self.given.append(fit.block)
        self.of_site.setdefault(site, []).append(fit.block)


def in_merit_order(
    lot: Round, candidates: Sequence[tuple[OfferKey, TrackedOffer]]
) -> tuple[list[Fit], dict[OfferKey, str]]:
    """The awards in merit order, and for every other offer the rule that stopped its best option."""
    heap: list[Fit] = []
    stopped: dict[OfferKey, str] = {}
    offers = dict(candidates)
    for key, offer in candidates:
        for option in offer.offer.options:
            fit = lot.fit(key, offer, option)
            if isinstance(fit, str):
                stopped.setdefault(key, fit)
            else:
                heapq.heappush(heap, fit)
    awards: dict[OfferKey, Fit] = {}
    while heap:
        best = heapq.heappop(heap)
        if best.key in awards:
            continue  # options exclude each other
        again = lot.fit(best.key, offers[best.key], best.option)
        if isinstance(again, str):
            stopped[best.key] = again
        elif again != best and heap and heap[0] < again:
            heapq.heappush(heap, again)
        else:
            awards[best.key] = again
            lot.take(again, offers[best.key].offer.site)
    return list(awards.values()), {key: code for key, code in stopped.items() if key not in awards}
