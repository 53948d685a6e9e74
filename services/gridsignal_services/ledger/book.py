"""The state of one zone's partition: requests, offers, orders, sites and what they have promised.

Bounded: by the log's content; finished things stay, because a repeat must find its first receipt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.messages import (
    BaselineDeclaration,
    Clearing,
    Direction,
    DispatchOrder,
    DispatchRequest,
    FlexOffer,
    OfferOption,
    OrderResponse,
    OrderState,
    ResponseKind,
    RunMode,
    SiteRegistration,
)
from gridsignal_services.access import Audience
from gridsignal_services.ledger.announcements import Announcements, OfferKey
from gridsignal_services.ledger.lifecycle import (
    OFFER_CALLABLE,
    ORDER_NEVER_HELD,
    ORDER_OVER,
    OfferState,
    RequestState,
)
from gridsignal_services.ledger.profile import Block, Profile
from gridsignal_services.ledger.timers import Timers

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class TrackedRequest:
    """A request and what hangs on it."""

    request: DispatchRequest
    """The current revision."""
    place: int
    """Offset of the first revision: baselines logged later do not count."""
    digests: dict[int, str]
    """Each revision's sha256, to tell a repeat from a conflict."""
    receipts: dict[int, Receipt]
    audience: Audience
    """Everyone who could see any revision."""
    state: RequestState = RequestState.OPEN
    offers: list[OfferKey] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    clearings: list[Clearing] = field(default_factory=list)
    cancelled: tuple[str, Receipt] | None = None
    """The sha256 and receipt of its cancellation."""
    wants_clearing: bool = False
    """The gate has closed, or an order fell short: the next valid clearing answers it, so of two only one counts."""


@dataclass(slots=True)
class TrackedOffer:
    """An offer's current revision and where it stands."""

    offer: FlexOffer
    place: int
    """Offset of the current revision: its place in time."""
    receipt: Receipt
    digests: dict[int, tuple[str, Receipt]]
    """Each revision's sha256 and receipt."""
    request_revision: int | None
    """The request's revision it was last found valid for."""
    withdrawn: Receipt | None = None
    """The receipt of its withdrawal."""
    state: OfferState = OfferState.LIVE
    codes: tuple[str, ...] = ()
    option: str | None = None
    power_w: int | None = None
    rank: int | None = None
    order_id: str | None = None

    def option_named(self, name: str) -> OfferOption | None:
        """The option of that name."""
        return next((option for option in self.offer.options if option.option == name), None)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an order's history."""

    at: datetime
    state: OrderState
    actor: str
    reason_code: str = ""
    reason: str = ""


@dataclass(slots=True)
class TrackedOrder:
    """An order's current revision and where it stands."""

    order: DispatchOrder
    offer_key: OfferKey | None
    clearing_id: str
    state: OrderState = OrderState.ISSUED
    accepted_w: int | None = None
    accepted_place: int | None = None
    """Offset of the acceptance: overlapping orders share one deviation in this order."""
    answered: dict[ResponseKind, None] = field(default_factory=dict)  # what its site has said, each kind once
    changed: Receipt | None = None
    """The receipt of the operator's latest change."""
    history: list[Step] = field(default_factory=list)

    @property
    def power_w(self) -> int:
        """What is ordered now, in watts: what was accepted once it was accepted."""
        return self.order.power_w if self.accepted_w is None else min(self.accepted_w, self.order.power_w)

    def block(self) -> Block:
        """The order as power over time; open ends reach to the far future."""
        ends_at = self.order.ends_at or self.order.starts_at + timedelta(days=3650)
        return Block(self.order.starts_at, ends_at, self.power_w)


@dataclass(frozen=True, slots=True)
class TrackedResponse:
    """A response whose identity is settled."""

    response: OrderResponse
    receipt: Receipt


class Declared(NamedTuple):
    """A baseline declaration, where it lies, its receipt, and the period it covers."""

    place: int
    baseline: BaselineDeclaration
    receipt: Receipt
    starts_at: datetime
    ends_at: datetime

    @classmethod
    def of(cls, place: int, baseline: BaselineDeclaration, receipt: Receipt) -> Declared:
        """With its period, which is asked for at every offer and so computed once."""
        span = timedelta(seconds=baseline.resolution_s) * len(baseline.power_w)
        return cls(place, baseline, receipt, baseline.starts_at, baseline.starts_at + span)


def _counts(order: DispatchOrder, run_mode: RunMode) -> bool:
    """A dry run sees what is real; what is real sees no dry run."""
    return run_mode is RunMode.DRY_RUN or order.run_mode is not RunMode.DRY_RUN


@dataclass(slots=True)
class Book:
    """Everything the ledger knows about one partition."""

    requests: dict[str, TrackedRequest] = field(default_factory=dict)
    offers: dict[OfferKey, TrackedOffer] = field(default_factory=dict)
    orders: dict[str, TrackedOrder] = field(default_factory=dict)
    responses: dict[tuple[str, str], TrackedResponse] = field(default_factory=dict)
    sites: dict[str, SiteRegistration] = field(default_factory=dict)
    declared: dict[str, list[Declared]] = field(default_factory=dict)
    expiring: dict[str, OfferKey] = field(default_factory=dict)
    """Offers by their name among the timers."""
    now: datetime = LONG_AGO
    """The log clock in grid time: the running maximum of the append times."""
    announcements: Announcements = field(default_factory=Announcements)
    timers: Timers = field(default_factory=Timers)
    waiting: dict[str, None] = field(default_factory=dict)
    """Requests that wait for a clearing, the one that waits longest first."""
    last_request: int = -1
    """Offset of the newest request: no request uses a baseline that a later one has replaced since."""
    orders_of_site: dict[str, list[str]] = field(default_factory=dict)
    live_of_site: dict[str, dict[str, None]] = field(default_factory=dict)

    @property
    def baselines(self) -> dict[str, BaselineDeclaration]:
        """Each site's newest declaration."""
        return {site: declarations[-1].baseline for site, declarations in self.declared.items()}

    def declare(self, declared: Declared) -> None:
        """Remembers a declaration; the one before it is dropped where no request can count on it.

        Bounded: one of each site between two requests, as long as each covers what is left of the one before.
        """
        declarations = self.declared.setdefault(declared.baseline.site, [])
        if declarations and declarations[-1].place > self.last_request and self._replaces(declared, declarations[-1]):
            declarations.pop()
        declarations.append(declared)

    def _replaces(self, newer: Declared, older: Declared) -> bool:
        return newer.starts_at <= max(older.starts_at, self.now) and older.ends_at <= newer.ends_at

    def add_order(self, tracked: TrackedOrder) -> None:
        """Files an order under its site and request."""
        order = tracked.order
        self.orders[order.order_id] = tracked
        self.orders_of_site.setdefault(order.site, []).append(order.order_id)
        self.live_of_site.setdefault(order.site, {})[order.order_id] = None
        self.requests[order.request_id].orders.append(order.order_id)

    def end_order(self, tracked: TrackedOrder) -> None:
        """An order that is over holds nothing of its site any more."""
        self.live_of_site[tracked.order.site].pop(tracked.order.order_id, None)

    def live_orders(self, order_ids: Iterable[str]) -> Iterator[TrackedOrder]:
        """Those that are not over."""
        return (order for order in map(self.orders.__getitem__, order_ids) if order.state not in ORDER_OVER)

    def await_clearing(self, request_id: str) -> None:
        """From now on the request waits for a clearing."""
        self.requests[request_id].wants_clearing = True
        self.waiting[request_id] = None

    def await_no_clearing(self, request_id: str) -> None:
        """It was cleared, or is over."""
        self.requests[request_id].wants_clearing = False
        self.waiting.pop(request_id, None)

    def committed(self, site: str, request: DispatchRequest) -> Profile:
        """What the site is ordered to do in the request's direction, answered or not."""
        live = self.live_orders(self.live_of_site.get(site, ()))
        same = (tracked for tracked in live if tracked.order.direction is request.direction)
        return Profile(tracked.block() for tracked in same if _counts(tracked.order, request.run_mode))

    def activations(self, site: str, run_mode: RunMode) -> Iterator[Block]:
        """Every period for which the site was or will be activated."""
        for tracked in map(self.orders.__getitem__, self.orders_of_site.get(site, ())):
            if tracked.state not in ORDER_NEVER_HELD and _counts(tracked.order, run_mode):
                yield tracked.block()

    def served(self, request_id: str) -> Profile:
        """What the request's orders that are not over give it."""
        return Profile(order.block() for order in self.live_orders(self.requests[request_id].orders))

    def shortfall_w(self, request_id: str, now: datetime) -> int:
        """What the request lacks most at any moment still to come, in watts."""
        request = self.requests[request_id].request
        starts_at = max(request.starts_at, now)
        if starts_at >= request.ends_at:
            return 0
        return max(0, request.power_w - self.served(request_id).lowest(starts_at, request.ends_at))

    def callable_offers(self, request_id: str, now: datetime) -> list[tuple[OfferKey, TrackedOffer]]:
        """The request's LIVE and STANDBY offers that have not expired."""
        keyed = ((key, self.offers[key]) for key in self.requests[request_id].offers)
        return [(k, o) for k, o in keyed if o.state in OFFER_CALLABLE and o.offer.expires_at > now]

    def baseline_w(self, site: str, when: datetime, before: int) -> int | None:
        """The site's baseline at a moment, from the last declaration logged before an offset that covers it."""
        for place, baseline, _, starts_at, ends_at in reversed(self.declared.get(site, ())):
            if place < before and starts_at <= when < ends_at:
                return baseline.power_w[(when - starts_at) // timedelta(seconds=baseline.resolution_s)]
        return None

    def headroom_w(
        self,
        site: str,
        request: DispatchRequest,
        starts_at: datetime,
        ends_at: datetime,
        *,
        before: int,
        promised: Profile | None = None,
    ) -> int | None:
        """What the site can still promise the request over the whole period, in watts; None without a baseline.

        Down: baseline - minimum load - promised. Up: connection capacity - baseline - promised.
        `before` is the request's place: later baselines do not count. `promised` is `committed` where somebody keeps
        count of it, as a clearing under way does.
        """
        registered = self.sites[site]
        if promised is None:
            promised = self.committed(site, request)
        moments = {starts_at, *promised.edges(starts_at, ends_at), *self._baseline_edges(site, starts_at, ends_at)}
        rooms: list[int] = []
        for when in moments:
            baseline = self.baseline_w(site, when, before)
            if baseline is None:
                return None
            down = request.direction is Direction.LOAD_DECREASE
            room = baseline - registered.minimum_load_w if down else registered.capacity_w - baseline
            rooms.append(room - promised.at(when))
        return min(rooms)

    def _baseline_edges(self, site: str, starts_at: datetime, ends_at: datetime) -> Iterator[datetime]:
        for _, baseline, _, since, until in self.declared.get(site, ()):
            if until <= starts_at or ends_at <= since:
                continue
            step = timedelta(seconds=baseline.resolution_s)
            first = max(0, (starts_at - baseline.starts_at) // step + 1)
            last = min(len(baseline.power_w), -((baseline.starts_at - ends_at) // step) - 1)
            yield from (baseline.starts_at + index * step for index in range(first, last + 1))
