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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from gridsignal_schemas.messages import DispatchRequest, FlexOffer, OfferOption, RunMode
from gridsignal_schemas.rules.headroom import counts_in
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.rules.profile import Block, Profile
from gridsignal_schemas.values import WATT_SECONDS_PER_MWH
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.area_guard import AreaGuard, Cut
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.rests import Activations, rest_code
from gridsignal_services.ledger.staggering import FIVE_MINUTES, Placed, rounded_up, staggered
from gridsignal_services.ledger.swings import Course, Swing, ramps_of
from gridsignal_services.ledger.tracked import TrackedOffer

NEXT_CLEARING = "NEXT_CLEARING"
"""It would be called, and this clearing has no room for more."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A possible award, and where it stands in the merit order."""

    effective_price: Decimal
    place: int
    key: OfferKey
    option: OfferOption
    block: Block
    placed: Placed | None = None
    """Where its site is in an area."""

    def __lt__(self, other: Fit) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[Decimal, int, OfferKey, str]:
        return self.effective_price, self.place, self.key, self.option.option


def order_window(
    request: DispatchRequest, option: OfferOption, now: datetime, begins_at: datetime | None = None
) -> tuple[datetime, datetime]:
    """The period an order made now would have: max(requested, respond_by + full activation, to five minutes).

    `begins_at`: one that was told to start then.
    """
    ready = now + timedelta(seconds=request.respond_within_s + option.full_activation_s)
    starts_at = max(request.starts_at, option.starts_at)
    if ready > starts_at:
        starts_at = rounded_up(ready, FIVE_MINUTES)
    starts_at = begins_at or starts_at
    ends_at = min(request.ends_at, option.ends_at)
    return starts_at, min(ends_at, starts_at + timedelta(seconds=option.max_duration_s))


def as_offered(option: OfferOption, power_w: int) -> bool:
    """Whether the option can be called with this power: whole, at one of its levels, or down to its floor."""
    if not option.divisible:
        return power_w == option.power_w
    if option.levels_w is not None and power_w not in option.levels_w:
        return False
    return max(option.min_power_w, 1) <= power_w <= option.power_w


def effective_price(option: OfferOption, block: Block) -> Decimal:
    """(price x MWh + fee) / MWh of an award."""
    fee = option.activation_fee or Decimal(0)
    watt_seconds = block.power_w * int((block.ends_at - block.starts_at).total_seconds())
    return option.price_per_mwh + (fee * WATT_SECONDS_PER_MWH / watt_seconds if watt_seconds > 0 else Decimal(0))


def long_enough(option: OfferOption, starts_at: datetime, ends_at: datetime) -> bool:
    """Whether the option can be activated for as short as this."""
    return ends_at > starts_at and ends_at - starts_at >= timedelta(seconds=option.min_duration_s)


def is_ordered(book: Book, request: DispatchRequest, offer: FlexOffer, block: Block) -> bool:
    """Whether an order on the same standing offer falls into the period: it gives its power once at a time."""
    if offer.called_from is None:
        return False
    for order in book.live_orders(book.live_of_site.get(offer.site, ())):
        other = book.offers.get(order.offer_key) if order.offer_key else None
        if other is None or not counts_in(request.run_mode, order.order):
            continue
        is_same = (other.offer.participant, other.offer.called_from) == (offer.participant, offer.called_from)
        starts_at, ends_at, _ = order.block()
        if is_same and starts_at < block.ends_at and block.starts_at < ends_at:
            return True
    return False


class Round:
    """One clearing under way: what is still lacking, and what each site has given in it.

    What the operator has taken back is lacking for a person only: `spares` is for a clearing that no person makes.
    """

    def __init__(self, book: Book, request_id: str, now: datetime, *, spares: bool = False) -> None:
        self.book, self.now = book, now
        self.tracked = book.requests[request_id]
        self.request = self.tracked.request
        self.given = book.served(request_id)
        self._spared = book.taken_back(request_id) if spares else []
        self.spoken_for = self.before() if self._spared else self.given
        self.promised: dict[str, Profile] = {}
        self.taken: dict[str, Activations] = {}
        self.is_dry = self.request.run_mode is RunMode.DRY_RUN
        self.areas = AreaGuard(book, is_dry=self.is_dry)
        self.cuts: dict[OfferKey, Cut] = {}
        """Of offers that an area stopped, the limit."""
        self.lacking_at_first = book.shortfall_w(request_id, now, self.spoken_for)

    def before(self) -> Profile:
        """What was spoken for before this clearing."""
        spoken_for = self.book.served(self.request.request_id)
        for block in self._spared:
            spoken_for.add(block)
        return spoken_for

    def lacks_nothing(self) -> bool:
        """Whether no moment of the request lacks anything: then no option fits."""
        return self.request.power_w <= self.spoken_for.lowest(self.request.starts_at, self.request.ends_at)

    def lacking_w(self, starts_at: datetime, ends_at: datetime) -> int:
        """What every moment of the period lacks at least; negative where a moment already has more than enough."""
        return self.request.power_w - self.spoken_for.highest(starts_at, ends_at)

    def fit(self, key: OfferKey, offer: TrackedOffer, option: OfferOption, most_w: int | None = None) -> Fit | str:
        """The award this option could have now, of so much at most, or the code of the rule that stops it."""
        starts_at, ends_at = order_window(self.request, option, self.now)
        if not long_enough(option, starts_at, ends_at):
            late = starts_at > max(self.request.starts_at, option.starts_at)
            return "TOO_LATE" if late else "DURATION"
        lacking = self.lacking_w(starts_at, ends_at)
        if lacking <= 0:
            covered = self.given.highest(starts_at, ends_at) >= self.request.power_w
            return "OUTBID" if covered else "TAKEN_BACK"
        power = self._power(option, lacking if most_w is None else min(lacking, most_w))
        if isinstance(power, str):
            return power
        placed = self.placed(offer, option, power)
        if isinstance(placed, Cut):
            self.cuts.setdefault(key, placed)
            return placed.code
        if placed is not None:
            starts_at, ends_at = placed.starts_at, placed.ends_at
        block = Block(starts_at, ends_at, power)
        code = self.site_code(offer, option, block)
        return code or Fit(effective_price(option, block), offer.place, key, option, block, placed)

    def placed(self, offer: TrackedOffer, option: OfferOption, power_w: int) -> Placed | Cut | None:
        """When an order could begin and come back beside all others of its areas; None where its site is in none."""
        site = offer.offer.site
        if not self.areas.concerns(site):
            return None

        def ends_of(starts_at: datetime) -> datetime | None:
            _, ends_at = order_window(self.request, option, self.now, starts_at)
            return ends_at if long_enough(option, starts_at, ends_at) else None

        starts_at, _ = order_window(self.request, option, self.now)
        course = self.course(offer, option, Block(starts_at, starts_at, power_w))
        ready_at = self.ready_at(option)
        return staggered(self.areas, site, course, ready_at=ready_at, ends_of=ends_of, is_dry=self.is_dry)

    def ready_at(self, option: OfferOption) -> datetime:
        """Before this a site has not answered, or has had no notice."""
        return self.now + timedelta(seconds=self.request.respond_within_s + option.notice_s)

    def course(self, offer: TrackedOffer, option: OfferOption, block: Block, most: int | None = None) -> Course:
        """How a site would follow an order for this, no faster than the request and `most` let it."""
        caps = [cap for cap in (self.request.max_ramp_w_per_min, most) if cap is not None]
        ramps = ramps_of(self.request.direction, option, block.power_w, min(caps, default=None))
        rebound = offer.offer.flexibility.rebound
        return Course(self.request.direction, block.power_w, block.starts_at, block.ends_at, *ramps, rebound)

    def _power(self, option: OfferOption, lacking: int) -> int | str:
        step = self.request.step_w or 1
        power = min(option.power_w, lacking)
        if not option.divisible:
            power = option.power_w
            if power > lacking + (self.request.step_w or 0):
                return "INDIVISIBLE"
        elif option.levels_w is not None:
            within = [level for level in option.levels_w if level <= lacking]
            if not within:
                return "LEVELS"
            power = max((level for level in within if level % step == 0), default=max(within))
        power -= power % step if option.divisible and option.levels_w is None else 0
        if power % step:
            return "STEP"
        if power < option.min_power_w:
            return "MIN_POWER"
        if power < min(self.request.min_quantity_w, self.lacking_at_first) or not power:
            return "MIN_QUANTITY"
        return power

    def site_code(self, offer: TrackedOffer, option: OfferOption, block: Block) -> str | None:
        """The rule of its site that stops an award; None where it has the headroom and is rested."""
        site, (starts_at, ends_at, power) = offer.offer.site, block
        if len(self.book.live_of_site.get(site, ())) + len(self.taken.get(site, ())) >= LIMITS.orders_of_site:
            return "ORDERS_OF_SITE"
        promised, before = self._promised_by(site), self.tracked.place
        room = self.book.headroom_w(site, self.request, starts_at, ends_at, before=before, promised=promised)
        if room is None or power > room or is_ordered(self.book, self.request, offer.offer, block):
            return "OVERCOMMITTED"
        active = self.book.activations(site, self.request.run_mode)
        return rest_code(option, block, [*active, self.taken[site]] if site in self.taken else active)

    def _promised_by(self, site: str) -> Profile:
        if site not in self.promised:
            self.promised[site] = self.book.committed(site, self.request)
        return self.promised[site]

    def award(self, fit: Fit, offer: TrackedOffer) -> None:
        """Counts an award as given."""
        self.take(fit.block, offer.offer.site, fit.placed and fit.placed.swing)

    def take(self, block: Block, site: str, swing: Swing | None) -> None:
        """Counts an award as given; `swing` where its site is in an area."""
        if swing is not None:
            self.areas.take(site, swing)
        self.given.add(block)
        if self.spoken_for is not self.given:
            self.spoken_for.add(block)
        self._promised_by(site).add(block)
        self.taken.setdefault(site, Activations()).add(block)


def first_fits(
    lot: Round, candidates: Sequence[tuple[OfferKey, TrackedOffer]]
) -> tuple[list[Fit], dict[OfferKey, str]]:
    """Each option's award if it were the only one, and for every offer with an option that has none the first rule that
    stops one."""
    fits: list[Fit] = []
    stopped: dict[OfferKey, str] = {}
    for key, offer in candidates:
        for option in offer.offer.options:
            fit = lot.fit(key, offer, option)
            if isinstance(fit, str):
                stopped.setdefault(key, fit)
            else:
                fits.append(fit)
    return fits, stopped


def in_merit_order(
    lot: Round, candidates: Sequence[tuple[OfferKey, TrackedOffer]], most: int
) -> tuple[list[Fit], dict[OfferKey, str]]:
    """The awards in merit order, so many at most, and for every other offer the rule that stopped its best option."""
    fits, stopped = first_fits(lot, candidates)
    awards = fill(lot, dict(candidates), fits, most, stopped)
    called = {fit.key for fit in awards}
    return awards, {key: code for key, code in stopped.items() if key not in called}


def fill(
    lot: Round,
    offers: Mapping[OfferKey, TrackedOffer],
    fits: Sequence[Fit],
    most: int,
    stopped: dict[OfferKey, str],
    made: Sequence[Fit] = (),
) -> list[Fit]:
    """The awards already made, and behind them the cheapest that fits until nothing does, or there are so many.

    Why an offer gets none it adds to `stopped`.
    """
    awards = {fit.key: fit for fit in made}
    heap = list(fits)
    heapq.heapify(heap)
    later: set[OfferKey] = set()
    while heap:
        best = heapq.heappop(heap)
        if best.key in awards or best.key in later:
            continue  # options exclude each other
        lot.cuts.pop(best.key, None)
        again = lot.fit(best.key, offers[best.key], best.option)
        if isinstance(again, str):
            stopped[best.key] = again
        elif again != best and heap and heap[0] < again:
            heapq.heappush(heap, again)
        elif len(awards) == most:
            stopped[best.key] = NEXT_CLEARING
            later.add(best.key)
        else:
            awards[best.key] = again
            lot.award(again, offers[best.key])
    return list(awards.values())
