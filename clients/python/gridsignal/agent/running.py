"""The agent's loop: hears the grid, offers, answers orders, has them followed, reports what the actuator and the meter
say of it, declares the baseline and hands on readings. All by the SDK's public calls.

Orders in hand go on without the grid: what was accepted is held to its end and given back then. Stopped at any moment,
the next run reads what is in effect, asks the log what binds it, and goes on.

Bounded: one task for each order that is being answered; orders by the state. When full: a further order is refused.
Conflates: looks that were missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import gridsignal
from gridsignal.agent.answering import Answers
from gridsignal.agent.bidding import Bidding
from gridsignal.agent.config import Config, Mode
from gridsignal.agent.contact import Say
from gridsignal.agent.following import Follower
from gridsignal.agent.headroom import Headroom, headroom
from gridsignal.agent.kept import StateFailed
from gridsignal.agent.metrics import page, served
from gridsignal.agent.offering import Promise
from gridsignal.agent.orders import Due
from gridsignal.agent.reporting import Readings, declared
from gridsignal.agent.standing import StandingBy
from gridsignal.agent.words import counted
from gridsignal.clock import Clock
from gridsignal_schemas.messages import (
    Decision,
    DispatchOrder,
    DispatchRequest,
    OfferDecision,
    OrderState,
)
from gridsignal_schemas.rules.lifecycle import ORDER_UNANSWERED

if TYPE_CHECKING:
    from gridsignal.agent.foreseeing import Planner

Connect = Callable[[], AbstractAsyncContextManager[gridsignal.Grid]]
_BINDING = (OrderState.ACCEPTED, OrderState.ACTIVE, OrderState.SUSTAINING)
_ALONE_S = 10.0
"""How long a start waits for the grid's clock before orders in hand are followed by this machine's."""
_AGAIN_S = 30.0
_PING_S = 30.0
_PINGS = 4
"""In a heartbeat, at least: two that are lost are no lost contact."""
_TROUBLES = (gridsignal.ConnectionFailed, gridsignal.Refused, gridsignal.OutboxFailed, StateFailed)
"""What ends a conversation, and no order in hand."""


class SiteAgent:
    """One site's agent; `run` is its life."""

    def __init__(
        self,
        config: Config,
        connect: Connect,
        follower: Follower,
        answers: Answers,
        readings: Readings | None,
        planner: Planner | None,
        standing: StandingBy | None,
        say: Say,
        clock: Clock,
    ) -> None:
        self._config, self._connect, self._follower, self._answers = config, connect, follower, answers
        self._readings, self._planner, self._say, self._clock = readings, planner, say, clock
        self._standing = standing
        self._connected = asyncio.Event()
        self._grid: gridsignal.Grid | None = None
        """The grid while it is conversed with."""
        self._bidding = Bidding(config, answers, planner, self._stands_w, say)
        self._answering: dict[str, asyncio.Task[None]] = {}
        self._refused: set[tuple[str, int, str]] = set()
        """Reports that the grid did not take of this revision of an order."""

    def now(self) -> datetime:
        """Grid time; that of a clock of its own while the grid has not been reached."""
        return self._clock.now()

    async def run(self) -> None:
        """Until it is cancelled. Raises what no time heals, unless orders are in hand."""
        try:
            async with self._shown():
                await self._live()
        finally:
            await self._follower.aclose()

    @asynccontextmanager
    async def _shown(self) -> AsyncIterator[None]:
        if (table := self._config.metrics) is None:
            yield
            return
        async with served(table.host, table.port, self.metrics) as port:
            self._say(f"metrics: http://{table.host}:{port}/metrics")
            yield

    def metrics(self) -> str:
        """How the agent does, in Prometheus' text format."""
        return page(self._follower, self._config.mode, self.headroom(), self.now())

    def headroom(self) -> list[Headroom]:
        """What could still be shed beside orders and what is offered for them."""
        now, offers, seen = self.now(), self._config.offers, self._follower.seen
        most_w, longest_s = (None, None) if offers is None else (offers.most_w, offers.longest_s)
        observed = None if seen is None else seen.observed
        planned = [] if self._planner is None else self._planner.headroom
        beside = self._follower.schedule(now)
        if self._follower.heeding.holds(now) is not None:
            most_w = 0  # nothing starts
        return headroom(observed, beside, now, most_w=most_w, longest_s=longest_s, planned=planned)

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._listen_for_silence())
            while True:
                try:
                    async with self._connect() as grid:
                        await self._converse(grid)
                except* _TROUBLES as failed:
                    troubles = list(_leaves(failed))
                    if not self._follower.orders and not all(_heals(each) for each in troubles):
                        raise
                    if any(isinstance(each, gridsignal.Refused | StateFailed) for each in troubles):
                        self._hear_from_grid()  # a refusal is an answer, too
                    self._say(f"{troubles[0]}; orders in hand go on, and the grid is tried again in {_AGAIN_S:g} s")
                await self._clock.sleep_until(self.now() + timedelta(seconds=_AGAIN_S))

    # --- following orders, with or without the grid --------------------------------------------------------------

    async def _follow(self) -> None:
        await self._wait_for(self._connected, self.now() + timedelta(seconds=_ALONE_S))
        while True:
            self._follower.changed.clear()
            now = self.now()
            try:
                changes_at = await self._follower.look(now)
            except StateFailed as failed:
                self._say(str(failed))
                changes_at = None
            soon = now + timedelta(seconds=self._config.orders.look_s)
            await self._wait_for(self._follower.changed, min(soon, changes_at or soon))

    async def _wait_for(self, event: asyncio.Event, when: datetime) -> None:
        """Until it has happened, or until then."""
        waiting = [
            asyncio.create_task(event.wait()),
            asyncio.create_task(self._clock.sleep_until(when)),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    # --- conversing with the grid --------------------------------------------------------------------------------

    async def _converse(self, grid: gridsignal.Grid) -> None:
        before, self._clock = self.now(), grid.clock
        self._follower.contact.other_clock(before, self.now())
        alerts = None
        if self._config.mode is not Mode.DRY_RUN:  # who hears them says so
            alerts = await self._follower.heeding.take_up(grid)
        await self._take_up(grid)
        self._connected.set()
        self._hear_from_grid()
        self._grid = grid
        try:
            await self._listen(grid, alerts)
        finally:
            self._grid = None

    async def _listen(self, grid: gridsignal.Grid, alerts: gridsignal.Subscription | None) -> None:
        async with asyncio.TaskGroup() as tasks:
            if alerts is not None:
                tasks.create_task(self._follower.heeding.run(grid, alerts))
            if self._config.mode is not Mode.DRY_RUN:
                tasks.create_task(self._report(grid))
                if self._readings is not None:
                    tasks.create_task(self._readings.run(grid))
                if self._config.baseline is not None:
                    tasks.create_task(declared(grid, self._config.baseline, self._say))
            if self._standing is not None:
                tasks.create_task(self._stand_by(self._standing, grid))
            if self._planner is not None:
                declares = self._config.mode is not Mode.DRY_RUN
                tasks.create_task(self._planner.run(grid, self._taken, declares=declares))
            async for signal in grid.subscribe("dispatch"):
                self._hear(grid, tasks, signal)

    async def _take_up(self, grid: gridsignal.Grid) -> None:
        """What the log says binds the site; orders it does not know any more are let go of."""
        orders = await grid.orders()
        known = {status.order.order_id for status in orders}
        for status in orders:
            if status.binds:
                self._follower.hear(status.order, grid.now(), status.accepted_w)
        for name in [] if orders.more else list(self._follower.orders):
            if name not in known:
                self._follower.let_go(name, grid.now())
        binding = counted(sum(status.binds for status in orders), "order binds", "orders bind")
        self._say(f"the grid is reached: {binding} the site")
        self._bidding.take_up(await grid.offers())

    def _hear(self, grid: gridsignal.Grid, tasks: asyncio.TaskGroup, signal: gridsignal.Message) -> None:
        if isinstance(signal, OfferDecision) and signal.decision in (Decision.AWARDED, Decision.FAILED_AWARD):
            tasks.create_task(self._answers.look_again(grid))  # its order was answered, and maybe not by this program
        if self._bidding.hear(signal):
            tasks.create_task(self._bidding.look_again(grid))
        try:
            match signal:
                case DispatchRequest() as request:
                    tasks.create_task(self._bidding.offer(grid, request))
                case DispatchOrder(state=state) as order if state in ORDER_UNANSWERED:
                    self._ask_no_more(order.order_id)  # it was about an earlier revision
                    self._answering[order.order_id] = tasks.create_task(self._answer(grid, order))
                case DispatchOrder(state=state, order_id=name) as order:
                    self._follower.hear(order, grid.now())
                    if state not in _BINDING:
                        self._ask_no_more(name)
                case gridsignal.OrderOver(order=order):
                    self._ask_no_more(order.order_id)
                    self._follower.let_go(order.order_id, grid.now())
                case OfferDecision(request_id=None) as decided if self._standing is not None:
                    self._standing.hear(decided)
                case _:
                    pass
        except StateFailed as failed:
            self._say(str(failed))

    async def _stand_by(self, standing: StandingBy, grid: gridsignal.Grid) -> None:
        await self._follower.looked.wait()  # before that nobody knows what there is
        await standing.run(grid, self._bound)

    def _stands_w(self, now: datetime) -> int:
        """What the standing offer has of the site."""
        return 0 if self._standing is None else self._standing.promised_w(now)

    def _bound(self) -> list[Promise]:
        """What stands in offers on requests, and in orders beside these; dry runs move nothing."""
        offered = list(self._bidding.promised)
        requests = {each.request_id for each in offered}
        beside = [
            Promise(each.order.starts_at, each.order.ends_at, each.binds_w or each.order.power_w)
            for each in self._follower.orders.values()
            if each.order.request_id not in requests and each.order.moves_power
        ]
        return [each for each in offered if not each.is_dry] + beside

    def _taken(self) -> list[tuple[datetime, datetime | None]]:
        """Periods in which the baseline stays what it was: those of orders, and of what is offered."""
        orders = [(each.order.starts_at, each.order.ends_at) for each in self._follower.orders.values()]
        return orders + [(each.starts_at, each.ends_at) for each in self._bidding.promised]

    def _ask_no_more(self, order_id: str) -> None:
        if (asked := self._answering.get(order_id)) is not None:
            asked.cancel()

    async def _listen_for_silence(self) -> None:
        """Whatever keeps the grid from being heard: no line, no connection at all, a conversation that failed."""
        ping_s = min(_PING_S, self._config.failsafe.heartbeat_s / _PINGS)
        while True:
            if (grid := self._grid) is not None:
                with suppress(TimeoutError, gridsignal.GridsignalError):
                    async with asyncio.timeout(ping_s):
                        await grid.ping()
                    self._hear_from_grid()
            if self._follower.contact.look(self.now()):
                self._follower.changed.set()
            await self._clock.sleep_until(self.now() + timedelta(seconds=ping_s))

    def _hear_from_grid(self) -> None:
        self._follower.contact.heard(self.now())
        self._follower.changed.set()

    # --- answers ------------------------------------------------------------------------------------------------------

    async def _answer(self, grid: gridsignal.Grid, order: DispatchOrder) -> None:
        try:
            await self._answers.answer(grid, order)
        finally:
            if self._answering.get(order.order_id) is asyncio.current_task():
                del self._answering[order.order_id]

    # --- reports -------------------------------------------------------------------------------------------------

    def _owed(self) -> list[tuple[DispatchOrder, Due]]:
        found = ((followed.order, report) for followed, report in self._follower.reports())
        return [each for each in found if (each[0].order_id, each[0].revision, each[1].report) not in self._refused]

    async def _report(self, grid: gridsignal.Grid) -> None:
        """Tells the grid what it does not know yet; what is on disk says what that is, after a restart too."""
        while True:
            self._follower.owed.clear()
            self._refused = {each for each in self._refused if each[0] in self._follower.orders}
            for order, report in self._owed():
                said = {"reason_code": report.reason_code, "reason": report.reason}
                try:
                    await grid.report(order, report.report, available_w=report.available_w, **said)
                    self._follower.reported(order.order_id, report, grid.now())
                except gridsignal.TooEarly:
                    await grid.clock.sleep_until(order.starts_at)
                except gridsignal.Refused as refused:
                    self._refused.add((order.order_id, order.revision, report.report))
                    self._say(f"order {order.order_id}: {report.report} was not taken: {refused}")
                    if report.report == "COMPLETED":
                        self._follower.let_go(order.order_id, grid.now())
                except StateFailed as failed:
                    self._say(str(failed))
                    await grid.clock.sleep_until(grid.now() + timedelta(seconds=self._config.orders.look_s))
            if not self._owed():
                await self._follower.owed.wait()


def _heals(trouble: gridsignal.GridsignalError) -> bool:
    """Whether time may heal it: a disk, too, has room again."""
    return trouble.retriable or isinstance(trouble, StateFailed)


def _leaves(group: BaseExceptionGroup[gridsignal.GridsignalError]) -> Iterator[gridsignal.GridsignalError]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each
