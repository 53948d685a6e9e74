"""Keeps one line to the gateway open: comes back as the close codes say, moves on a drain, refreshes the token.

A shell: it performs what `backoff` plans and tells the session which connection counts.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from gridsignal.backoff import Backoff, Comeback, after_close, after_status
from gridsignal.effects import Effect
from gridsignal.errors import GridsignalError, Unauthorized
from gridsignal.session import Session
from gridsignal_schemas.frames import Frame

if TYPE_CHECKING:
    from gridsignal.websocket import Ended, Line

_log = logging.getLogger("gridsignal.connection")
_GROWN_UP_S = 10.0  # a connection that lived this long was good: the next failure is a first one again
TokenSource: TypeAlias = str | Callable[[], str | Awaitable[str]]


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


class Tokens:
    """The bearer token: a text that stays, or a function that gets a fresh one."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._token: str | None = source if isinstance(source, str) else None

    @property
    def refreshable(self) -> bool:
        """Whether there can be another one."""
        return not isinstance(self._source, str)

    async def current(self) -> str:
        """The last one; asked for only if there is none yet."""
        return self._token if self._token is not None else await self.fresh()

    async def fresh(self) -> str:
        """Another one from the source. Raises what the source raises, and Unauthorized for a text."""
        if isinstance(self._source, str):
            raise Unauthorized("the token has expired: pass token= a function that returns a fresh one")
        answer = self._source()
        self._token = await answer if inspect.isawaitable(answer) else answer
        return self._token


class Lines:
    """The current line, and the way to the next one."""

    def __init__(
        self,
        url: str,
        tokens: Tokens,
        session: Session,
        limits: Limits,
        *,
        perform: Callable[[list[Effect]], None],
        set_clock: Callable[[Line], None],
        now: Callable[[], datetime],
    ) -> None:
        self.trouble = "no answer"
        self._url, self._tokens, self._session, self._limits = url, tokens, session, limits
        self._backoff = Backoff(limits.retry_first_s, limits.retry_longest_s)
        self._perform, self._set_clock, self._now = perform, set_clock, now
        self._numbers = itertools.count(1)
        self._line: Line | None = None
        self._up = asyncio.Event()
        self._move_after_s: asyncio.Future[float] | None = None
        self._attempt = 0

    async def run(self) -> GridsignalError:
        """Returns the failure that makes coming back pointless; else never."""
        plan = Comeback(0.0)
        async with asyncio.TaskGroup() as tasks:
            while plan.failure is None:
                try:
                    number, line = await self._reach(plan)
                except GridsignalError as failure:
                    return failure
                plan = await self._follow(tasks, number, line)
        return plan.failure

    def send(self, frame: Frame) -> None:
        """To the current line; without one it is not sent, and the session will repeat what matters."""
        if self._line is not None:
            self._line.send(frame)

    def move(self, after_s: float) -> None:
        """The gateway drains."""
        if self._move_after_s is not None and not self._move_after_s.done():
            self._move_after_s.set_result(after_s)

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
        try:
            self._perform(self._session.token(await self._tokens.fresh()))
        except Exception as error:  # the user's function: the boundary of this shell
            _log.warning("the token could not be refreshed: %s", type(error).__name__)

    # --- the way to a line ---------------------------------------------------------------------------------------

    async def _reach(self, plan: Comeback) -> tuple[int, Line]:
        while True:
            opened = await self._try(plan)
            if not isinstance(opened, Comeback):
                return opened
            refused_token = opened.needs_token and not plan.needs_token and self._tokens.refreshable
            if opened.failure is not None and not refused_token:
                raise opened.failure
            plan = opened

    async def _try(self, plan: Comeback) -> tuple[int, Line] | Comeback:
        from gridsignal.websocket import Line, Lost  # the library is loaded when it is first needed

        await asyncio.sleep(plan.delay_s)
        try:
            token = await (self._tokens.fresh() if plan.needs_token else self._tokens.current())
        except GridsignalError:
            raise
        except Exception as error:  # the user's function: the boundary of this shell
            self.trouble = f"the token function failed: {type(error).__name__}"
            _log.warning("%s", self.trouble)
            self._attempt += 1
            delay_s = self._backoff.delay_s(self._attempt, random.random())  # noqa: S311 - jitter
            return Comeback(delay_s, needs_token=True)
        try:
            line = await Line.open(self._url, token, self._session.hello(), timeout_s=self._limits.open_s)
        except Lost as lost:
            return self._planned(lost.ended)
        return next(self._numbers), line

    def _planned(self, ended: Ended) -> Comeback:
        draw = random.random()  # noqa: S311 - jitter, not a secret
        if ended.status is not None:
            plan = after_status(ended.status, ended.retry_after, self._attempt, draw, self._backoff)
            self.trouble = f"HTTP {ended.status}"
        else:
            plan = after_close(ended.code, ended.reason, self._attempt, draw, self._backoff)
            self.trouble = ended.reason or f"closed with {ended.code}"
        self._attempt += 1
        if plan.failure is None:
            _log.info("connection lost (%s), next attempt in %.2f s", self.trouble, plan.delay_s)
        return plan

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
