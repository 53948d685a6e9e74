"""The outgoing half of a connection: lanes in, one write a tick out, a backlog where the socket is full."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Protocol

from gridsignal_protocol.server.closing import SLOW_CONSUMER, Close
from gridsignal_schemas.frames import Frame
from gridsignal_services.gateway.backlog import Backlog, Overflow
from gridsignal_services.gateway.hub import Batch, Prepared
from gridsignal_services.gateway.kernel import bound_the_kernel, in_the_kernel
from gridsignal_services.gateway.rendering import Encoding, rendered
from gridsignal_services.gateway.settings import GatewaySettings


class Collector(Protocol):
    """What takes messages in place of a socket."""

    def collect(self, batch: Batch) -> None:
        """A group's messages of this tick."""

    def collect_frame(self, frame: Frame) -> None:
        """A frame in the control lane."""

    def settle(self) -> None:
        """The tick is over."""


class Outgoing:
    """What waits for a socket.

    Bounded: the socket's buffer by `conflate_bytes` and one tick, the rest by the backlog; see there.
    When full: messages go through the backlog, which conflates or closes. Conflates: see backlog.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self.transport: asyncio.Transport | None = None
        self.encoding: Encoding = "json"
        """How frames are written."""
        self.schemas: set[int] = set()
        """Schema ids an Avro client has been told."""
        self.has_ended = False
        """Nothing more is sent."""
        self._settings = settings
        self._collector: Collector | None = None
        self._flowing = True
        self._paused = False
        self._clear: asyncio.Transport | None = None
        """The socket, while it takes more and nothing waits before what comes next."""
        self._backlog = Backlog(lag_bytes=settings.lag_bytes, close_bytes=settings.close_bytes)
        self._out: list[bytes] = []
        self._late: list[bytes] = []
        """Sent behind everything else of the tick: pongs and closes."""
        self._waiting_for_room: list[asyncio.Future[None]] = []
        self._untaken = 0
        self._drained_s = 0.0
        self._is_pouring = False
        self.has_poured = False
        """Its last may be long, and is waited for as long as it is taken."""

    # --- what the connection supplies ----------------------------------------------------------------------------

    @abstractmethod
    def wrote(self) -> None:
        """There is something to send in this tick."""

    @abstractmethod
    def schema_message(self, schema_id: int) -> bytes:
        """A schema as an Avro client is told it."""

    @abstractmethod
    def poured(self) -> None:
        """The socket has taken the last of it."""

    @abstractmethod
    def close(self, end: Close) -> None:
        """Says goodbye with a code."""

    # --- in ------------------------------------------------------------------------------------------------------

    def accept(self, batch: Batch) -> None:
        """A group's messages of this tick."""
        if self.has_ended:
            return
        if self._collector is not None:
            self._collector.collect(batch)
            return
        if batch.schema_ids and not batch.schema_ids <= self.schemas:
            self._tell_schemas(batch.schema_ids)
        if self._flowing:
            self._mark()
            self._out.append(batch.chunk)
            return
        for prepared in batch.messages:
            self._backlog.add_signal(batch.sub, prepared)
        self._judge()

    def accept_last(self, batch: Batch) -> None:
        """Likewise, and nothing more comes in this tick: written at once where nothing waits before it."""
        transport = self._clear
        if transport is None or (batch.schema_ids and not batch.schema_ids <= self.schemas):
            self.accept(batch)
        elif not transport.is_closing():
            transport.write(batch.chunk)

    def signal(self, sub: str, prepared: Prepared) -> None:
        """One message of a subscription that is catching up."""
        self.accept(Batch(sub, [prepared]))

    def send(self, frame: Frame) -> None:
        """A frame in the control lane."""
        if self._collector is None:
            self.send_message(rendered(self.encoding, frame))
        elif not self.has_ended:
            self._collector.collect_frame(frame)

    def send_message(self, message: bytes) -> None:
        """A finished message in the control lane."""
        if self._flowing:
            self._mark()
            self._out.append(message)
        elif not self.has_ended:
            self._backlog.add_control(message)
            self._judge()

    def send_late(self, message: bytes) -> None:
        """A finished message behind everything sent before it."""
        self._mark()
        self._late.append(message)

    def _mark(self) -> None:
        """The tick's one write is asked for once."""
        if not self._out and not self._late:
            self._clear = None
            self.wrote()

    def forget(self, sub: str) -> None:
        """Nothing of this subscription is sent any more."""
        self._backlog.forget(sub)

    def _tell_schemas(self, schema_ids: frozenset[int]) -> None:
        for schema_id in sorted(schema_ids - self.schemas):
            self.schemas.add(schema_id)
            self.send_message(self.schema_message(schema_id))

    def _judge(self) -> None:
        match self._backlog.verdict(self._unsent()):
            case Overflow.OVER:
                self.close(SLOW_CONSUMER)
            case Overflow.LAGGING:
                for lag in self._backlog.lags():
                    self._backlog.add_control(rendered(self.encoding, lag))
            case Overflow.FINE:
                pass

    # --- out -----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """The tick's one write."""
        if self._collector is not None:
            self._collector.settle()
        elif self._paused and not self.has_ended:
            self._hold_back()
        else:
            self.write_all()

    def write_all(self) -> None:
        """Hands everything to the socket, full or not: the tick's messages, or the last ones before the end."""
        out = self._out
        if self._late:
            out = out + self._late
            self._late = []
        if not out or self.transport is None or self.transport.is_closing():
            return
        self._out = []
        self.transport.write(out[0] if len(out) == 1 else b"".join(out))
        self._look()

    @property
    def takes_more(self) -> bool:
        """Whether the socket does; where not, `room` tells when."""
        return self._flowing

    def write_at_once(self, data: bytes) -> None:
        """A collector's bytes, to a socket that takes more."""
        self._out.append(data)
        self.write_all()

    def _look(self) -> None:
        """Whether what comes next may be written at once."""
        is_clear = self._flowing and not self._out and not self._late and self._collector is None
        self._clear = self.transport if is_clear else None

    def _hold_back(self) -> None:
        # the socket filled up after these were queued: their order holds, and a pong stays behind all of them
        for message in (*self._out, *self._late):
            self._backlog.add_signal("", Prepared(message))
        self._out, self._late = [], []

    async def room(self) -> None:
        """Returns when what was sent has gone to the socket and the socket takes more."""
        self.flush()
        while not self._flowing and not self.has_ended:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting_for_room.append(waiting)
            await waiting

    # --- the socket's state --------------------------------------------------------------------------------------

    def plug(self, transport: asyncio.Transport) -> None:
        """The socket is there."""
        self.transport = transport
        bound_the_kernel(transport.get_extra_info("socket"), self._settings.kernel_bytes)
        transport.set_write_buffer_limits(high=self._settings.conflate_bytes, low=self._settings.conflate_bytes // 4)
        self._look()

    def collect_with(self, collector: Collector) -> None:
        """From now on it takes the messages."""
        self._collector = collector
        self._look()

    def stop_writing(self, now_s: float) -> None:
        """The socket's buffer is full."""
        self._paused = True
        self._flowing = False
        self._look()
        self._untaken = self._untaken_now()
        self._drained_s = now_s

    def go_on_writing(self) -> None:
        """The socket takes more: first what waits."""
        self._paused = False
        assert self.transport is not None
        while self._backlog and not self._paused:
            self.transport.write(b"".join(self._backlog.take(self._settings.conflate_bytes, self.encoding)))
        if self._paused:
            return
        if not self.has_ended:
            self._flowing = True
            self._look()
            self._wake()
        elif self._is_pouring:
            self._is_pouring = False
            self.poured()

    def pour(self, data: bytes) -> None:
        """The last that is sent, behind everything: as fast as the peer takes it; then `poured`."""
        self.write_all()
        if self.transport is None or self.transport.is_closing():
            return
        self._is_pouring = self.has_poured = True
        size = self._settings.conflate_bytes
        for start in range(0, len(data), size):
            self._backlog.add_control(data[start : start + size])
        if not self._paused:  # before the limits fall: TLS that has words of its own left would count as a full socket
            self.transport.write(b"".join(self._backlog.take(size, self.encoding)))
        self.transport.set_write_buffer_limits(high=1, low=0)  # it is poured when all of it is written
        if not self._paused:  # else once what was sent before is taken
            self.go_on_writing()

    def is_stalled(self, now_s: float) -> bool | None:
        """Whether the peer has taken nothing for too long; None where nothing waits for it any more."""
        if not self._paused:
            return None
        if self.has_taken():
            self._drained_s = now_s
        return now_s - self._drained_s >= self._settings.stall_s

    def has_taken(self) -> bool:
        """Whether the peer has taken anything since this was asked before, be it out of the kernel's megabytes."""
        before, self._untaken = self._untaken, self._untaken_now()
        return self._untaken < before

    def _untaken_now(self) -> int:
        sock = self.transport.get_extra_info("socket") if self.transport is not None else None
        return self._unsent() + in_the_kernel(sock)

    def end(self) -> bool:
        """Drops what waits; False where it had ended before."""
        if self.has_ended:
            return False
        self.has_ended = True
        self._flowing = False
        self._look()
        self._backlog = Backlog(lag_bytes=self._settings.lag_bytes, close_bytes=self._settings.close_bytes)
        self._wake()
        return True

    @property
    def unsent_bytes(self) -> int:
        """What waits for the peer, here and in the socket's buffer."""
        return self._backlog.bytes + self._unsent()

    def _unsent(self) -> int:
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    def _wake(self) -> None:
        waiting, self._waiting_for_room = self._waiting_for_room, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
