"""A market that holds every record to the laws of the ledger, at the record's own offset.

What a site has room for and what it draws is read from the log anew, without the code it checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from gridsignal_schemas.messages import (
    BaselineDeclaration,
    Clearing,
    ClearingTrigger,
    Direction,
    DispatchOrder,
    OfferOption,
    Record,
    RunMode,
)
from gridsignal_schemas.rules.lifecycle import ORDER_OVER, OfferState
from gridsignal_services.ledger.book import KEPT, Book
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.forgetting import forget
from gridsignal_services.ledger.merit_order import as_offered, order_window
from gridsignal_services.ledger.pieces import in_one_go
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedOrder, TrackedRequest
from tests.unit.ledger.market import OPERATORS_NAME, Market
from tests.unit.ledger.zone import digest

MINUTE = timedelta(minutes=1)


class Watched(Market):
    """A market that holds every record to the laws at its own offset."""

    def __init__(self, *sites: str, kept: timedelta = KEPT, **request: Any) -> None:
        self.behind = Ledger(0, kept)
        """The same, one record behind: how things stood."""
        super().__init__(*sites, kept=kept, **request)

    def add(self, record: Record, principal: str = "service:test") -> Outcome:
        before = self.behind.book
        outcome = super().add(record, principal)
        entry, _ = self.log[-1]
        assert not [fault.message for fault in outcome.faults if "+00:00" in fault.message], "a time is written with Z"
        if not outcome.accepted:
            before.now = self.ledger.book.now  # the log's clock moves with every record
            in_one_go(forget(before, []))
            assert self.ledger.book == before, f"{record.record_name} was refused ({outcome.code}) and changed the book"
            self.behind.skip(entry.offset, entry.leaf)
            return outcome
        if isinstance(record, Clearing):
            for order_id in self.ledger.orders.keys() - before.orders.keys():
                self._an_award_holds(self.ledger.orders[order_id], record)
            self._the_reasons_are_true(record)
        elif isinstance(record, DispatchOrder) and principal == OPERATORS_NAME:
            tracked, ended_at = self.ledger.orders[record.order_id], before.orders[record.order_id].order.ends_at
            assert ended_at is not None
            self._site_has_room(tracked, since=ended_at)
        assert self.behind.apply(entry) == outcome
        return outcome

    def replayed(self) -> Ledger:
        for entry, _ in self.log:
            assert digest(entry.record) == entry.sha256, "a record was changed after it was logged"
        return super().replayed()

    def _an_award_holds(self, tracked: TrackedOrder, clearing: Clearing) -> None:
        order, book = tracked.order, self.ledger.book
        request = book.requests[order.request_id].request
        offer = book.offers[order.participant, str(order.offer_id)].offer
        (option,) = (option for option in offer.options if option.option == order.option)
        assert order.ends_at is not None
        assert as_offered(option, order.power_w)
        assert option.starts_at <= order.starts_at < order.ends_at <= option.ends_at
        assert request.starts_at <= order.starts_at < order.ends_at <= request.ends_at
        duration_s = (order.ends_at - order.starts_at).total_seconds()
        assert option.min_duration_s <= duration_s <= option.max_duration_s
        ready = book.now + timedelta(seconds=request.respond_within_s + option.full_activation_s)
        assert order.starts_at >= ready
        assert offer.expires_at > book.now
        if request.pricing is not request.pricing.UNPAID:
            assert clearing.awards
            assert all(
                award.price_per_mwh >= option.price_per_mwh
                for award in clearing.awards
                if award.offer_id == order.offer_id and award.participant == order.participant
            )
        for when in minutes(order.starts_at, order.ends_at):
            served = sum(held(other, when) for other in book.orders.values() if same_request(other, tracked))
            assert served <= request.power_w + (request.step_w or 0)
        self._site_has_room(tracked, since=order.starts_at)

    def _the_reasons_are_true(self, clearing: Clearing) -> None:
        """Each loser's code, as the book stands at the clearing's own offset."""
        book = self.ledger.book
        tracked = book.requests[clearing.request_id]
        holders = [standing_of_holder(book, order) for order in book.live_orders(tracked.orders)]
        for key in tracked.offers:
            offer = book.offers[key]
            if offer.state is OfferState.TENTATIVE:
                assert offer.codes == ()
            if offer.state is not OfferState.STANDBY:
                continue
            (code,) = offer.codes
            if code in ("OUTBID", "COVERED"):
                mine = standing_in_full(tracked, offer, self.now)
                assert (code == "OUTBID") == all(holder <= mine for holder in holders), (mine, holders)
                assert any(self._is_covered(tracked, option) for option in offer.offer.options)
            elif code == "INDIVISIBLE":
                assert any(not option.divisible for option in offer.offer.options)
            elif code == "NOT_PICKED":
                assert clearing.trigger is ClearingTrigger.BY_HAND
                assert clearing.awards
            elif code == "NOT_CONSIDERED":
                assert offer.place >= clearing.position or offer.offer.expires_at <= self.now

    def _is_covered(self, tracked: TrackedRequest, option: OfferOption) -> bool:
        """Whether some moment of the option's window has all that was asked for."""
        book, request = self.ledger.book, tracked.request
        since, until = order_window(request, option, self.now)
        orders = [book.orders[order_id] for order_id in tracked.orders]
        return any(sum(held(o, when) for o in orders) >= request.power_w for when in minutes(since, until))

    def _site_has_room(self, tracked: TrackedOrder, since: datetime) -> None:
        order, book = tracked.order, self.ledger.book
        assert order.ends_at is not None
        registered = book.sites[order.site]
        place = book.requests[order.request_id].place
        for when in minutes(since, order.ends_at):
            promised = sum(held(other, when) for other in book.orders.values() if competes(other, tracked))
            baseline = self._baseline_w(order.site, when, place)
            assert baseline is not None
            down = order.direction is Direction.LOAD_DECREASE
            room = baseline - registered.minimum_load_w if down else registered.capacity_w - baseline
            assert promised <= room

    def _baseline_w(self, site: str, when: datetime, before: int) -> int | None:
        """Straight from the log: the last accepted declaration before the request that covers the moment."""
        for entry, outcome in reversed(self.log):
            declared = entry.record
            if not isinstance(declared, BaselineDeclaration) or not outcome.accepted or entry.offset >= before:
                continue
            index = (when - declared.starts_at) // timedelta(seconds=declared.resolution_s)
            if declared.site == site and 0 <= index < len(declared.power_w):
                return declared.power_w[index]
        return None


def standing_of_holder(book: Book, tracked: TrackedOrder) -> tuple[Decimal, int]:
    """What an order costs each MWh, its fee included, and when its offer came."""
    assert tracked.offer_key is not None
    assert tracked.order.ends_at is not None
    offer = book.offers[tracked.offer_key]
    (option,) = (option for option in offer.offer.options if option.option == tracked.order.option)
    return a_megawatt_hour(option, tracked.order.starts_at, tracked.order.ends_at, tracked.power_w), offer.place


def standing_in_full(tracked: TrackedRequest, offer: TrackedOffer, now: datetime) -> tuple[Decimal, int]:
    """The same of an offer, were it called whole, by its cheapest option."""
    prices = [
        a_megawatt_hour(option, *order_window(tracked.request, option, now), option.power_w)
        for option in offer.offer.options
    ]
    return min(prices), offer.place


def a_megawatt_hour(option: OfferOption, starts_at: datetime, ends_at: datetime, power_w: int) -> Decimal:
    watt_seconds = power_w * int((ends_at - starts_at).total_seconds())
    if watt_seconds <= 0:
        return option.price_per_mwh
    return option.price_per_mwh + (option.activation_fee or Decimal(0)) * 3_600_000_000 / watt_seconds


def minutes(starts_at: datetime, ends_at: datetime) -> Iterator[datetime]:
    when = starts_at
    while when < ends_at:
        yield when
        when += MINUTE


def held(tracked: TrackedOrder, when: datetime) -> int:
    order = tracked.order
    during = order.starts_at <= when and (order.ends_at is None or when < order.ends_at)
    return tracked.power_w if during and tracked.state not in ORDER_OVER else 0


def same_request(one: TrackedOrder, other: TrackedOrder) -> bool:
    return one.order.request_id == other.order.request_id


def competes(one: TrackedOrder, other: TrackedOrder) -> bool:
    same_site = (one.order.site, one.order.direction) == (other.order.site, other.order.direction)
    return same_site and (other.order.run_mode is RunMode.DRY_RUN or one.order.run_mode is not RunMode.DRY_RUN)
