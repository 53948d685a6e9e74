"""Keeps one line to the gateway open: comes back as the protocol plans, moves on a drain, refreshes the token.

A shell: it owns the sockets, the token and the waiting; what follows from an end is `comeback`'s to say.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridsignal.absence import Absence
from gridsignal.addresses import shown
from gridsignal.errors import GridsignalError, NotEntitled, Unauthorized, UsageError
from gridsignal.outcomes import failure_of
from gridsignal.route import Route
from gridsignal.shell import Shell
from gridsignal.tokens import NoToken, Tokens
from gridsignal_protocol.comeback import TOO_LARGE, Backoff, Plan, Returning

if TYPE_CHECKING:
    from gridsignal.upgrade import Ended
    from gridsignal.websocket import Line

_log = logging.getLogger("gridsignal.connection")


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

    def __init__(self, route: Route, tokens: Tokens, shell: Shell, limits: Limits) -> None:
        self.trouble = "no answer"
        """Why there is no line, for people."""
        self.failure: GridsignalError | None = None
        """The same as an error, where it is more than nobody answering."""
        self._route, self._tokens, self._shell, self._limits = route, tokens, shell, limits
        self._backoff = Backoff(limits.retry_first_s, limits.retry_longest_s)
        self._returning = Returning(self._backoff, has_tokens=tokens.refreshable)
        self._absence = Absence()

    async def run(self) -> GridsignalError:
        """Returns the failure that makes coming back pointless; else never."""
        plan = Plan()
        async with asyncio.TaskGroup() as tasks:
            refreshing = tasks.create_task(self._refresh_tokens())
            while not plan.final:
                try:
                    line = await self._reach(plan)
                except GridsignalError as failure:
                    refreshing.cancel()
                    return failure
                plan = await self._follow(tasks, line)
            refreshing.cancel()
        assert self.failure is not None
        return self.failure

    # --- the token -----------------------------------------------------------------------------------------------

    async def _refresh_tokens(self) -> None:
        """Shows the gateway a fresh token whenever the old one expires soon, on the line on which it said so."""
        while True:
            await self._shell.token_expires.wait()
            self._shell.token_expires.clear()  # before the work: the next line may say so while it is under way
            if not self._tokens.refreshable:
                _log.warning("the token expires soon and can't be refreshed: pass token= a function")
            elif (line := self._shell.current) is not None:
                await self._refresh_token(line)

    async def _refresh_token(self, line: Line) -> None:
        """If that fails for as long as the line lives, the close for it will be followed."""
        attempt = 0
        while self._shell.current is line:
            try:
                token = await self._tokens.fresh()
            except (NoToken, GridsignalError) as error:
                _log.warning("the token could not be refreshed, asking again: %s", error)
                await asyncio.sleep(self._backoff.delay_s(attempt := attempt + 1, _draw()))
                continue
            self._shell.show_token(token)
            return

    # --- the way to a line ---------------------------------------------------------------------------------------

    async def _reach(self, plan: Plan) -> Line:
        """A line that was welcomed. Raises what makes waiting for one pointless."""
        while True:
            opened = await self._try(plan)
            if not isinstance(opened, Plan):
                if (over := self._absence.over(_now_s())) is not None:
                    level, away_s = over
                    _log.log(level, "connected again after %.1f s", away_s)
                return opened
            if opened.final:
                assert self.failure is not None
                raise self.failure
            plan = opened

    async def _try(self, plan: Plan) -> Line | Plan:
        from gridsignal.upgrade import Lost  # the library is loaded when it is first needed
        from gridsignal.websocket import Line

        await asyncio.sleep(plan.delay_s)
        try:
            token = await (self._tokens.fresh() if plan.needs_token else self._tokens.current())
        except NoToken as error:
            return self._tokenless(str(error))
        except UsageError as error:
            if not self._returning.welcomed:
                raise
            return self._tokenless(str(error))  # a file that is being written, a provider's bad minute
        connection = self._shell.conversation.connect()
        try:
            line = await Line.open(self._route, token, connection, timeout_s=self._limits.open_s)
        except Lost as lost:
            return self._turned_away(lost.ended)
        self._returning.opened(_now_s())
        return line

    def _tokenless(self, trouble: str) -> Plan:
        """The token function is asked again."""
        self.trouble, self.failure = trouble, None
        self._note(unusual=True)
        return self._returning.tokenless(_draw())

    def _turned_away(self, ended: Ended) -> Plan:
        """What follows where no line came to be."""
        draw = _draw()
        failure: GridsignalError | None
        if ended.fault is not None:
            self.trouble = str(ended.fault)
            plan, failure = self._returning.failed(draw), ended.fault
        elif ended.status is not None:
            plan = self._returning.answered(ended.status, ended.retry_after, draw, marked=ended.marked)
            self.trouble, failure = self._said(ended, plan), failure_of(plan.verdict)
            if ended.location is not None and failure is not None:
                self.trouble += f", a redirect to {shown(ended.location)}"
                failure = UsageError(f"{failure}: it redirects to {shown(ended.location)}")
        else:
            self.trouble = ended.reason or f"closed with {ended.code}"
            plan = self._returning.turned_away(ended.code, ended.reason, draw)
            failure = failure_of(plan.verdict)
        self.failure = self._explained(failure, ended)
        if not plan.final and not self._is_told_next(plan, ended):
            self._note(unusual=ended.status is not None or ended.fault is not None)
        return plan

    def _said(self, ended: Ended, plan: Plan) -> str:
        """What an HTTP answer means, for the log."""
        if not ended.marked:
            return f"HTTP {ended.status} of something that is no gateway"
        if plan.needs_token and self._tokens.awaited:
            return self._tokens.awaited
        return f"HTTP {ended.status}" if plan.verdict is None else plan.verdict.text

    def _is_told_next(self, plan: Plan, ended: Ended) -> bool:
        """Whether the next attempt is the last one, with a fresh token: what comes of it is said then, and once."""
        return ended.marked and plan.needs_token and not self._returning.welcomed

    def _explained(self, failure: GridsignalError | None, ended: Ended) -> GridsignalError | None:
        """The failure with what is known of the token, where that explains it."""
        if failure is not None and ended.status == TOO_LARGE:
            return Unauthorized(f"{failure}: it has {self._tokens.size} characters")
        if isinstance(failure, Unauthorized) and (expired := self._tokens.expired):
            return Unauthorized(f"the gateway does not take the token: {expired}")
        if isinstance(failure, NotEntitled):
            site = self._shell.conversation.site
            asked = "no site" if site is None else f"site {site!r}"
            return NotEntitled(f"{failure}; asked for {asked} with {self._tokens.owner or 'a token'}")
        return failure

    def _note(self, *, unusual: bool) -> None:
        level, away_s = self._absence.noted(self.trouble, _now_s(), unusual=unusual)
        since = f" for {away_s:.0f} s" if away_s >= 1 else ""
        _log.log(level, "no connection%s, trying again: %s", since, self.trouble)

    # --- a line's life -------------------------------------------------------------------------------------------

    async def _follow(self, tasks: asyncio.TaskGroup, line: Line) -> Plan:
        """Reads a line to its end, and moves on to the next one where the gateway drains."""
        while True:
            move_after_s = self._shell.begin(line)
            reading = tasks.create_task(self._hear(line))
            moving = tasks.create_task(self._next(move_after_s))
            await asyncio.wait({reading, moving}, return_when=asyncio.FIRST_COMPLETED)
            if moving.done():
                line = moving.result()
                reading.cancel()  # says goodbye on the old line; nobody listens to it any more once the new one begins
                continue
            moving.cancel()
            return self._ended(line, reading.result())

    def _ended(self, line: Line, ended: Ended) -> Plan:
        """What follows from the end of the line that counted."""
        self.trouble = ended.reason or f"closed with {ended.code}"
        plan = self._returning.closed(ended.code, ended.reason, _now_s(), _draw())
        self.failure = self._explained(failure_of(plan.verdict), ended)
        self._shell.end(line, resume=plan.resume)
        if not plan.final:
            self._note(unusual=False)
        return plan

    async def _hear(self, line: Line) -> Ended:
        try:
            return await line.run(
                lambda frame: self._shell.receive(line, frame),
                ping_s=min(line.welcome.ping_s, self._limits.ping_s),
                dead_after_s=self._limits.dead_after_s,
            )
        finally:
            await line.close()

    async def _next(self, move_after_s: asyncio.Future[float]) -> Line:
        await asyncio.sleep(await move_after_s)
        try:
            return await self._reach(Plan())
        except GridsignalError as failure:
            _log.warning("the gateway drains and its successor can't be reached: %s", failure)
            await asyncio.get_running_loop().create_future()  # the old line lives on until it is closed
            raise


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _draw() -> float:
    return random.random()  # noqa: S311 - jitter, not a secret
