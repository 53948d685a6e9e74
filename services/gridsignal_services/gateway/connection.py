"""One client's socket and its conversation, whatever wire format it is spoken in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from websockets.http11 import Response

from gridsignal_protocol.server.closing import FAULT_OF_OURS, STALLED, Close
from gridsignal_protocol.server.session import Session
from gridsignal_schemas.frames import Frame
from gridsignal_services.gateway.incoming import READ_BYTES, Incoming
from gridsignal_services.gateway.outgoing import Outgoing
from gridsignal_services.gateway.request import RequestWire
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.turns import Turns
from gridsignal_services.gateway.wheel import Lived
from gridsignal_services.gateway.wire import Message, Wire

_EARLY_LATE_BYTES, _LATE_BYTES = 512, 64 * 1024


class ConnectionHost(Protocol):
    """What a connection asks of the gateway."""

    turns: Turns
    lived: Lived

    def opened(self, connection: Connection) -> None:
        """A socket is there; nothing has been read."""

    def heard(self, connection: Connection, message: Message) -> None:
        """Something has come in whole; after a request, what follows belongs to the connection's wire."""

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


class Connection(Incoming, Outgoing):
    """A socket between a client and its session.

    Bounded: what comes in, see Incoming and the wire; what goes out, see Outgoing. Conflates: see backlog.
    """

    def __init__(self, door: ConnectionHost, settings: GatewaySettings, address: str) -> None:
        Incoming.__init__(self, settings, door.turns, door.lived)
        Outgoing.__init__(self, settings)
        self.door = door
        self.address = address
        """Where it comes from."""
        self.counted_for: str | None = None
        """The organisation among whose connections it is counted."""
        self.arriving: asyncio.Task[object] | None = None
        """What gives it its socket, TLS included."""
        self.wire: Wire = RequestWire(self, settings)
        """Of its request, then of what that has become."""
        self.session: Session | None = None
        self.looks: set[asyncio.Task[None]] = set()
        """Questions under way: nobody is told the answer once it has ended."""
        self.turn = asyncio.Lock()
        """Whose turn it is among its writes: what is sent in an order is logged in it."""
        self.opened_s = door.lived.now_s
        self.closing_s: float | None = None
        """Since when the end is awaited."""

    # --- the socket ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.plug(transport)
        self.door.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop()
        self.wire.lost()
        self.door.lost(self)

    def said_all(self) -> bool:
        return self.wire.receive_eof()

    def pause_writing(self) -> None:
        self.stop_writing(self.door.lived.now_s)
        self.door.stuck(self)

    def resume_writing(self) -> None:
        self.go_on_writing()

    # --- what the outgoing half asks for -------------------------------------------------------------------------

    def wrote(self) -> None:
        self.door.wrote(self)

    def schema_message(self, schema_id: int) -> bytes:
        return self.door.schema_message(schema_id)

    def send(self, frame: Frame) -> None:
        super().send(frame)
        self.wire.said(frame)

    def tell(self) -> None:
        """Sends what the session has decided."""
        assert self.session is not None
        for frame in self.session.frames_to_send():
            self.send(frame)

    def speak(self, wire: Wire) -> None:
        """What it is from now on."""
        self.wire, self.encoding = wire, wire.encoding

    # --- what comes in -------------------------------------------------------------------------------------------

    @property
    def waits_for_answers(self) -> bool:
        """Whether something it has written or asked is under way."""
        return self.session is not None and self.session.unanswered > 0 and not self.has_ended

    @property
    def is_held(self) -> bool:
        # one that waits for nothing is read all the same: no sibling is shut out
        return self.share.unanswered >= self._settings.organisation_unanswered and self.waits_for_answers

    @property
    def early_bytes(self) -> int | None:
        if self.session is None:  # what is read at once is looked at before more is read: the wire refuses it first
            return self._settings.header_bytes + 2 * READ_BYTES
        return None if self.session.is_open else self._settings.header_bytes + self._settings.hello_bytes

    @property
    def late_bytes(self) -> int:
        return _EARLY_LATE_BYTES if self.session is not None and not self.session.is_open else _LATE_BYTES

    def take_in(self, piece: bytes) -> None:
        try:
            for message in self.wire.receive(piece):
                self.door.heard(self, message)
        except Exception as fault:  # one connection's end is not the others': this one comes back, the rest goes on
            self.door.broke(self, fault)

    # --- the end -------------------------------------------------------------------------------------------------

    @property
    def is_live(self) -> bool:
        """Whether frames may still be sent."""
        return self.session is not None and not self.has_ended

    def close(self, end: Close) -> None:
        """Says goodbye with a code, after everything already on its way; nothing is sent after it."""
        if self.is_live:
            self.stop(int(end.code))
            self.wire.close(int(end.code), end.reason)
            self.write_all()

    def fail(self) -> None:
        """Ends the connection for a fault of ours: the client comes back and resumes."""
        self.stop(int(FAULT_OF_OURS.code))
        self.wire.fail(int(FAULT_OF_OURS.code), FAULT_OF_OURS.reason)

    def respond(self, response: Response) -> None:
        """The last that is said over HTTP, behind everything sent before."""
        self.say_last(response.serialize())

    def say_last(self, data: bytes) -> None:
        """Likewise, as bytes: what is left of an answer that has begun."""
        self.stop()
        self.pour(data)

    def poured(self) -> None:
        self.finish()

    def finish(self) -> None:
        """Half-closes behind everything written, so that the peer still reads it; the wheel drops a peer that stays."""
        self.await_end()
        if self.transport is None or self.transport.is_closing():
            return
        self.write_all()
        try:
            if self.transport.can_write_eof() and not self.is_at_end:
                self.transport.write_eof()
            else:
                self.transport.close()
        except OSError:  # the peer has reset it, and no read has told so yet
            self.transport.abort()

    def await_end(self) -> None:
        """From now on only the end is awaited; the wheel drops the socket where it does not come."""
        if self.closing_s is None:
            self.closing_s = self.door.lived.now_s

    def is_late(self) -> None:
        """Its request has not come in time."""
        if isinstance(self.wire, RequestWire):
            self.wire.is_late()

    def stalled(self) -> None:
        """The peer has taken nothing for too long."""
        if self.is_live:
            self.close(STALLED)
        else:
            self.abort()

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

    def stop(self, code: int | None = None) -> None:
        """Nothing more is sent but a goodbye."""
        if self.end():
            self.door.ended(self, code)


StartTask = Callable[[Connection, Coroutine[Any, Any, Any]], asyncio.Task[Any]]
"""Goes on with something of a connection's beside the loop; where that fails, the connection does."""
