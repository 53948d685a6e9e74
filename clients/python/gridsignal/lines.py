"""Keeps one line to the gateway open: comes back as the close codes say, moves on a drain, refreshes the token.

A shell: it performs what `backoff` plans and tells the session which connection counts.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from gridsignal.absence import Absence
from gridsignal.addresses import shown
from gridsignal.backoff import TOO_LARGE, Backoff, Comeback, after_close, after_status
from gridsignal.effects import Effect
from gridsignal.errors import GridsignalError, NotEntitled, Unauthorized, UsageError
from gridsignal.route import Route
from gridsignal.session import Session
from gridsignal.tokens import NoToken, Tokens
from gridsignal_schemas.frames import Frame

if TYPE_CHECKING:
    from gridsignal.upgrade import Ended
    from gridsignal.websocket import Line

_log = logging.getLogger("gridsignal.connection")
_GROWN_UP_S = 10.0  # a connection that lived this long was good: the next failure is a first one again


@dataclass(frozen=True, slots=True)
class Limits:
    """Times and sizes that a program can choose; the defaults suit a fleet."""

    queue: int = 1000
    """Messages of one subscription that wait for the program, before the log is left to hold the rest."""
    first_connect_s: float = 10.0
    """How long `connect` tries before it raises Unreachable; later on the SDK tries for ever."""
    open_s: float = 10.0
    """One attempt: TCP, TLS, upgrade, hello, welcome."""
    retry_first_s: float = 0.5
    retry_longest_s: float = 30.0
    """Bounds of the exponential back-off (full jitter)."""
    ping_s: float = 8.0
    dead_after_s: float = 16.0
    """Silence after which a connection is given up."""


class Lines:
    """The current line, and the way to the next one."""

    def __init__(
        self,
        route: Route,
        tokens: Tokens,
        session: Session,
        limits: Limits,
        *,
        perform: Callable[[list[Effect]], None],
        set_clock: Callable[[Line], None],
        now: Callable[[], datetime],
    ) -> None:
        self.trouble = "no answer"
        """Why there is no line, for people."""
        self.failure: GridsignalError | None = None
        """The same as an error, where it is more than nobody answering."""
        self._route, self._tokens, self._session, self._limits = route, tokens, session, limits
        self._backoff = Backoff(limits.retry_first_s, limits.retry_longest_s)
        self._perform, self._set_clock, self._now = perform, set_clock, now
        self._numbers = itertools.count(1)
        self._line: Line | None = None
        self._up = asyncio.Event()
        self._move_after_s: asyncio.Future[float] | None = None
        self._attempt = 0
        self._welcomed = self._refreshing = False
        self._absence = Absence()

    async def run(self) -> GridsignalError:
        """Returns the failure that makes coming back pointless; else never."""
        plan = Comeback(0.0)
        async with asyncio.TaskGroup() as tasks:
            while not plan.final:
                try:
                    number, line = await self._reach(plan)
                except GridsignalError as failure:
                    return failure
                plan = await self._follow(tasks, number, line)
        assert plan.failure is not None
        return plan.failure

    def send(self, frame: Frame) -> None:
        """To the current line; without one it is not sent, and the session will repeat what matters."""
        if self._line is not None:
            self._line.send(frame)

    def move(self, after_s: float) -> None:
        """The gateway drains."""
        if self._move_after_s is not None and not self._move_after_s.done():
            self._move_after_s.set_result(after_s)

    def renew(self) -> None:
        """Drops the current line; the next one measures the time anew, and nothing is lost in between."""
        if self._line is not None:
            self._line.abort()

    async def line(self, after: Line | None = None) -> Line:
        """The current line, as soon as there is one; if `after` is given, another one than that."""
        while self._line is None or self._line is after:
            self._up.clear()
            await self._up.wait()
        return self._line

    async def refresh_token(self) -> None:
        """Shows the gateway a fresh token on the current line; if that fails, the close for it will be followed."""
        if not self._tokens.refreshable:
            _log.warning("the token expires soon and can't be refreshed: pass token= a function")
            return
        if self._refreshing:
            return
        self._refreshing, line, attempt = True, self._line, 0
        try:
            while line is not None and self._line is line:
                try:
                    token = await self._tokens.fresh()
                except (NoToken, GridsignalError) as error:
                    _log.warning("the token could not be refreshed, asking again: %s", error)
                    await asyncio.sleep(self._backoff.delay_s(attempt := attempt + 1, _draw()))
                    continue
                self._perform(self._session.token(token))
                return
        finally:
            self._refreshing = False

    # --- the way to a line ---------------------------------------------------------------------------------------

    async def _reach(self, plan: Comeback) -> tuple[int, Line]:
        while True:
            opened = await self._try(plan)
            if not isinstance(opened, Comeback):
                if (away_s := self._absence.over(asyncio.get_running_loop().time())) is not None:
                    _log.info("connected again after %.1f s", away_s)
                self._welcomed = True
                return opened
            has_another = opened.needs_token and self._tokens.refreshable and (self._welcomed or not plan.needs_token)
            if opened.final and not has_another:
                assert opened.failure is not None
                raise opened.failure
            self.failure = opened.failure
            plan = opened

    async def _try(self, plan: Comeback) -> tuple[int, Line] | Comeback:
        from gridsignal.upgrade import Lost  # the library is loaded when it is first needed
        from gridsignal.websocket import Line

        await asyncio.sleep(plan.delay_s)
        try:
            token = await (self._tokens.fresh() if plan.needs_token else self._tokens.current())
        except NoToken as error:
            return self._again(str(error))
        except UsageError as error:
            if not self._welcomed:
                raise
            return self._again(str(error))  # a file that is being written, a provider's bad minute
        try:
            line = await Line.open(self._route, token, self._session.hello(), timeout_s=self._limits.open_s)
        except Lost as lost:
            return self._planned(lost.ended)
        return next(self._numbers), line

    def _again(self, trouble: str) -> Comeback:
        """The token function is asked again."""
        self.trouble = trouble
        plan = Comeback(self._backoff.delay_s(self._attempt, _draw()), needs_token=True)
        self._attempt += 1
        self._note(unusual=True)
        return plan

    def _planned(self, ended: Ended) -> Comeback:
        """What follows from an end, after a first welcome or before it."""
        if ended.fault is not None:
            # never healed by waiting, unless it is the fault of something in front of a gateway that once was there
            self.trouble = str(ended.fault)
            plan = Comeback(
                self._backoff.delay_s(self._attempt, _draw()), failure=ended.fault, final=not self._welcomed
            )
        elif ended.status is not None:
            plan = self._after_status(ended)
        else:
            plan = after_close(ended.code, ended.reason, self._attempt, _draw(), self._backoff)
            self.trouble = ended.reason or f"closed with {ended.code}"
        if plan.failure is not None and (failure := self._explained(plan.failure, ended)) is not None:
            plan = replace(plan, failure=failure)
        self._attempt += 1
        if not plan.final:
            self._note(unusual=ended.status is not None or ended.fault is not None)
        return plan

    def _explained(self, failure: GridsignalError, ended: Ended) -> GridsignalError | None:
        """The failure with what is known of the token; None where that explains nothing."""
        if ended.status == TOO_LARGE:
            return Unauthorized(f"{failure}: it has {self._tokens.size} characters")
        if isinstance(failure, Unauthorized) and (expired := self._tokens.expired):
            return Unauthorized(f"the gateway does not take the token: {expired}")
        if isinstance(failure, NotEntitled):
            site = "no site" if self._session.site is None else f"site {self._session.site!r}"
            return NotEntitled(f"{failure}; asked for {site} with {self._tokens.owner or 'a token'}")
        return None

    def _after_status(self, ended: Ended) -> Comeback:
        assert ended.status is not None
        plan = after_status(
            ended.status,
            ended.retry_after,
            self._attempt,
            _draw(),
            self._backoff,
            marked=ended.marked,
            welcomed=self._welcomed,
        )
        self.trouble = f"HTTP {ended.status}"
        if ended.location is not None and plan.failure is not None:
            self.trouble += f", a redirect to {shown(ended.location)}"
            plan = replace(plan, failure=UsageError(f"{plan.failure}: it redirects to {shown(ended.location)}"))
        if plan.needs_token and not self._tokens.refreshable:
            return replace(plan, needs_token=False)
        return plan

    def _note(self, *, unusual: bool) -> None:
        level, away_s = self._absence.noted(self.trouble, asyncio.get_running_loop().time(), unusual=unusual)
        _log.log(level, "no connection for %.0f s (%s), trying again", away_s, self.trouble)

    # --- a line's life -------------------------------------------------------------------------------------------

    async def _follow(self, tasks: asyncio.TaskGroup, number: int, line: Line) -> Comeback:
        """Reads a line to its end, and moves on to the next one where the gateway drains."""
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            self._begin(number, line)
            self._move_after_s = loop.create_future()
            reading = tasks.create_task(self._hear(number, line))
            moving = tasks.create_task(self._next(self._move_after_s))
            await asyncio.wait({reading, moving}, return_when=asyncio.FIRST_COMPLETED)
            if loop.time() - began_s >= _GROWN_UP_S:
                self._attempt = 0
            if moving.done():
                number, line = moving.result()
                reading.cancel()  # says goodbye on the old line; the session stops listening to it in `_begin`
                continue
            moving.cancel()
            self._line = None
            plan = self._planned(reading.result())
            self._session.lost(number, resume=plan.resume)
            return plan

    def _begin(self, number: int, line: Line) -> None:
        self._set_clock(line)
        self._line = line
        self._perform(self._session.begin(number, line.welcome, self._now()))
        self._up.set()

    async def _hear(self, number: int, line: Line) -> Ended:
        try:
            return await line.run(
                lambda frame: self._perform(self._session.receive(number, frame, self._now())),
                ping_s=min(line.welcome.ping_s, self._limits.ping_s),
                dead_after_s=self._limits.dead_after_s,
            )
        finally:
            await line.close()

    async def _next(self, move_after_s: asyncio.Future[float]) -> tuple[int, Line]:
        await asyncio.sleep(await move_after_s)
        try:
            return await self._reach(Comeback(0.0))
        except GridsignalError as failure:
            _log.warning("the gateway drains and its successor can't be reached: %s", failure)
            await asyncio.get_running_loop().create_future()  # the old line lives on until it is closed
            raise


def _draw() -> float:
    return random.random()  # noqa: S311 - jitter, not a secret
