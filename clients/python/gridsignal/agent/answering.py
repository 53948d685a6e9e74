"""How an order is answered: as the mode says, with what the actuator can hold, by a person where one has to confirm.

Bounded: by who asks for it. When full: an order that the state has no room for is refused. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

import gridsignal
from gridsignal.agent.actuators import ActuatorFailed, Observed
from gridsignal.agent.config import Config, Mode
from gridsignal.agent.confirming import Confirming
from gridsignal.agent.contact import Say
from gridsignal.agent.following import Follower
from gridsignal.agent.kept import Answer, Kept, StateFailed
from gridsignal.agent.offering import possible_w
from gridsignal.agent.orders import ALERT
from gridsignal.agent.words import power
from gridsignal.ids import answer_id
from gridsignal_schemas.messages import DispatchOrder, DispatchRequest

if TYPE_CHECKING:
    from gridsignal.agent.foreseeing import Planner

_POLL = timedelta(seconds=1)
_SOON = timedelta(minutes=15)
"""Who is asked for power so soon gives what runs now."""


class Answers:
    """Answers orders."""

    def __init__(
        self,
        config: Config,
        follower: Follower,
        kept: Kept,
        planner: Planner | None,
        confirming: Confirming | None,
        say: Say,
    ) -> None:
        self._config, self._follower, self._kept, self._planner, self._say = config, follower, kept, planner, say
        self._asking: dict[str, asyncio.Task[None]] = {}
        """By order, who waits for a person."""
        self._confirming = confirming

    async def answer(self, grid: gridsignal.Grid, order: DispatchOrder) -> None:
        """Raises StateFailed where the answer can't be kept: what binds the site has to be asked again."""
        try:
            if self._config.mode in (Mode.ADVISE, Mode.DRY_RUN):
                self._say(f"order {order.order_id}: {power(order.power_w)} by {order.respond_by:%H:%MZ}, not answered")
                return
            await self._decide(grid, order)
        except (gridsignal.Refused, gridsignal.DeadlinePassed) as refused:
            elsewhere = await self._elsewhere(grid, order.order_id)
            self._say(elsewhere or f"order {order.order_id}: the answer was not taken: {refused}")

    def offer_id(self, request: DispatchRequest) -> str:
        """The id of the offer on this revision of a request: the same from every run."""
        old_until, site = self._kept.names_since, self._config.site
        if old_until is not None and request.gate_closure_at < old_until:  # an earlier version may have offered
            return answer_id(request.request_id, request.revision, {"site": site})
        return self._kept.name("offer", site, request.request_id, request.revision)

    async def look_again(self, grid: gridsignal.Grid) -> None:
        """Something was decided: of what was answered elsewhere nobody is asked any more. Raises StateFailed."""
        for name in list(self._asking):
            found = await self._elsewhere(grid, name)
            if found and (asked := self._asking.pop(name, None)) is not None:
                asked.cancel()
                await asyncio.wait([asked])
                self._say(found)

    async def _elsewhere(self, grid: gridsignal.Grid, name: str) -> str:
        """How another program or person of the site has answered it; empty: not so. What they accepted is followed."""
        orders = await grid.orders()
        found = next((each for each in orders if each.order.order_id == name), None)
        if found is None:
            return "" if orders.more else f"order {name}: it is over, and nobody is asked any more"
        if not found.binds:
            return ""
        self._follower.hear(found.order, grid.now(), found.accepted_w)
        return f"order {name}: accepted elsewhere, {power(found.accepted_w or 0)}"

    async def _decide(self, grid: gridsignal.Grid, order: DispatchOrder) -> None:
        name = order.order_id
        try:
            said, who = await self._ask(grid, order) if self._config.mode is Mode.CONFIRM else ("accept", None)
            if said == "accept":
                self._follower.hear(order, grid.now())
        except StateFailed as failed:
            await grid.refuse(order, "NO_STATE", str(failed)[:200])
            self._say(f"order {name}: refused, {failed}")
            return
        if said != "accept":
            if said is None and (elsewhere := await self._elsewhere(grid, name)):
                self._say(elsewhere)
                return
            why = ("REFUSED_BY_PERSON", "a person refused it") if said else ("NO_CONFIRMATION", "nobody confirmed it")
            await grid.refuse(order, *why, actor=who)
            self._say(f"order {name}: refused, {why[1]}")
            return
        held = self._follower.heeding.forbids(order, grid.now(), self._config.orders.apply_s)
        if held is not None:
            await grid.refuse(order, ALERT, f"{held.name}: nothing starts"[:200], actor=who)
            self._say(f"order {name}: refused, {held.name}")
            self._follower.let_go(name, grid.now())
            return
        observed = self._planned(order, grid.now()) or await self.observed(grid)
        watts = 0
        if observed is not None:
            watts = possible_w(order, observed, self._follower.schedule(grid.now(), without=name))
        if not watts or (watts < order.power_w and not self._config.orders.partly):
            await grid.refuse(order, "NOT_POSSIBLE", f"{power(watts)} is possible", actor=who)
            self._say(f"order {name}: refused, {power(watts)} of {power(order.power_w)} is possible")
            self._follower.let_go(name, grid.now())
            return
        await grid.accept(order, None if watts == order.power_w else watts, actor=who)
        self._follower.accept(order, watts, grid.now())

    def _planned(self, order: DispatchOrder, now: datetime) -> Observed | None:
        """What the plan says could be shed then: what runs now says little of an order that begins later."""
        if self._planner is None or order.starts_at - now < _SOON:
            return None
        ladder = self._planner.ladder(order.starts_at, order.ends_at)
        return Observed(0, None, int(ladder[-1].power_w)) if ladder else None

    async def _ask(self, grid: gridsignal.Grid, order: DispatchOrder) -> tuple[Answer, str] | tuple[None, None]:
        """What a person said to the order, and who; None where nobody answered in time."""
        last = order.respond_by - timedelta(seconds=self._config.orders.answer_s)
        said = f"{power(order.power_w)} {order.direction} from {order.starts_at:%Y-%m-%d %H:%MZ}"
        asked = (order.order_id, order.revision)
        self._kept.ask(*asked, said, last)
        self._say(
            f"order {order.order_id}: {said}? Answer by {last:%H:%M:%SZ}: gridsignal agent answer {order.order_id}"
        )
        self._asking[order.order_id] = waiting = cast("asyncio.Task[None]", asyncio.current_task())
        at_address = None
        if self._confirming is not None and self._kept.answered(*asked) is None:
            at_address = asyncio.create_task(self._confirming.ask(order, said, last, grid.clock))
        try:
            while (found := self._kept.answered(*asked)) is None and grid.now() < last:
                await grid.clock.sleep_until(min(last, grid.now() + _POLL))
        except asyncio.CancelledError:
            with suppress(StateFailed):
                if self._kept.answered(*asked) is None:  # else it holds where the same is asked again
                    self._kept.withdraw(*asked)
            raise
        finally:
            if self._asking.get(order.order_id) is waiting:
                del self._asking[order.order_id]
            if at_address is not None:
                at_address.cancel()
                await asyncio.wait([at_address])
        self._kept.withdraw(*asked)
        return found or (None, None)

    async def observed(self, grid: gridsignal.Grid) -> Observed | None:
        """What is in effect; None where the actuator does not answer, which is told."""
        try:
            return await self._follower.observe(grid.now())
        except ActuatorFailed as failed:
            self._say(f"the actuator: {failed}")
            return None
