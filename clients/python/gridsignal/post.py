"""The way of one message to the log, and of its receipt to whoever waits for it.

A shell: the outbox first, then the session, which sends it as often as it takes.

Bounded: one future for each caller that waits. When full: callers wait. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Self

from gridsignal.answers import response_body
from gridsignal.clock import Clock
from gridsignal.effects import Effect
from gridsignal.errors import GridsignalError, OutboxFailed, TooLarge
from gridsignal.outbox import Outbox
from gridsignal.session import Session
from gridsignal.window import Entry, Settled
from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.messages import DispatchOrder

_log = logging.getLogger("gridsignal")


class Post:
    """Entrusts messages to the outbox and the session, and hands out their receipts."""

    def __init__(
        self,
        outbox: Outbox,
        session: Session,
        clock: Clock,
        *,
        actor: str | None,
        perform: Callable[[list[Effect]], None],
        tasks: Callable[[], asyncio.TaskGroup],
    ) -> None:
        self.actor = actor
        self._outbox, self._session, self._clock = outbox, session, clock
        self._perform, self._tasks = perform, tasks
        self._receipts: dict[int, asyncio.Future[Receipt]] = {}  # by seq
        self._putting = 0
        self._unkept = 0  # counts down: these numbers are none of the outbox's
        self._failure: GridsignalError | None = None

    @property
    def empty(self) -> bool:
        """Nothing is on its way into the outbox; what is in it, the session knows."""
        return not self._putting

    async def __aenter__(self) -> Self:
        """Opens the outbox and takes what an earlier run left in it. Raises OutboxFailed."""
        try:
            for entry in await self._outbox.pending():
                self._session.entrust(entry, self._clock.now())
        except BaseException:
            await self._outbox.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._outbox.aclose()

    def fail(self, failure: GridsignalError) -> None:
        """Nobody will hear of a receipt any more; the messages stay in the outbox."""
        self._failure = failure
        for receipt in self._receipts.values():
            if not receipt.done():
                receipt.set_exception(failure)

    async def submit(
        self, kind: str, ident: str, thread: str, body: dict[str, Any], deadline: datetime | None = None
    ) -> Receipt:
        """Entrusts a message to the outbox and waits for the log's receipt."""
        entrusting = self._tasks().create_task(self._entrust(kind, ident, thread, body, deadline))
        seq, receipt = await asyncio.shield(entrusting)  # a caller who leaves now leaves the message in the outbox
        watch = None
        if deadline is not None and not receipt.done():
            watch = self._tasks().create_task(self._expire_at(seq, deadline))
        try:
            return await receipt
        finally:
            self._receipts.pop(seq, None)
            if watch is not None:
                watch.cancel()

    def settle(self, settled: Settled) -> None:
        """An entry has its outcome: it leaves the outbox, and who waits is told."""
        if settled.entry.seq > 0:
            self._outbox.remove(settled.entry.seq)
        receipt = self._receipts.pop(settled.entry.seq, None)
        if isinstance(settled.outcome, Receipt):
            if receipt is not None and not receipt.done():
                receipt.set_result(settled.outcome)
        elif receipt is not None and not receipt.done():
            receipt.set_exception(settled.outcome)
        elif settled.entry.maybe_sent:
            _log.warning("left by an earlier run: %s", settled.outcome)

    async def acknowledge(self, order: DispatchOrder) -> None:
        """Entrusts the RECEIVED of an order's revision: it silences an alarm and decides nothing, so nobody waits."""
        body = response_body(order, "RECEIVED", actor=self.actor, at=self._clock.now())
        _, receipt = await self._entrust("respond", body["response_id"], "", body, None)
        failure = receipt.exception() if receipt.done() else None
        if isinstance(failure, OutboxFailed):
            _log.warning("RECEIVED for order %s is sent without being kept: %s", order.order_id, failure)
            self._unkept -= 1
            entry = Entry(self._unkept, "respond", body["response_id"], "", body)
            self._perform(self._session.entrust(entry, self._clock.now()))

    async def _entrust(
        self, kind: str, ident: str, thread: str, body: dict[str, Any], deadline: datetime | None
    ) -> tuple[int, asyncio.Future[Receipt]]:
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        receipt.add_done_callback(lambda done: done.cancelled() or done.exception())  # the caller may have left
        self._putting += 1
        try:
            entry = await self._outbox.put(kind, ident, thread, body, deadline)
        except (OutboxFailed, TooLarge) as failure:
            receipt.set_exception(failure)
            return 0, receipt
        finally:
            self._putting -= 1
        if self._failure is not None:  # while it was being written; it is sent when the program runs again
            receipt.set_exception(self._failure)
            return entry.seq, receipt
        self._receipts[entry.seq] = receipt
        self._perform(self._session.entrust(entry, self._clock.now()))
        return entry.seq, receipt

    async def _expire_at(self, seq: int, deadline: datetime) -> None:
        await self._clock.sleep_until(deadline)
        self._perform(list(self._session.window.expire(seq)))
