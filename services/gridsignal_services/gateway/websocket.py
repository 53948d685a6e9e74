"""One client's socket: bytes in, whole WebSocket messages out, one write a tick.

`websockets` supplies the protocol without I/O (RFC 6455 handshake, masking, fragments, close); this module supplies
the socket, because what is sent is the same bytes for a whole group and leaves in one write per connection.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING, Protocol

from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from gridsignal_schemas.frames import SUBPROTOCOL_AVRO, SUBPROTOCOL_JSON, CloseCode, Frame
from gridsignal_services.gateway.backlog import Backlog, Verdict
from gridsignal_services.gateway.hub import Batch, Group, Prepared
from gridsignal_services.gateway.rendering import frame_message
from gridsignal_services.gateway.session import Session
from gridsignal_services.gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from websockets.typing import Origin


_NOTSENT_LOWAT = 25 if sys.platform == "linux" else None  # socket.TCP_NOTSENT_LOWAT, since Python 3.12


def bound_the_kernel(sock: socket.socket | None, unsent_bytes: int) -> None:
    """Lets the kernel hold little that it has not sent: else megabytes wait there, beyond any budget of ours."""
    if sock is not None and _NOTSENT_LOWAT is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, unsent_bytes)


class Door(Protocol):
    """What a connection asks of the gateway."""

    def now_s(self) -> float:
        """The wheel's time."""

    def opened(self, connection: Connection) -> None:
        """A socket is there; nothing has been read."""

    def upgrade(self, connection: Connection, request: Request) -> Response:
        """The answer to the request; 101 where it gave the connection a session."""

    def received(self, connection: Connection, text: bytes) -> None: ...

    def received_binary(self, connection: Connection) -> None: ...

    def wrote(self, connection: Connection) -> None:
        """The connection has something to send in this tick."""

    def stuck(self, connection: Connection) -> None:
        """The connection's socket is full."""

    def schema_message(self, schema_id: int) -> bytes: ...

    def ended(self, connection: Connection) -> None:
        """Nothing more is sent: out of every group. Told once."""

    def lost(self, connection: Connection) -> None:
        """The socket is gone."""


class Connection(asyncio.Protocol):
    """A socket and what waits for it.

    Bounded: the socket's buffer by `conflate_bytes` and one tick, the rest by the backlog; see there.
    When full: messages go through the backlog, which conflates or closes. Conflates: see backlog.
    """

    def __init__(self, door: Door, settings: GatewaySettings) -> None:
        self._door = door
        self._settings = settings
        origins: list[Origin | None] = [None, *settings.origins]  # type: ignore[list-item]
        self.ws = ServerProtocol(
            origins=origins,
            subprotocols=[SUBPROTOCOL_JSON, SUBPROTOCOL_AVRO],  # type: ignore[list-item]
            max_size=settings.frame_bytes,
        )
        self.transport: asyncio.Transport | None = None
        self.session: Session | None = None
        self.groups: dict[str, Group] = {}
        """Joined and being joined, by sub."""
        self.joins: dict[str, asyncio.Task[None]] = {}
        self.schemas: set[int] = set()
        """Schema ids an Avro client has been told."""
        self.opened_s = self.heard_s = self.pinged_s = door.now_s()
        self.closing_s: float | None = None
        """Since when the end is awaited."""
        self._flowing = True
        self._paused = False
        self._backlog = Backlog(lag_bytes=settings.lag_bytes, close_bytes=settings.close_bytes)
        self._out: list[bytes] = []
        self._late: list[bytes] = []
        self._parts: list[bytes] = []
        self._is_text = True
        self._header_bytes = 0
        self._waiting_for_room: list[asyncio.Future[None]] = []
        self._unsent_then = 0
        self._drained_s = 0.0
        self._has_ended = False

    # --- the socket ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        bound_the_kernel(transport.get_extra_info("socket"), self._settings.kernel_bytes)
        transport.set_write_buffer_limits(high=self._settings.conflate_bytes, low=self._settings.conflate_bytes // 4)
        self._door.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._door.lost(self)

    def data_received(self, data: bytes) -> None:
        self.heard_s = self._door.now_s()
        if self.ws.state is State.CONNECTING:
            self._header_bytes += len(data)
            if self._header_bytes > self._settings.header_bytes:
                self.abort()
                return
        self.ws.receive_data(data)
        self._react()

    def eof_received(self) -> bool:
        self.ws.receive_eof()
        self._react()
        return False  # the transport closes itself once everything is written

    def pause_writing(self) -> None:
        self._paused = True
        self._flowing = False
        self._unsent_then = self._unsent()
        self._drained_s = self._door.now_s()
        self._door.stuck(self)

    def resume_writing(self) -> None:
        self._paused = False
        assert self.transport is not None
        while self._backlog and not self._paused:
            self.transport.write(b"".join(self._backlog.take(self._settings.conflate_bytes)))
        if not self._paused and not self._has_ended:
            self._flowing = True
            self._wake()

    def _unsent(self) -> int:
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    # --- what comes in -------------------------------------------------------------------------------------------

    def _react(self) -> None:
        for event in self.ws.events_received():
            if isinstance(event, Request):
                self.ws.send_response(self._door.upgrade(self, event))
                self._relay()
            elif isinstance(event, WireFrame) and self.is_live:
                self._take(event)
        self._relay()

    def _take(self, frame: WireFrame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                if frame.opcode is not Opcode.CONT:
                    self._is_text = frame.opcode is Opcode.TEXT
                self._parts.append(bytes(frame.data))
                if frame.fin:
                    whole, self._parts = b"".join(self._parts), []
                    self._message(whole)
            case Opcode.CLOSE:
                self._stop()
            case _:
                pass  # pings are answered below, pongs are a sign of life like any other frame

    def _message(self, whole: bytes) -> None:
        if not self._is_text:
            self._door.received_binary(self)
            return
        try:
            whole.decode("utf-8")
        except UnicodeDecodeError:
            self.ws.fail(1007, "expected UTF-8")
            self._stop()
            return
        self._door.received(self, whole)

    def _relay(self) -> None:
        """Sends what the WebSocket protocol itself answers: pongs and closes, behind everything sent before."""
        for part in self.ws.data_to_send():
            if part:
                self._late.append(part)
                self._wrote()
            else:
                self._finish()
        if self.ws.close_expected() and self.closing_s is None:
            self.closing_s = self._door.now_s()

    def _finish(self) -> None:
        """Half-closes, so that the peer still reads what was sent; the wheel drops it when it does not answer."""
        self._stop()
        self.closing_s = self._door.now_s() if self.closing_s is None else self.closing_s
        if self.transport is None or self.transport.is_closing():
            return
        self._write_all()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    # --- what goes out -------------------------------------------------------------------------------------------

    def accept(self, batch: Batch) -> None:
        """A group's messages of this tick."""
        if self._has_ended:
            return
        if batch.schema_ids and not batch.schema_ids <= self.schemas:
            self._tell_schemas(batch.schema_ids)
        if self._flowing:
            if not self._out:
                self._door.wrote(self)
            self._out.append(batch.chunk)
            return
        for prepared in batch.messages:
            self._backlog.add_signal(batch.sub, prepared)
        self._judge()

    def signal(self, sub: str, prepared: Prepared) -> None:
        """One message of a subscription that is catching up."""
        self.accept(Batch(sub, [prepared]))

    def send(self, frame: Frame) -> None:
        """A frame in the control lane."""
        self.send_message(frame_message(frame))

    def send_message(self, message: bytes) -> None:
        """A finished message in the control lane."""
        if self._flowing:
            self._out.append(message)
            self._wrote()
        elif not self._has_ended:
            self._backlog.add_control(message)
            self._judge()

    def _tell_schemas(self, schema_ids: frozenset[int]) -> None:
        for schema_id in sorted(schema_ids - self.schemas):
            self.schemas.add(schema_id)
            self.send_message(self._door.schema_message(schema_id))

    def _wrote(self) -> None:
        self._door.wrote(self)

    def flush(self) -> None:
        """The tick's one write."""
        if self._paused and not self._has_ended:
            self._hold_back()
        else:
            self._write_all()

    def _write_all(self) -> None:
        out = self._out
        if self._late:
            out = out + self._late
            self._late = []
        if not out or self.transport is None or self.transport.is_closing():
            return
        self._out = []
        self.transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _hold_back(self) -> None:
        # the socket filled up after these were queued: their order holds, and a pong stays behind all of them
        for message in (*self._out, *self._late):
            self._backlog.add_signal("", Prepared(message))
        self._out, self._late = [], []

    def _judge(self) -> None:
        match self._backlog.verdict(self._unsent()):
            case Verdict.OVER:
                self.close(CloseCode.SLOW_CONSUMER, "slow consumer")
            case Verdict.LAGGING:
                for lag in self._backlog.lags():
                    self._backlog.add_control(frame_message(lag))
            case Verdict.FINE:
                pass

    def is_stalled(self, now_s: float) -> bool | None:
        """Whether the peer has taken nothing for too long; None where nothing waits for it any more."""
        if not self._paused:
            return None
        unsent = self._unsent()
        if unsent < self._unsent_then:
            self._drained_s = now_s
        self._unsent_then = unsent
        return now_s - self._drained_s >= self._settings.stall_s

    async def room(self) -> None:
        """Returns when what was sent has gone to the socket and the socket takes more."""
        self.flush()
        while not self._flowing and not self._has_ended:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting_for_room.append(waiting)
            await waiting

    def _wake(self) -> None:
        waiting, self._waiting_for_room = self._waiting_for_room, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def forget(self, sub: str) -> None:
        """Nothing of this subscription is sent any more."""
        self._backlog.forget(sub)

    # --- the end -------------------------------------------------------------------------------------------------

    @property
    def is_live(self) -> bool:
        """Whether frames may still be sent."""
        return self.session is not None and not self._has_ended

    def ping(self, now_s: float) -> None:
        """Asks for a sign of life."""
        self.pinged_s = now_s
        self.ws.send_ping(b"")
        for part in self.ws.data_to_send():
            self.send_message(part)

    def close(self, code: CloseCode, reason: str) -> None:
        """Says goodbye with a code, after everything already on its way; nothing is sent after it."""
        if self._has_ended or self.ws.state is not State.OPEN:
            return
        self._stop()
        self.ws.send_close(int(code), reason)
        self._relay()
        self._write_all()

    def fail(self) -> None:
        """Ends the connection for a fault of ours: the client comes back and resumes."""
        self.ws.fail(1011, "internal error")
        self._relay()

    def leave(self) -> None:
        """Closes the socket once everything written has gone out."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Drops the socket."""
        if self.transport is not None:
            self.transport.abort()

    def _stop(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self._flowing = False
        self._backlog = Backlog(lag_bytes=self._settings.lag_bytes, close_bytes=self._settings.close_bytes)
        self._door.ended(self)
        self._wake()
