"""The state of one zone's partition: requests, offers, orders, sites and what they have promised.

Bounded: by what is not over, or was not yet a day ago; what stays of the rest is in `past`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

from gridsignal_schemas.messages import (
    AreaRegistration,
    BaselineDeclaration,
    BaselineFixed,
    DispatchOrder,
    DispatchRequest,
    OrderState,
    RunMode,
    SiteRegistration,
)
from gridsignal_schemas.rules.baselines import NEVER_LOGGED, Declared, stretches
from gridsignal_schemas.rules.headroom import headroom_w, promised
from gridsignal_schemas.rules.lifecycle import OFFER_CALLABLE, ORDER_NEVER_HELD, ORDER_OVER
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.rules.profile import Block, Profile
from gridsignal_services.clock import EPOCH
from gridsignal_services.ledger.announcements import Announcements, OfferKey
from gridsignal_services.ledger.entry import SetAside
from gridsignal_services.ledger.in_turn import in_turn
from gridsignal_services.ledger.legs import Hold, Shift
from gridsignal_services.ledger.past import Past
from gridsignal_services.ledger.rests import Activations
from gridsignal_services.ledger.swings import Course, Swing, ended, followed, ramps_of, swing_of
from gridsignal_services.ledger.timers import Timers
from gridsignal_services.ledger.tracked import (
    TrackedOffer,
    TrackedOrder,
    TrackedRequest,
    TrackedResponse,
    TrackedSettlement,
)

KEPT = timedelta(seconds=LIMITS.kept_when_over_s)


_ENDLESS = -1
_LOOKS_BACK = timedelta(hours=1)
"""As far as the longest window of an area."""


def _days(order: DispatchOrder) -> Iterable[int]:
    """Since 1970, that it touches."""
    if order.ends_at is None:
        return (_ENDLESS,)
    return range((order.starts_at - EPOCH).days, (order.ends_at - EPOCH).days + 1)


_NEVER_BEGAN = frozenset({OrderState.REFUSED, OrderState.VOIDED})


def _is_dry(order: DispatchOrder) -> bool:
    return order.run_mode is RunMode.DRY_RUN


class Fixed(NamedTuple):
    """A baseline from history."""

    record: BaselineFixed
    declared: Declared | None
    """As if the site had declared it; None where the method gives none."""


@dataclass(slots=True)
class Book:
    """Everything the ledger knows about one partition."""

    requests: dict[str, TrackedRequest] = field(default_factory=dict)
    offers: dict[OfferKey, TrackedOffer] = field(default_factory=dict)
    orders: dict[str, TrackedOrder] = field(default_factory=dict)
    responses: dict[tuple[str, str], TrackedResponse] = field(default_factory=dict)
    settlements: dict[str, TrackedSettlement] = field(default_factory=dict)
    """Of orders that are over, by the order."""
    settlements_owed: dict[str, None] = field(default_factory=dict)
    """Orders of which a version is owed, the longest first."""
    outliving: dict[str, dict[str, None]] = field(default_factory=dict)
    """Settlements whose orders have left, by the operator, the longest first: a version or a dispute is awaited."""
    leaving: dict[str, None] = field(default_factory=dict)
    """Those of them that leave with the next record."""
    settled_of: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)
    """Those that have a version, of each participant and of each operator: whose newest was written last comes last."""
    fixed: dict[tuple[str, str], Fixed] = field(default_factory=dict)
    """Baselines from history, by request and site."""
    baselines_owed: dict[tuple[str, str], str] = field(default_factory=dict)
    """Those that have to be fixed, with the participant of each, the longest first."""
    sites: dict[str, SiteRegistration] = field(default_factory=dict)
    areas: dict[tuple[str, str], AreaRegistration] = field(default_factory=dict)
    """By zone and name; those that have ended, too."""
    areas_of_site: dict[str, dict[tuple[str, str], None]] = field(default_factory=dict)
    swings: dict[str, dict[str, Swing]] = field(default_factory=dict)
    """What each site does, by its orders; those that are over until all of it has happened, and it has another."""
    declared: dict[str, list[Declared]] = field(default_factory=dict)
    set_aside: dict[str, dict[str, SetAside]] = field(default_factory=dict)
    """Of each participant by offer id, the oldest first."""
    standing: Counter[str] = field(default_factory=Counter)
    """How many offers each participant has sent for requests that are not over."""
    called: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many a participant's standing offers have made on an operator's requests that are not over."""
    offers_on_open_requests: dict[str, dict[OfferKey, None]] = field(default_factory=dict)
    """Each participant's and those that stand for a product, the oldest first: what it asks about costs by what it
    offers itself."""
    standing_offers: dict[str, dict[OfferKey, None]] = field(default_factory=dict)
    """Those that stand for a product, by it: the one that stands longest comes first."""
    products_of: dict[str, dict[OfferKey, str]] = field(default_factory=dict)
    """The same by their participant, each with its product."""
    stood: deque[tuple[datetime, OfferKey]] = field(default_factory=deque)
    """Those that stand no more, and since when; the longest first."""
    open_requests: dict[str, None] = field(default_factory=dict)
    """Those that are not over."""
    open_of: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many each operator has open in each zone."""
    looked_through: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    """When a site's declarations were last looked through, and how many were kept for periods that are over."""
    ended: list[str] = field(default_factory=list)
    """Requests that the record being reduced has ended, and whose offers it has still to let go of."""
    expiring: dict[str, OfferKey] = field(default_factory=dict)
    """Offers by their name among the timers."""
    now: datetime = EPOCH
    """The log clock in grid time: the running maximum of the append times; EPOCH before the first record."""
    principal: str = field(default="", compare=False)
    """Who caused the record that is being reduced."""
    announcements: Announcements = field(default_factory=Announcements)
    timers: Timers = field(default_factory=Timers)
    waiting: dict[str, dict[str, None]] = field(default_factory=dict)
    """Requests that wait for a clearing, by their operator: whose turn it is comes first, of his the longest wait."""
    last_request: int = -1
    """Offset of the newest request: no request uses a baseline that a later one has replaced since."""
    orders_of_site: dict[str, dict[str, None]] = field(default_factory=dict)
    days_of_site: dict[str, dict[int, dict[str, None]]] = field(default_factory=dict)
    """Its orders that are over, by the days since 1970 that they touch; those without an end by -1."""
    over: dict[str, deque[tuple[datetime, str]]] = field(default_factory=dict)
    """Each operator's requests that are over, and since when; the longest first."""
    remembered: tuple[str, int, int] = ("", 0, 0)
    """Of the request that leaves next: how many revisions of its offers `past` has already, and of how many."""
    past: Past = field(default_factory=Past)
    """What is kept of those that the book has let go of."""
    kept: timedelta = KEPT
    """How long what is over stays."""
    live_of_site: dict[str, dict[str, None]] = field(default_factory=dict)
    live_of: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)
    """The same of each participant they are to, and of each operator whose request they are on."""
    shifts: dict[str, Shift] = field(default_factory=dict)
    """Of work that moves away from here, by their orders."""
    holds: dict[str, Hold] = field(default_factory=dict)
    """Of work that moves here, by the shift."""
    active: dict[tuple[str, bool], Activations] = field(default_factory=dict)
    """When each site was or will be activated, in earnest and in dry runs, by orders that were let go of, too."""

    @property
    def baselines(self) -> dict[str, BaselineDeclaration]:
        """Each site's newest declaration."""
        return {site: declarations[-1].baseline for site, declarations in self.declared.items()}

    def open_request(self, tracked: TrackedRequest) -> None:
        """Files a new request."""
        request = tracked.request
        self.requests[request.request_id] = tracked
        self.last_request = tracked.place
        self.open_requests[request.request_id] = None
        self.open_of[request.operator, request.zone] += 1

    def add_offer(self, request: TrackedRequest, key: OfferKey) -> None:
        """Lists an offer on its request."""
        request.offers.append(key)
        if request.request.request_id in self.open_requests:
            self.offers_on_open_requests.setdefault(key[0], {})[key] = None

    def stand(self, key: OfferKey, product: str) -> None:
        """From now on the offer answers requests of this product, and of no other."""
        self._stop(key)
        self.standing_offers.setdefault(product, {})[key] = None
        self.products_of.setdefault(key[0], {})[key] = product
        self.offers_on_open_requests.setdefault(key[0], {})[key] = None

    def stand_no_more(self, key: OfferKey) -> None:
        """The offer is over; it is let go of later."""
        if self._stop(key):
            self.stood.append((self.now, key))

    def _stop(self, key: OfferKey) -> bool:
        theirs = self.products_of.get(key[0], {})
        if (product := theirs.pop(key, None)) is None:
            return False
        keys = self.standing_offers[product]
        del keys[key], self.offers_on_open_requests[key[0]][key]
        if not keys:
            del self.standing_offers[product]
        if not theirs:
            del self.products_of[key[0]]
        return True

    def close_request(self, request_id: str) -> None:
        """A request that is over leaves room for others, and so do the offers on it, which are still to be let go."""
        tracked = self.requests[request_id]
        self.await_no_clearing(request_id)
        self.over.setdefault(tracked.request.operator, deque()).append((self.now, request_id))
        del self.open_requests[request_id]
        self.open_of[tracked.request.operator, tracked.request.zone] -= 1
        self.standing.subtract(tracked.offers_of)
        for participant, made in tracked.called_of.items():
            self.called[participant, tracked.request.operator] -= made
        self.ended.append(request_id)

    def add_order(self, tracked: TrackedOrder) -> None:
        """Files an order under its site and request."""
        order = tracked.order
        self.orders[order.order_id] = tracked
        self.orders_of_site.setdefault(order.site, {})[order.order_id] = None
        self.live_of_site.setdefault(order.site, {})[order.order_id] = None
        for who in self._concerned(tracked):
            self.live_of.setdefault(who, {})[order.order_id] = None
        self.requests[order.request_id].orders.append(order.order_id)
        active = self._active_of(tracked)
        active.drop(self.now)
        active.add(tracked.block())
        self._drop_swings(order.site)
        self.hold(order.site, order.order_id, swing_of(self.course_of(tracked), is_dry=_is_dry(order)))

    def hold(self, site: str, name: str, swing: Swing) -> None:
        """From now on the site's areas count this."""
        self.swings.setdefault(site, {})[name] = swing

    def follow(self, tracked: TrackedOrder) -> None:
        """The order has another power or end: what its site does from now on is another."""
        order = tracked.order
        if (before := self.swings.get(order.site, {}).get(order.order_id)) is not None:
            self.hold(order.site, order.order_id, followed(before, self.course_of(tracked), self.now))

    def course_of(self, tracked: TrackedOrder) -> Course:
        """How an order's site is to follow it."""
        order = tracked.order
        offer = self.offers.get(tracked.offer_key) if tracked.offer_key else None
        option = None if offer is None else offer.option_named(order.option or "")
        there, back = ramps_of(order.direction, option, order.power_w, order.max_ramp_w_per_min)
        restores_at = order.ends_at and max(order.ends_at, order.restore_not_before or order.ends_at)
        rebound = None if offer is None else offer.offer.flexibility.rebound
        return Course(order.direction, tracked.power_w, order.starts_at, restores_at, there, back, rebound)

    def _drop_swings(self, site: str) -> None:
        held = {name: swing for name, swing in self.swings.pop(site, {}).items() if self._counts(swing)}
        if held:
            self.swings[site] = held

    def _counts(self, swing: Swing) -> bool:
        return swing.until > self.now - _LOOKS_BACK

    def change_order(self, tracked: TrackedOrder, order: DispatchOrder) -> None:
        """Its next revision, which may end at another time."""
        is_over = order.order_id not in self.live_of_site.get(order.site, ())
        if is_over:
            self._unfile(tracked.order)
        before, tracked.order = tracked.block(), order
        if is_over:
            self._file(order)
        if tracked.state not in ORDER_NEVER_HELD and tracked.block() != before:
            self._active_of(tracked).remove(before)
            self._active_of(tracked).add(tracked.block())
        if not is_over:
            self.follow(tracked)

    def end_order(self, tracked: TrackedOrder) -> None:
        """An order that is over holds nothing of its site any more; one that never held was no activation either."""
        del self.live_of_site[tracked.order.site][tracked.order.order_id]
        self._file(tracked.order)
        for who in self._concerned(tracked):
            del self.live_of[who][tracked.order.order_id]
        if tracked.state in ORDER_NEVER_HELD:
            self._active_of(tracked).remove(tracked.block())
        self._end_swing(tracked)

    def _end_swing(self, tracked: TrackedOrder) -> None:
        order = tracked.order
        before = self.swings.get(order.site, {}).get(order.order_id)
        if before is None or (tracked.state is OrderState.COMPLETED and order.ends_at and self.now >= order.ends_at):
            return  # it comes back as it was to
        if tracked.state in _NEVER_BEGAN:
            del self.swings[order.site][order.order_id]
            return
        told = order.restore_not_before if tracked.state is OrderState.CANCELLED else None
        restores_at = max(self.now, told or self.now)
        if (swing := ended(before, self.course_of(tracked), self.now, restores_at)) is not None:
            self.hold(order.site, order.order_id, swing)
        else:
            del self.swings[order.site][order.order_id]

    def drop_order(self, order: DispatchOrder) -> None:
        """One that is over is found here no more."""
        self._unfile(order)
        del self.orders_of_site[order.site][order.order_id], self.orders[order.order_id]

    def drop_swing(self, order: DispatchOrder) -> None:
        """Of an order that was dropped; one that still comes back goes with the next order of its site."""
        held = self.swings.get(order.site, {})
        if (swing := held.get(order.order_id)) is None or self._counts(swing):
            return
        del held[order.order_id]
        if not held:
            del self.swings[order.site]

    def _file(self, order: DispatchOrder) -> None:
        filed = self.days_of_site.setdefault(order.site, {})
        for day in _days(order):
            filed.setdefault(day, {})[order.order_id] = None

    def _unfile(self, order: DispatchOrder) -> None:
        filed = self.days_of_site[order.site]
        for day in _days(order):
            del filed[day][order.order_id]
            if not filed[day]:
                del filed[day]
        if not filed:
            del self.days_of_site[order.site]

    def beside(self, site: str, starts_at: datetime, ends_at: datetime | None) -> list[TrackedOrder]:
        """A site's orders that are not over, and those of the days that a period touches, in the order of their issue.

        Costs by these, however many the site has had; of one without an end by all.
        """
        filed = self.days_of_site.get(site)
        names = self.orders_of_site.get(site, {})
        if filed is not None and ends_at is not None:
            days = [_ENDLESS, *range((starts_at - EPOCH).days, (ends_at - EPOCH).days + 1)]
            names = dict(self.live_of_site.get(site, {}))
            for day in days:
                names |= filed.get(day, {})
        return sorted(map(self.orders.__getitem__, names), key=lambda each: (each.issued_place, each.order.order_id))

    def operator_of(self, request_id: str) -> str | None:
        """Whose request it is, or was before it left; None where there was none."""
        tracked = self.requests.get(request_id)
        return self.past.operator_of(request_id) if tracked is None else tracked.request.operator

    def add_version(self, tracked: TrackedSettlement) -> None:
        """Files a settlement under its parties: a version of it was written."""
        self.settlements[tracked.order_id] = tracked
        for who in self._parties(tracked):
            theirs = self.settled_of.setdefault(who, {})
            theirs.pop(tracked.order_id, None)
            theirs[tracked.order_id] = None

    def drop_settlement(self, order_id: str) -> TrackedSettlement:
        """It is found here no more."""
        tracked = self.settlements.pop(order_id)
        for who in self._parties(tracked):
            if (theirs := self.settled_of.get(who)) is not None:
                theirs.pop(order_id, None)
                if not theirs:
                    del self.settled_of[who]
        return tracked

    def _parties(self, tracked: TrackedSettlement) -> tuple[tuple[str, str], tuple[str, str]]:
        return ("participant", tracked.of.participant), ("operator", self.operator_of(tracked.of.request_id) or "")

    def _concerned(self, tracked: TrackedOrder) -> tuple[tuple[str, str], tuple[str, str]]:
        order = tracked.order
        return ("participant", order.participant), ("operator", self.requests[order.request_id].request.operator)

    def live_orders(self, order_ids: Iterable[str]) -> Iterator[TrackedOrder]:
        """Those that are not over."""
        return (order for order in map(self.orders.__getitem__, order_ids) if order.state not in ORDER_OVER)

    def await_clearing(self, request_id: str) -> None:
        """From now on the request waits for a clearing."""
        tracked = self.requests[request_id]
        tracked.wants_clearing = True
        self.waiting.setdefault(tracked.request.operator, {})[request_id] = None

    def await_no_clearing(self, request_id: str) -> None:
        """It was cleared, or is over; other operators come first now."""
        tracked = self.requests[request_id]
        tracked.wants_clearing = False
        operator = tracked.request.operator
        if request_id in self.waiting.get(operator, ()):
            others = self.waiting.pop(operator)
            del others[request_id]
            if others:
                self.waiting[operator] = others

    def waiting_in_turn(self) -> Iterator[str]:
        """Requests that wait for a clearing: one of each operator, then the next of each."""
        return in_turn(self.waiting.values())

    def committed(self, site: str, request: DispatchRequest) -> Profile:
        """What the site is ordered to do in the request's direction, answered or not."""
        return promised(self.live_orders(self.live_of_site.get(site, ())), request)

    def activations(self, site: str, run_mode: RunMode) -> list[Activations]:
        """Every period for which the site was or will be activated."""
        kinds = (False, True) if run_mode is RunMode.DRY_RUN else (False,)
        return [self.active[site, is_dry] for is_dry in kinds if (site, is_dry) in self.active]

    def _active_of(self, tracked: TrackedOrder) -> Activations:
        order = tracked.order
        return self.active.setdefault((order.site, order.run_mode is RunMode.DRY_RUN), Activations())

    def served(self, request_id: str) -> Profile:
        """What the request's orders that are not over give it."""
        return Profile(order.block() for order in self.live_orders(self.requests[request_id].orders))

    def taken_back(self, request_id: str) -> list[Block]:
        """What the request's operator has let go of since a person last cleared it."""
        orders = map(self.orders.__getitem__, self.requests[request_id].orders)
        return [order.taken_back for order in orders if order.taken_back is not None]

    def shortfall_w(self, request_id: str, now: datetime, given: Profile | None = None) -> int:
        """What the request lacks most at any moment still to come, in watts; `given`: of what it has been given."""
        request = self.requests[request_id].request
        starts_at = max(request.starts_at, now)
        if starts_at >= request.ends_at:
            return 0
        given = self.served(request_id) if given is None else given
        return max(0, request.power_w - given.lowest(starts_at, request.ends_at))

    def callable_offers(self, request_id: str, now: datetime) -> list[tuple[OfferKey, TrackedOffer]]:
        """The request's LIVE and STANDBY offers that have not expired."""
        keyed = ((key, self.offers[key]) for key in self.requests[request_id].offers)
        return [(k, o) for k, o in keyed if o.state in OFFER_CALLABLE and o.offer.expires_at > now]

    def counting(self, site: str, request_id: str, before: int) -> Sequence[Declared]:
        """What counts for a request, the later over the earlier: what its site declared before it, and over that what
        its method has made of the site's history."""
        declared = self.declared.get(site, [])
        earlier = declared[: bisect_left(declared, before, key=attrgetter("place"))]
        fixed = self.fixed.get((request_id, site))
        if fixed is None or fixed.declared is None or fixed.record.participant != self.sites[site].participant:
            return earlier
        return [*earlier, fixed.declared]

    def peak_w(self, request_id: str, site: str, starts_at: datetime, ends_at: datetime) -> int:
        """The highest baseline of a site over a period that counts for a request, in watts; 0 where it has none."""
        declared = self.counting(site, request_id, self.requests[request_id].place)
        found = stretches(declared, starts_at, ends_at, NEVER_LOGGED) or ()
        return max((each.declared.highest_w(each.starts_at, each.ends_at) for each in found), default=0)

    def headroom_w(
        self,
        site: str,
        request: DispatchRequest,
        starts_at: datetime,
        ends_at: datetime,
        *,
        before: int,
        promised: Profile,
    ) -> int | None:
        """What the site can still promise the request over the whole period, in watts; None without a baseline.

        `before` is the request's place. `promised` is `committed`, or what a clearing under way has made of it.
        """
        declared, registered = self.counting(site, request.request_id, before), self.sites[site]
        return headroom_w(declared, registered, request, starts_at, ends_at, before=NEVER_LOGGED, promised=promised)
