"""Performs what a conversation decides: frames to the line, outcomes to whoever waits, one timer.

Everything of a grid that runs calls the conversation by way of this shell, and then lets it `flush`.

Bounded: one future for each caller that waits; a RECEIVED to entrust for each revision of an order or alert.
When full: callers wait. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from gridsignal.clock import Clock, GatewayClock, skew
from gridsignal.errors import GridClosed, GridsignalError
from gridsignal.homeloop import HomeLoop
from gridsignal.outbox import Outbox
from gridsignal.outcomes import error_of
from gridsignal_protocol.client import events
from gridsignal_protocol.client.conversation import Conversation, Moment
from gridsignal_protocol.client.entry import Entry, Settled
from gridsignal_protocol.client.events import Event
from gridsignal_protocol.client.messages import Message
from gridsignal_protocol.client.reader import Reader
from gridsignal_schemas.frames import Frame, Receipt, States
from gridsignal_schemas.messages import DispatchOrder, GridAlert

if TYPE_CHECKING:
    from gridsignal.signing import Signer
    from gridsignal.websocket import Line

_log = logging.getLogger("gridsignal")


class Shell:
    """What waits for a conversation, and the line that it speaks on."""

    def __init__(
        self, conversation: Conversation, outbox: Outbox, clock: Clock | None, signer: Signer | None = None
    ) -> None:
        self.conversation = conversation
        self._signer = signer
        self.gateway_clock = GatewayClock()
        self.clock: Clock = clock or self.gateway_clock
        self.home = HomeLoop()
        self.tasks: asyncio.TaskGroup | None = None
        """Holds everything that runs; None before and after."""
        self.failure: GridsignalError | None = None
        """Why nothing runs any more."""
        self.failed = asyncio.Event()
        self.stirred = asyncio.Event()
        """Something has happened since it was cleared."""
        self.deeds = 0
        """How many messages came and entries were settled: two equal counts, and nothing happened in between."""
        self.owed: asyncio.Queue[DispatchOrder | GridAlert] = asyncio.Queue()
        """Orders and alerts whose RECEIVED is to be entrusted to the outbox."""
        self.token_expires = asyncio.Event()
        self._outbox = outbox
        self.current: Line | None = None
        """The line that counts."""
        self._up = asyncio.Event()
        self._move_after_s: asyncio.Future[float] | None = None
        self._receipts: dict[int, asyncio.Future[Receipt]] = {}  # by seq
        self._answers: dict[int, asyncio.Future[States]] = {}  # by number
        self._filled: dict[Reader, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> Moment:
        """By both clocks."""
        return Moment(self.clock.now(), asyncio.get_running_loop().time())

    def running(self) -> asyncio.TaskGroup:
        """What holds the tasks. Raises UsageError in another loop, and the failure after which nothing runs."""
        self.home.check()
        if self.failure is not None:
            raise self.failure
        assert self.tasks is not None
        return self.tasks

    def fail(self, failure: GridsignalError) -> None:
        """Nobody will hear of an outcome any more; what was entrusted stays in the outbox."""
        if self.failure is not None:
            return
        self.failure = failure
        self.failed.set()
        self.stirred.set()
        everybody: list[asyncio.Future[Receipt] | asyncio.Future[States]]
        everybody = [*self._receipts.values(), *self._answers.values()]
        for waiting in everybody:
            if not waiting.done():
                waiting.set_exception(failure)
        for reader in self.conversation.readers:
            reader.end()
            self._wake(reader)

    def stop(self) -> None:
        """No timer any more."""
        self.fail(GridClosed("the grid was closed"))
        if self._timer is not None:
            self._timer.cancel()

    # --- the line ------------------------------------------------------------------------------------------------

    def begin(self, line: Line) -> asyncio.Future[float]:
        """From now on this line counts; the result is after how many seconds to move on, once the gateway drains."""
        ahead = skew(line.asked_at, line.welcome.time, line.welcomed_at)
        self.gateway_clock.welcomed(line.welcome.grid_clock, ahead)
        self.current = line
        self._move_after_s = asyncio.get_running_loop().create_future()
        line.connection.receive(line.welcome, self.now())
        self.flush()
        self._up.set()
        return self._move_after_s

    def receive(self, line: Line, frame: Frame) -> None:
        """A frame came on a line."""
        line.connection.receive(frame, self.now())
        self.flush()

    def end(self, line: Line, *, resume: bool) -> None:
        """The line has ended; `resume` as its close code says."""
        self.current = None
        line.connection.closed(resume=resume)

    def show_token(self, token: str) -> None:
        """Shows the gateway a fresh token."""
        self.conversation.show_token(token)
        self.flush()

    def abort(self) -> None:
        """Drops the line; another one will be opened, and nothing is lost in between."""
        if self.current is not None:
            self.current.abort()

    async def line(self, after: Line | None = None) -> Line:
        """The line that counts, as soon as there is one; if `after` is given, another one than that."""
        while self.current is None or self.current is after:
            self._up.clear()
            await self._up.wait()
        return self.current

    # --- what is waited for --------------------------------------------------------------------------------------

    def entrust(self, entry: Entry) -> asyncio.Future[Receipt]:
        """Takes an entry that the outbox holds; its receipt, or why there is none."""
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        receipt.add_done_callback(lambda done: done.cancelled() or done.exception())  # the caller may have left
        if self.failure is not None:  # while it was being written; it is sent when the program runs again
            receipt.set_exception(self.failure)
            return receipt
        self._receipts[entry.seq] = receipt
        self.conversation.entrust(entry, self.now())
        self.flush()
        return receipt

    def forget(self, seq: int) -> None:
        """Nobody waits for this receipt any more."""
        self._receipts.pop(seq, None)

    async def answer(self, number: int) -> States:
        """The answer to a query."""
        answer: asyncio.Future[States] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self.flush()
        try:
            return await answer
        finally:
            del self._answers[number]
            self.conversation.forget_query(number)

    def take(self, reader: Reader) -> Message | None:
        """The next message of a reader; None where nothing waits."""
        message = self.conversation.take(reader)
        self.flush()
        return message

    async def filled(self, reader: Reader) -> None:
        """Returns once there is something to take, or there never will be."""
        filled = self._filled[reader] = asyncio.get_running_loop().create_future()
        self.stirred.set()
        try:
            await filled
        finally:
            if self._filled.get(reader) is filled:
                del self._filled[reader]

    def is_awaited(self, reader: Reader) -> bool:
        """Whether somebody waits for this reader's next message, and there is none."""
        waiting = self._filled.get(reader)
        return waiting is not None and not waiting.done()

    def leave(self, reader: Reader) -> None:
        """Ends a reader."""
        self.conversation.leave(reader)
        self._wake(reader)
        self.flush()

    @property
    def is_quiet(self) -> bool:
        """Nothing is under way, and every reader waits for what comes next."""
        waiting = all(reader.is_empty and self.is_awaited(reader) for reader in self.conversation.readers)
        return waiting and self.owed.empty() and self.conversation.is_settled

    # --- what follows --------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Does what has come about since the last time."""
        for event in self.conversation.events_received():
            self._follow(event)
        if self.current is not None:
            for frame in self.current.connection.frames_to_send():
                self.current.send(self._signed(frame, self.current))
        self._set_timer()
        self.stirred.set()

    def _signed(self, frame: Frame, line: Line) -> Frame:
        if self._signer is None:
            return frame
        return self._signer.signed(frame, line.welcome, self.conversation.site)

    def _follow(self, event: Event) -> None:
        match event:
            case events.Filled(reader):
                self.deeds += 1
                self._wake(reader)
            case Settled():
                self.deeds += 1
                self._settle(event)
            case events.Answered(number, answer):
                waiting = self._answers.get(number)
                if waiting is None or waiting.done():
                    return
                if isinstance(answer, States):
                    waiting.set_result(answer)
                else:
                    waiting.set_exception(error_of(answer))
            case events.Acknowledge(record):
                self.deeds += 1
                self.owed.put_nowait(record)
            case events.RefreshToken():
                self.token_expires.set()
            case events.Move(after_s):
                if self._move_after_s is not None and not self._move_after_s.done():
                    self._move_after_s.set_result(after_s)

    def _settle(self, settled: Settled) -> None:
        """An entry leaves the outbox, and who waits is told."""
        if settled.entry.seq > 0:
            self._outbox.remove(settled.entry.seq)
        receipt = self._receipts.pop(settled.entry.seq, None)
        if isinstance(settled.outcome, Receipt):
            if receipt is not None and not receipt.done():
                receipt.set_result(settled.outcome)
            return
        failure = error_of(settled.outcome)
        if receipt is not None and not receipt.done():
            receipt.set_exception(failure)
        elif settled.entry.maybe_sent:
            _log.warning("left by an earlier run: %s", failure)

    def _wake(self, reader: Reader) -> None:
        waiting = self._filled.get(reader)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _set_timer(self) -> None:
        due_s = self.conversation.next_due_s
        if self._timer is not None and (due_s is None or self._timer.when() != due_s):
            self._timer.cancel()
            self._timer = None
        if due_s is not None and self._timer is None and self.failure is None:
            self._timer = asyncio.get_running_loop().call_at(due_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.conversation.tick(self.now())
        self.flush()
