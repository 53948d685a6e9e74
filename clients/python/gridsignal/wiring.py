"""Everything of one grid that runs: the shell, the way to the gateway, the outbox's post.

It has one task, held by `running()`, that owns all others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gridsignal.clock import Clock
from gridsignal.errors import GridClosed, Unreachable, UsageError
from gridsignal.lines import Limits, Lines
from gridsignal.outbox import Outbox
from gridsignal.post import Post
from gridsignal.route import Route
from gridsignal.shell import Shell
from gridsignal.subscription import Subscription
from gridsignal.tokens import Tokens
from gridsignal_protocol.client.conversation import Conversation
from gridsignal_protocol.client.subscription import Subscription as WireSubscription
from gridsignal_protocol.client.subscriptions import AlreadySubscribed
from gridsignal_schemas.frames import States

if TYPE_CHECKING:
    from gridsignal.signing import Signer
    from gridsignal.websocket import Line

_LEAVE_S = 5.0  # a goodbye that can't be sent, a token function deaf to its end: nobody waits longer for them


class Wiring:
    """One grid, from its first connection to its end."""

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
        signer: Signer | None = None,
    ) -> None:
        self.site = site
        self._limits = limits
        self._shell = Shell(Conversation(client, site=site, instance=instance), outbox, clock, signer)
        self.clock = self._shell.clock
        self.post = Post(outbox, self._shell, actor=instance)
        self._lines = Lines(route, tokens, self._shell, limits)

    # --- life ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connects, keeps everything running, and ends it. Raises what makes the first connection fail."""
        self._shell.home.settle()
        async with self.post:
            task = asyncio.create_task(self._run())
            try:
                await self._connected()
                yield
            finally:
                self._shell.fail(GridClosed("the grid was closed"))
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
            async with asyncio.TaskGroup() as tasks:
                self._shell.tasks = tasks
                others = [
                    tasks.create_task(self._shell.gateway_clock.watch(self._shell.abort)),
                    tasks.create_task(self.post.run()),
                ]
                self._shell.fail(await self._lines.run())
                for other in others:
                    other.cancel()
        finally:
            self._shell.stop()

    async def _line(self, *, after: Line | None = None) -> Line:
        """The current line, or the one after that; or the failure that there will be none."""
        line = asyncio.ensure_future(self._shell.line(after))
        failed = asyncio.ensure_future(self._shell.failed.wait())
        try:
            await asyncio.wait({line, failed}, return_when=asyncio.FIRST_COMPLETED)
            if self._shell.failure is not None:
                raise self._shell.failure
            return line.result()
        finally:
            line.cancel()
            failed.cancel()

    @property
    def zone(self) -> str | None:
        """Where the site lies."""
        return self._shell.conversation.zone

    # --- what the user wants -------------------------------------------------------------------------------------

    def subscribe(self, wanted: list[WireSubscription], *, limit: int) -> Subscription:
        """Starts the wire subscriptions of one iterator. Raises UsageError where one of them is there already."""
        self._shell.running()
        try:
            reader = self._shell.conversation.subscribe(wanted, limit=limit)
        except AlreadySubscribed as twice:
            raise UsageError(str(twice)) from None
        self._shell.flush()
        return Subscription(self._shell, reader)

    async def query(
        self,
        offers: Sequence[str] = (),
        orders: Sequence[str] = (),
        responses: Sequence[str] = (),
        *,
        live: bool = False,
    ) -> States:
        """Asks where things stand, again after a reconnect, until there is an answer."""
        self._shell.running()
        return await self._shell.answer(self._shell.conversation.query(offers, orders, responses, live=live))

    async def ping(self) -> None:
        """Returns when a pong has come, on whichever line."""
        self._shell.running()
        line = await self._line()
        while not await line.ping():
            line = await self._line(after=line)

    async def settled(self) -> None:
        """Returns when two pings in a row found nothing to do."""
        self._shell.running()
        while True:
            self._shell.stirred.clear()
            if self._shell.failure is not None:
                raise self._shell.failure
            if not self._is_quiet:
                await self._shell.stirred.wait()
                continue
            before = self._shell.deeds
            await self.ping()
            if self._is_quiet and self._shell.deeds == before:
                return

    @property
    def _is_quiet(self) -> bool:
        return self.post.is_empty and self._shell.is_quiet
