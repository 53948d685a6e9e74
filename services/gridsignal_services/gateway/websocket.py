"""One client's socket: bytes in, whole WebSocket messages out.

`websockets` supplies the protocol without I/O (RFC 6455 handshake, masking, fragments, close); this module supplies
the socket, because what is sent is the same bytes for a whole group and leaves in one write per connection.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from gridsignal_schemas.frames import ANSWER_HEADER, SUBPROTOCOL_AVRO, SUBPROTOCOL_JSON, CloseCode
from gridsignal_services.gateway.hub import Group
from gridsignal_services.gateway.inlet import Inlet
from gridsignal_services.gateway.outlet import Outlet
from gridsignal_services.gateway.session import Session
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.turns import Share

if TYPE_CHECKING:
    from websockets.typing import Origin

_NOT_UTF8 = 1007
_TOO_BIG = 1009
_FAULT_OF_OURS = 1011


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

    def counted(self, connection: Connection) -> None:
        """A ping, a pong or a fragment that is not the last."""

    def has_unread(self, connection: Connection) -> None:
        """Bytes have come, which are worked off when it is the connection's turn."""

    def wrote(self, connection: Connection) -> None:
        """The connection has something to send in this tick."""

    def stuck(self, connection: Connection) -> None:
        """The connection's socket is full."""

    def schema_message(self, schema_id: int) -> bytes: ...

    def ended(self, connection: Connection, code: int | None) -> None:
        """Nothing more is sent: out of every group. Told once, with the close code where it is ours."""

    def lost(self, connection: Connection) -> None:
        """The socket is gone."""

    def broke(self, connection: Connection, fault: Exception) -> None:
        """Something of ours went wrong with what came in."""


class Connection(Inlet, Outlet):
    """A socket between a client and its session.

    Bounded: one message of `frame_bytes` and `frame_fragments`; what comes in before that, see Inlet; what goes out,
    see Outlet. When full: a larger message closes with 1009. Conflates: see backlog.
    """

    def __init__(self, door: Door, settings: GatewaySettings, address: str, share: Share) -> None:
        Inlet.__init__(self, settings, share)
        Outlet.__init__(self, settings)
        self._door = door
        self.address = address
        """Where it comes from."""
        self.counted_for: str | None = None
        """The organisation among whose connections it is counted."""
        self.arriving: asyncio.Task[object] | None = None
        """What gives it its socket, TLS included."""
        self.session: Session | None = None
        self.groups: dict[str, Group] = {}
        """Joined and being joined, by sub."""
        self.joins: dict[str, asyncio.Task[None]] = {}
        self.turn = asyncio.Lock()
        """Whose turn it is among its writes: what is sent in an order is logged in it."""
        self.opened_s = self.heard_s = self.pinged_s = door.now_s()
        self.closing_s: float | None = None
        """Since when the end is awaited."""
        self._parts: list[bytes] = []
        self._is_text = True

    @cached_property
    def ws(self) -> ServerProtocol:
        """The protocol's state; nothing until something comes in."""
        origins: list[Origin | None] = [None, *self._settings.origins]  # type: ignore[list-item]  # a NewType over str
        return ServerProtocol(
            origins=origins,
            subprotocols=[SUBPROTOCOL_JSON, SUBPROTOCOL_AVRO],  # type: ignore[list-item]  # a NewType over str
            max_size=self._settings.frame_bytes,
        )

    # --- the socket ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.plug(transport)
        self._door.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._door.lost(self)

    def eof_received(self) -> bool:
        self.ws.receive_eof()
        self._react()
        return False  # the transport closes itself once everything is written

    def pause_writing(self) -> None:
        self.stop_writing(self._door.now_s())
        self._door.stuck(self)

    def resume_writing(self) -> None:
        self.go_on_writing()

    # --- what the outlet asks for --------------------------------------------------------------------------------

    def wrote(self) -> None:
        self._door.wrote(self)

    def schema_message(self, schema_id: int) -> bytes:
        return self._door.schema_message(schema_id)

    # --- what comes in -------------------------------------------------------------------------------------------

    def has_unread(self) -> None:
        self._door.has_unread(self)

    def sign_of_life(self) -> None:
        self.heard_s = self._door.now_s()

    @property
    def early_bytes(self) -> int | None:
        if self.session is None:
            return self._settings.header_bytes
        return None if self.session.is_open else self._settings.header_bytes + self._settings.hello_bytes

    def take_in(self, piece: bytes) -> None:
        try:
            self.ws.receive_data(piece)
            self._react()
        except Exception as fault:  # one connection's end is not the others': this one comes back, the rest goes on
            self._door.broke(self, fault)

    def _react(self) -> None:
        for event in self.ws.events_received():
            if isinstance(event, Request):
                response = self._door.upgrade(self, event)
                response.headers[ANSWER_HEADER] = "gateway"
                self.ws.send_response(response)
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
                elif len(self._parts) < self._settings.frame_fragments:
                    self._door.counted(self)
                else:
                    self._refuse(_TOO_BIG, "too many fragments")
            case Opcode.CLOSE:
                self._stop()
            case _:
                self._door.counted(self)

    def _message(self, whole: bytes) -> None:
        if not self._is_text:
            self._door.received_binary(self)
            return
        try:
            whole.decode("utf-8")
        except UnicodeDecodeError:
            self._refuse(_NOT_UTF8, "expected UTF-8")
            return
        self._door.received(self, whole)

    def _refuse(self, code: int, reason: str) -> None:
        self._parts = []
        self._stop(code)
        self.ws.fail(code, reason)

    def _relay(self) -> None:
        """Sends what the WebSocket protocol itself answers: pongs and closes, behind everything sent before."""
        for part in self.ws.data_to_send():
            if part:
                self.send_late(part)
            else:
                self._finish()
        if self.ws.close_expected() and self.closing_s is None:
            self.closing_s = self._door.now_s()

    def _finish(self) -> None:
        """Half-closes, so that the peer still reads what was sent; the wheel drops it when it does not answer."""
        self._stop(self.ws.close_sent.code if self.ws.close_sent is not None else None)
        self.closing_s = self._door.now_s() if self.closing_s is None else self.closing_s
        if self.transport is None or self.transport.is_closing():
            return
        self.write_all()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    # --- the end -------------------------------------------------------------------------------------------------

    @property
    def is_live(self) -> bool:
        """Whether frames may still be sent."""
        return self.session is not None and not self.has_ended

    def ping(self, now_s: float) -> None:
        """Asks for a sign of life."""
        self.pinged_s = now_s
        self.ws.send_ping(b"")
        for part in self.ws.data_to_send():
            self.send_message(part)

    def close(self, code: CloseCode, reason: str) -> None:
        """Says goodbye with a code, after everything already on its way; nothing is sent after it."""
        if self.has_ended or self.ws.state is not State.OPEN:
            return
        self._stop(int(code))
        self.ws.send_close(int(code), reason)
        self._relay()
        self.write_all()

    def fail(self) -> None:
        """Ends the connection for a fault of ours: the client comes back and resumes."""
        self._refuse(_FAULT_OF_OURS, "internal error")
        self._relay()

    def leave(self) -> None:
        """Closes the socket once everything written has gone out."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Drops the socket."""
        if self.transport is not None:
            self.transport.abort()
        elif self.arriving is not None:
            self.arriving.cancel()

    def _stop(self, code: int | None = None) -> None:
        if self.end():
            self._door.ended(self, code)
