"""Performs what the session decides: with the outbox, the lines, the clock and the user's queues.

A shell with one task, held by `running()`, that owns all others.

Bounded: callers that wait (each holds one entry of the outbox), subscriptions, one timer for each retry under way.
When full: a caller waits. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gridsignal import effects
from gridsignal.clock import Clock, GatewayClock, skew
from gridsignal.effects import Effect
from gridsignal.errors import GridClosed, GridsignalError, Unreachable
from gridsignal.feed import Feed
from gridsignal.homeloop import HomeLoop
from gridsignal.lines import Limits, Lines
from gridsignal.outbox import Outbox
from gridsignal.post import Post
from gridsignal.route import Route
from gridsignal.session import Session
from gridsignal.subscription import Subscription, leave_later
from gridsignal.tokens import Tokens
from gridsignal.window import Retry, Settled
from gridsignal_schemas.frames import States

if TYPE_CHECKING:
    from gridsignal.websocket import Line

_log = logging.getLogger("gridsignal")
_LEAVE_S = 5.0  # a goodbye that can't be sent, a token function deaf to its end: nobody waits longer for them


class Wiring:
    """Everything of one grid that runs."""

    def __init__(
        self,
        route: Route,
        tokens: Tokens,
        outbox: Outbox,
        limits: Limits,
        *,
        client: str,
        site: str | None,
        instance: str | None,
        clock: Clock | None,
    ) -> None:
        self.site = site
        self._told_clock = GatewayClock()
        self.clock: Clock = clock or self._told_clock
        self._limits = limits
        self._session = Session(client, site=site, instance=instance)
        self.post = Post(
            outbox,
            self._session,
            self.clock,
            actor=instance,
            perform=self._perform,
            tasks=self._running,
        )
        self._lines = Lines(
            route,
            tokens,
            self._session,
            limits,
            perform=self._perform,
            set_clock=self._set_clock,
            now=self.clock.now,
        )
        self._home = HomeLoop()
        self._tasks: asyncio.TaskGroup | None = None
        self._failure: GridsignalError | None = None
        self._failed = asyncio.Event()
        self._answers: dict[int, asyncio.Future[States]] = {}  # by number
        self._subscriptions: dict[Feed, weakref.ref[Subscription]] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._activity = 0
        self._quieter = asyncio.Event()

    # --- life ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connects, keeps everything running, and ends it. Raises what makes the first connection fail."""
        self._home.settle()
        async with self.post:
            task = asyncio.create_task(self._run())
            try:
                await self._connected()
                yield
            finally:
                self._fail(GridClosed("the grid was closed"))
                task.cancel()
                await asyncio.wait({task}, timeout=_LEAVE_S)
                if task.done() and not task.cancelled():
                    task.result()  # a fault of ours is not kept to ourselves

    async def _connected(self) -> None:
        try:
            async with asyncio.timeout(self._limits.first_connect_s):
                await self._line()
        except TimeoutError as error:
            no_gateway = f"no gateway within {self._limits.first_connect_s:g} s: {self._lines.trouble}"
            raise (self._lines.failure or Unreachable(no_gateway)) from error

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._tasks:
                watch = self._tasks.create_task(self._told_clock.watch(self._lines.renew))
                self._fail(await self._lines.run())
                watch.cancel()
        finally:
            self._fail(GridClosed("the grid was closed"))
            for timer in self._timers:
                timer.cancel()

    def _fail(self, failure: GridsignalError) -> None:
        if self._failure is not None:
            return
        self._failure = failure
        self._failed.set()
        self._quieter.set()
        self.post.fail(failure)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(failure)
        for subscription in {ref() for ref in self._subscriptions.values()}:
            if subscription is not None:
                subscription.end(None if isinstance(failure, GridClosed) else failure)

    def _running(self) -> asyncio.TaskGroup:
        self._home.check()
        if self._failure is not None:
            raise self._failure
        assert self._tasks is not None
        return self._tasks

    async def _line(self, *, after: Line | None = None) -> Line:
        """The current line, or the one after that; or the failure that there will be none."""
        line = asyncio.ensure_future(self._lines.line(after))
        failed = asyncio.ensure_future(self._failed.wait())
        try:
            await asyncio.wait({line, failed}, return_when=asyncio.FIRST_COMPLETED)
            if self._failure is not None:
                raise self._failure
            return line.result()
        finally:
            line.cancel()
            failed.cancel()

    # --- what the user wants -------------------------------------------------------------------------------------

    def subscribe(self, feeds: list[Feed], *, limit: int) -> Subscription:
        """Starts the wire subscriptions of one iterator."""
        self._running()
        subscription = Subscription(
            feeds,
            limit=limit,
            park=lambda feed: self._perform(self._session.park(feed)),
            unpark=lambda feed: self._perform(self._session.unpark(feed)),
            leave=self._leave,
            idle=self._quieter.set,
            at_home=self._home.check,
        )
        begun: list[Feed] = []
        for feed in feeds:
            try:
                asked = self._session.subscribe(feed)
            except GridsignalError:
                self._leave(begun)
                raise
            self._subscriptions[feed] = weakref.ref(subscription)
            begun.append(feed)
            self._perform(asked)
        loop = asyncio.get_running_loop()
        # an iterator nobody holds any more (`break` out of the loop) ends its wire subscriptions
        weakref.finalize(subscription, leave_later, loop, self._leave, list(feeds)).atexit = False
        return subscription

    async def query(
        self,
        offers: Sequence[str] = (),
        orders: Sequence[str] = (),
        responses: Sequence[str] = (),
        *,
        live: bool = False,
    ) -> States:
        """Asks where things stand, again after a reconnect, until there is an answer."""
        self._running()
        number, asked = self._session.query(offers, orders, responses, live)
        answer: asyncio.Future[States] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._perform(asked)
        try:
            return await answer
        finally:
            del self._answers[number]
            self._session.forget_query(number)

    async def ping(self) -> None:
        """Returns when a pong has come, on whichever line."""
        self._running()
        line = await self._line()
        while not await line.ping():
            line = await self._line(after=line)

    async def settled(self) -> None:
        """Returns when two pings in a row found nothing to do."""
        self._running()
        while True:
            self._quieter.clear()
            if self._failure is not None:
                raise self._failure
            if not self._quiet():
                await self._quieter.wait()
                continue
            before = self._activity
            await self.ping()
            if self._quiet() and self._activity == before:
                return

    def _quiet(self) -> bool:
        readers = [reader for ref in self._subscriptions.values() if (reader := ref()) is not None]
        return self.post.empty and self._session.settled and all(reader.waiting for reader in readers)

    def _leave(self, feeds: list[Feed]) -> None:
        for feed in feeds:
            self._subscriptions.pop(feed, None)
            self._perform(self._session.unsubscribe(feed))
        self._quieter.set()

    # --- what the session decides --------------------------------------------------------------------------------

    def _perform(self, steps: Sequence[Effect]) -> None:
        for step in steps:
            self._do(step)
        self._quieter.set()

    def _do(self, step: Effect) -> None:
        match step:
            case effects.Send(frame):
                self._lines.send(frame)
            case effects.Hand(feed, handed):
                self._activity += 1
                if (reader := self._reader(feed)) is not None:
                    reader.put(feed, handed)
            case effects.Stop(feed, error):
                if (reader := self._reader(feed)) is not None:
                    reader.end(error)
            case Settled():
                self._activity += 1
                self.post.settle(step)
            case effects.Answered(number, answer):
                self._answer(number, answer)
            case effects.Acknowledge(order):
                self._activity += 1
                self._running().create_task(self.post.acknowledge(order))
            case Retry(after_s, seq):
                self._after(after_s, lambda: self._session.again(seq, self.clock.now()))
            case effects.RetryFeed(after_s, feed):
                self._after(after_s, lambda: self._session.subscribe_again(feed))
            case effects.Move(after_s):
                self._lines.move(after_s)
            case effects.RefreshToken():
                self._running().create_task(self._lines.refresh_token())
            case effects.Welcomed():
                pass  # the clock was set before

    def _reader(self, feed: Feed) -> Subscription | None:
        ref = self._subscriptions.get(feed)
        return ref() if ref is not None else None

    def _answer(self, number: int, answer: States | GridsignalError) -> None:
        waiting = self._answers.get(number)
        if waiting is None or waiting.done():
            return
        if isinstance(answer, States):
            waiting.set_result(answer)
        else:
            waiting.set_exception(answer)

    def _after(self, after_s: float, decide: Callable[[], list[Effect]]) -> None:
        def due() -> None:
            self._timers.discard(timer)
            self._perform(decide())

        timer = asyncio.get_running_loop().call_later(after_s, due)
        self._timers.add(timer)

    def _set_clock(self, line: Line) -> None:
        ahead = skew(line.asked_at, line.welcome.time, line.welcomed_at)
        self._told_clock.welcomed(line.welcome.grid_clock, ahead)
