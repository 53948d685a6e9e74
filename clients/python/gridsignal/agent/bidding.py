"""Offers on requests of the site's own zone, and the power that stands in them.

Only what stands takes room: an offer that is refused, rejected or over frees it at once, and requests that found none
are looked at again.
Bounded: one offer on each request that is open; MOST_PASSED requests that found no room. When full: the oldest of these
is forgotten. Conflates: nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import gridsignal
from gridsignal.agent.answering import Answers
from gridsignal.agent.config import Config, Mode, Offers
from gridsignal.agent.contact import Say
from gridsignal.agent.offering import Promise, Proposal, price_on, proposed, too_dear
from gridsignal.agent.words import power
from gridsignal_schemas.messages import (
    Decision,
    DispatchOrder,
    DispatchRequest,
    Flexibility,
    FlexibilityKind,
    OfferDecision,
    RequestCancellation,
    RunMode,
)
from gridsignal_schemas.rules.lifecycle import ORDER_OVER

if TYPE_CHECKING:
    from gridsignal.agent.foreseeing import Planner

MOST_PASSED = 64
_LOST = (
    Decision.REJECTED,
    Decision.NOT_SELECTED,
    Decision.RELEASED,
    Decision.EXPIRED,
    Decision.FAILED_AWARD,
    Decision.WITHDRAWN,
)
_NO_OFFER = (gridsignal.DeadlinePassed, gridsignal.Refused, gridsignal.UsageError, gridsignal.OutboxFailed)


class Bidding:
    """Offers, and knows what it has offered."""

    def __init__(
        self, config: Config, answers: Answers, planner: Planner | None, stands_w: Callable[[datetime], int], say: Say
    ) -> None:
        """`stands_w`: what a standing offer has of the site."""
        self._config, self._answers, self._planner, self._say = config, answers, planner, say
        self._stands_w = stands_w
        self._promised: dict[str, Promise] = {}
        """By offer."""
        self._unlogged: set[str] = set()
        """Offers that the log may not have yet: the outbox sends them."""
        self._passed: dict[str, tuple[DispatchRequest, str]] = {}
        """By request, what found no room, and what was said of it."""

    @property
    def promised(self) -> Collection[Promise]:
        """What stands in offers on requests."""
        return self._promised.values()

    def take_up(self, standing: gridsignal.Listing[gridsignal.OfferStatus]) -> None:
        """What the log says of the site's offers; those that it does not know any more hold nothing."""
        listed = {each.offer.offer_id for each in standing}
        self._unlogged = {name for name in self._unlogged - listed if name in self._promised}
        if not standing.more:
            kept = listed | self._unlogged
            self._promised = {name: each for name, each in self._promised.items() if name in kept}
        for each in standing:
            if each.offer.request_id is not None:
                option, watts = each.offer.options[0], each.awarded_w or each.offer.options[0].power_w
                promise = Promise(option.starts_at, option.ends_at, watts, each.offer.request_id)
                self._promised[each.offer.offer_id] = promise

    def hear(self, signal: gridsignal.Message) -> bool:
        """Something of what is offered has become of it; whether that leaves more room than before."""
        match signal:
            case OfferDecision(decision=Decision.AWARDED, offer_id=name, power_w=int(watts)) if name in self._promised:
                before = self._promised[name]
                self._promised[name] = replace(before, watts=watts)
                return watts < before.watts
            case OfferDecision(decision=decision, offer_id=name) if decision in _LOST:
                return self._let_go(name)
            case gridsignal.OrderOver(order=order):
                return self._let_go(order.offer_id)
            case DispatchOrder(state=state, offer_id=name) if state in ORDER_OVER:
                return self._let_go(name)
            case RequestCancellation(request_id=request_id):
                self._passed.pop(request_id, None)
                on_it = [name for name, each in self._promised.items() if each.request_id == request_id]
                return bool([name for name in on_it if self._let_go(name)])
            case _:
                return False

    def _let_go(self, offer_id: str | None) -> bool:
        return self._promised.pop(offer_id or "", None) is not None

    async def look_again(self, grid: gridsignal.Grid) -> None:
        """There is room again: maybe for what found none."""
        for request, _ in list(self._passed.values()):
            await self.offer(grid, request)

    async def offer(self, grid: gridsignal.Grid, request: DispatchRequest) -> None:
        """An offer on a request; the same from every run, for its id follows from the request."""
        offers, now = self._config.offers, grid.now()
        if offers is None or grid.zone not in (None, request.zone):
            return
        self._promised = {
            name: each for name, each in self._promised.items() if each.ends_at is None or now < each.ends_at
        }
        if self._is_offered(request):
            return
        found = await self._proposal(grid, request, offers)
        if found is None or self._is_offered(request):
            return
        proposal, price = found
        if not proposal.watts:
            self._pass(request, proposal)
            return
        self._passed.pop(request.request_id, None)
        what = f"{power(proposal.watts)} at {price} {offers.currency}/MWh"
        if self._config.mode in (Mode.ADVISE, Mode.DRY_RUN):
            self._say(f"request {request.request_id}: would offer {what}")
            return
        if not await self._send(grid, request, proposal.watts, price, what):
            await self.look_again(grid)

    async def _send(
        self, grid: gridsignal.Grid, request: DispatchRequest, watts: int, price: Decimal, what: str
    ) -> bool:
        """Whether it stands."""
        assert self._config.offers is not None
        name = self._answers.offer_id(request)
        shed = Flexibility(kind=FlexibilityKind.SHED, workload=self._config.offers.workload)
        is_dry = request.run_mode is RunMode.DRY_RUN
        self._promised[name] = Promise(request.starts_at, request.ends_at, watts, request.request_id, is_dry)
        self._unlogged.add(name)
        try:
            await grid.offer(request, watts, price, offer_id=name, flexibility=shed)
            self._say(f"request {request.request_id}: offered {what}")
        except gridsignal.Conflict:
            self._say(f"request {request.request_id}: an earlier run has offered")
        except _NO_OFFER as refused:
            self._promised.pop(name, None)
            self._say(f"request {request.request_id}: no offer: {refused}")
        self._unlogged.discard(name)
        return name in self._promised

    def _is_offered(self, request: DispatchRequest) -> bool:
        """Whether an offer on it stands; what the log told of that does not say whether it moves power."""
        on_it = [name for name, each in self._promised.items() if each.request_id == request.request_id]
        for name in on_it:
            self._promised[name] = replace(self._promised[name], is_dry=request.run_mode is RunMode.DRY_RUN)
        return bool(on_it)

    def _pass(self, request: DispatchRequest, proposal: Proposal) -> None:
        """Nothing is offered on it, unless there is more room later."""
        _, told = self._passed.pop(request.request_id, (request, ""))
        if proposal.lacks_room:
            self._passed[request.request_id] = (request, proposal.why_not)
            while len(self._passed) > MOST_PASSED:
                del self._passed[next(iter(self._passed))]
        if proposal.why_not != told:
            self._say(f"request {request.request_id}: no offer, {proposal.why_not}")

    async def _proposal(
        self, grid: gridsignal.Grid, request: DispatchRequest, offers: Offers
    ) -> tuple[Proposal, Decimal] | None:
        """What is offered, and at which price: by the plan's ladder, else what the actuator has room for."""
        price = offers.price_per_mwh
        if self._planner is not None:
            ladder = self._planner.ladder(request.starts_at, request.ends_at)
            top_w = max(0, (int(ladder[-1].power_w) if ladder else 0) - self._stands_w(grid.now()))
            proposal = proposed(request, offers, self.promised, top_w, grid.now())
            price = price_on(((each.power_w, each.price_per_mwh) for each in ladder), proposal.watts, offers)
        else:
            observed = await self._answers.observed(grid)
            if observed is None:
                return None
            stands_w = self._stands_w(grid.now())
            room_w = None if observed.room_w is None else max(0, observed.room_w - stands_w)
            proposal = proposed(request, offers, self.promised, room_w, grid.now())
        if proposal.watts and (why_not := too_dear(request, price)):
            return Proposal(0, why_not), price
        return proposal, price
