"""One random day in a zone with areas: requests, offers, refusals, trips, releases, by the ledger alone."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from gridsignal_schemas.messages import (
    AreaRegistration,
    DispatchOrder,
    Flexibility,
    FlexibilityKind,
    OfferOption,
    OrderState,
    Rebound,
    Workload,
)
from gridsignal_schemas.rules.lifecycle import ORDER_OVER, ORDER_UNANSWERED
from gridsignal_schemas.values import MW
from gridsignal_services.dispatch import commands
from gridsignal_services.dispatch.shapes import ReleaseBody
from tests.builders import an_area_registration, utc
from tests.unit.ledger.market import OPERATORS_NAME, OWNER, Market

_STEP = timedelta(minutes=5)
FIRST, LAST = utc("17:00"), utc("21:55")
"""What happens lies between."""
_BEFORE_OFFERS = utc("16:30")


class GridDay:
    """What was logged on it is in `revisions`: the orders as their sites were told, and when."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.market = Market()
        self.sites = [f"site{at}" for at in range(self.chance.randint(4, 8))]
        for who in self.sites:
            self.market.site(who, baseline_w=80 * MW, capacity_w=100 * MW)
        self.areas = [self._area(f"area-{at}") for at in range(self.chance.randint(1, 2))]
        self.asked = [f"request-{at}" for at in range(self.chance.randint(2, 4))]
        self.tripped: dict[str, datetime] = {}
        """Orders whose sites did less than was ordered, or ended them, from then on."""
        self.accepted: dict[str, datetime] = {}

    def _area(self, name: str) -> AreaRegistration:
        members = self.chance.sample(self.sites, self.chance.randint(2, len(self.sites)))
        limits: dict[str, Any] = {"max_import_w": None, "max_change_w": None, "window_s": None}
        limits |= {"max_ramp_down_w_per_min": self.chance.choice([None, 30 * MW, 60 * MW])}
        limits |= {"max_ramp_up_w_per_min": self.chance.choice([None, 30 * MW, 60 * MW])}
        if self.chance.random() < 0.8:
            limits |= {
                "max_change_w": self.chance.randint(40, 120) * MW,
                "window_s": self.chance.choice([120, 300, 600]),
            }
        area = an_area_registration(area=name, sites=sorted(f"{who}-1" for who in members), **limits)
        assert self.market.add(area).accepted
        return area

    def play(self) -> None:
        """Everything, to the end."""
        for request_id in self.asked:
            self._ask(request_id)
        self.market.run_until(_BEFORE_OFFERS)
        while self.market.now < LAST:
            self._answer()
            if self.market.now >= FIRST and self.chance.random() < 0.2:
                self._disturb()
            self.market.run_until(self.market.now + _STEP)

    def _ask(self, request_id: str) -> None:
        starts_at = utc("18:00") + self.chance.randint(0, 12) * _STEP
        ends_at = starts_at + self.chance.randint(6, 18) * _STEP
        power_w = self.chance.randint(40, 240) * MW
        changes = {"starts_at": starts_at, "ends_at": ends_at, "power_w": power_w, "min_quantity_w": 0, "step_w": None}
        assert self.market.ask(request_id=request_id, rebound_cap_w=None, **changes).accepted
        for who in self.sites:
            if self.chance.random() < 0.7:
                self._offer(who, request_id, starts_at, ends_at)

    def _offer(self, who: str, request_id: str, starts_at: datetime, ends_at: datetime) -> None:
        power_w = self.chance.randint(5, 60) * MW
        rebound = None
        if self.chance.random() < 0.3:
            latest = ends_at + self.chance.randint(2, 6) * _STEP
            rebound = Rebound(energy_wh=1, peak_w=self.chance.randint(1, 10) * MW, earliest=ends_at, latest=latest)
        flexibility = Flexibility(kind=FlexibilityKind.SHED, workload=Workload.TRAINING, rebound=rebound)
        self.market.offer(
            who,
            power_w,
            str(self.chance.randint(10, 100)),
            request_id=request_id,
            offer_id=f"{who}-{request_id}",
            starts_at=starts_at,
            ends_at=ends_at,
            max_duration_s=86_400,
            min_duration_s=600,
            ramp_down_w_per_min=self.chance.randint(10, 60) * MW,
            ramp_up_w_per_min=self.chance.randint(5, 60) * MW,
            flexibility=flexibility,
            expires_at=utc("23:00"),
        )

    def _answer(self) -> None:
        for tracked in list(self.market.ledger.orders.values()):
            if tracked.state in ORDER_UNANSWERED and (luck := self.chance.random()) > 0.05:
                kind = "REFUSED" if luck < 0.15 else "ACCEPTED"
                if self.market.reply(tracked.order, kind).accepted and kind == "ACCEPTED":
                    self.accepted[tracked.order.order_id] = self.market.now

    def _disturb(self) -> None:
        live = [each for each in self.market.ledger.orders.values() if each.state not in ORDER_OVER]
        running = [each for each in live if each.state is OrderState.ACTIVE]
        kind = self.chance.choice(("trip", "release", "cancel", "release"))
        if kind == "cancel" and self.chance.random() < 0.3:
            self.market.cancel(self.chance.choice(self.asked))
        elif running and kind == "trip":
            tracked = self.chance.choice(running)
            left_w = self.chance.choice([0, tracked.power_w // 2])
            if self.market.reply(tracked.order, "UNAVAILABLE", available_w=left_w).accepted:
                self.tripped.setdefault(tracked.order.order_id, self.market.now)
        elif kind == "release":
            for tracked in self.chance.sample(running, min(len(running), 3)):
                body = ReleaseBody(revision=None, ends_at=None, reason_code="EARLY", reason="")
                self.market.add(
                    commands.ending(self.market.ledger.book, tracked, body, OWNER, self.market.now), OPERATORS_NAME
                )

    def revisions(self) -> dict[str, list[tuple[datetime, DispatchOrder]]]:
        """Every order's revisions as its site was sent them, and when."""
        found: dict[str, list[tuple[datetime, DispatchOrder]]] = {}
        for entry, outcome in self.market.log:
            if isinstance(entry.record, DispatchOrder) and outcome.accepted:
                at = datetime.fromtimestamp(entry.appended_us / 1e6, FIRST.tzinfo)
                found.setdefault(entry.record.order_id, []).append((at, entry.record))
        return found

    def option_of(self, order: DispatchOrder) -> tuple[OfferOption, Rebound | None]:
        """What its site knows of itself."""
        offer = self.market.ledger.offers[order.participant, order.offer_id or ""].offer
        return offer.options[0], offer.flexibility.rebound

    def counts(self) -> dict[str, int]:
        """Of what the day had."""
        orders = self.market.ledger.orders.values()
        rejected = [loser for made in self._clearings() for loser in made.rejected]
        starts = {each.request.request_id: each.request.starts_at for each in self.market.ledger.requests.values()}
        return {
            "orders": len(self.accepted),
            "staggered": sum(
                each.order.order_id in self.accepted and each.order.starts_at > starts[each.order.request_id]
                for each in orders
            ),
            "passed_over": sum(loser.code.startswith("AREA_") for loser in rejected),
            "refused": sum(each.state in (OrderState.REFUSED, OrderState.VOIDED) for each in orders),
            "tripped": len(self.tripped),
        }

    def _clearings(self) -> list[Any]:
        return [made for tracked in self.market.ledger.requests.values() for made in tracked.clearings]
