"""The way of one message to the log, and of its receipt to whoever waits for it: the outbox first, then the shell.

Bounded: one entry of the outbox for each caller that waits. When full: callers wait. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Any, Self

from gridsignal.answers import ack_body, response_body
from gridsignal.errors import OutboxFailed, TooLarge
from gridsignal.outbox import Outbox
from gridsignal.shell import Shell
from gridsignal_protocol.client.entry import Entry
from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.messages import DispatchOrder, GridAlert
from gridsignal_schemas.records import identity_of

_log = logging.getLogger("gridsignal")


class Post:
    """Entrusts messages to the outbox and the conversation, and hands out their receipts."""

    def __init__(self, outbox: Outbox, shell: Shell, *, actor: str | None) -> None:
        self.actor = actor
        self._outbox, self._shell = outbox, shell
        self._putting = 0
        self._unkept = 0  # counts down: these numbers are none of the outbox's

    @property
    def is_empty(self) -> bool:
        """Nothing is on its way into the outbox; what is in it, the conversation knows."""
        return not self._putting

    async def __aenter__(self) -> Self:
        """Opens the outbox and takes what an earlier run left in it. Raises OutboxFailed."""
        try:
            for entry in await self._outbox.pending():
                self._shell.conversation.entrust(entry, self._shell.now())
        except BaseException:
            await self._outbox.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._outbox.aclose()

    async def run(self) -> None:
        """Entrusts the RECEIVED of each revision of an order or alert, for ever; nobody waits for its receipt."""
        while True:
            await self._acknowledge(await self._shell.owed.get())

    async def submit(
        self, kind: str, ident: str, thread: str, body: dict[str, Any], deadline: datetime | None = None
    ) -> Receipt:
        """Entrusts a message to the outbox and waits for the log's receipt."""
        entrusting = self._shell.running().create_task(self._entrust(kind, ident, thread, body, deadline))
        seq, receipt = await asyncio.shield(entrusting)  # a caller who leaves now leaves the message in the outbox
        watch = None
        if deadline is not None and not receipt.done():
            watch = self._shell.running().create_task(self._expire_at(seq, deadline))
        try:
            return await receipt
        finally:
            self._shell.forget(seq)
            if watch is not None:
                watch.cancel()

    async def _acknowledge(self, record: DispatchOrder | GridAlert) -> None:
        at, ident = self._shell.clock.now(), ""
        if isinstance(record, GridAlert):
            kind, body = "acknowledge", ack_body(record, "RECEIVED", actor=self.actor, at=at)
        else:
            kind, body = "respond", response_body(record, "RECEIVED", actor=self.actor, at=at)
            ident = body["response_id"]
        _, receipt = await self._entrust(kind, ident, "", body, None)
        failure = receipt.exception() if receipt.done() else None
        if isinstance(failure, OutboxFailed):
            _log.warning("RECEIVED for %s is sent without being kept: %s", identity_of(record), failure)
            self._unkept -= 1
            self._shell.entrust(Entry(self._unkept, kind, ident, "", body))

    async def _entrust(
        self, kind: str, ident: str, thread: str, body: dict[str, Any], deadline: datetime | None
    ) -> tuple[int, asyncio.Future[Receipt]]:
        self._putting += 1
        try:
            entry = await self._outbox.put(kind, ident, thread, body, deadline)
        except (OutboxFailed, TooLarge) as failure:
            receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
            receipt.set_exception(failure)
            receipt.exception()  # the caller may have left
            return 0, receipt
        finally:
            self._putting -= 1
        return entry.seq, self._shell.entrust(entry)

    async def _expire_at(self, seq: int, deadline: datetime) -> None:
        await self._shell.clock.sleep_until(deadline)
        self._shell.conversation.expire(seq)
        self._shell.flush()
