"""The WebSocket wire: bytes in, whole messages out.

`websockets` supplies the protocol without I/O (RFC 6455 handshake, masking, fragments, close); the connection supplies
the socket, because what is sent is the same bytes for a whole group and leaves in one write per connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from gridsignal_protocol.server.closing import NOT_UTF8, TOO_MANY_PARTS, Close
from gridsignal_schemas.frames import ANSWER_HEADER, SUBPROTOCOL_AVRO, SUBPROTOCOL_JSON, Frame
from gridsignal_services.gateway.rendering import Encoding
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.wire import Heard, Message
from gridsignal_services.rest.problems import Problem

if TYPE_CHECKING:
    from websockets.typing import Origin

    from gridsignal_services.gateway.connection import Connection


def handshake(request: Request, settings: GatewaySettings) -> tuple[ServerProtocol, Response | Problem]:
    """The protocol from the handshake on, and what accepts the request, or what is wrong with it."""
    origins: list[Origin | None] = [None, *settings.origins, *settings.consoles]  # type: ignore[list-item]  # a NewType over str
    protocol = ServerProtocol(
        origins=origins,
        subprotocols=[SUBPROTOCOL_JSON, SUBPROTOCOL_AVRO],  # type: ignore[list-item]  # a NewType over str
        state=State.OPEN,  # the request was read before
        max_size=settings.frame_bytes,
    )
    accepted = protocol.accept(request)
    if accepted.status_code == 101:
        accepted.headers[ANSWER_HEADER] = "gateway"
        return protocol, accepted
    faults: list[BaseException] = []
    fault: BaseException | None = protocol.handshake_exc
    while fault is not None:
        faults.append(fault)
        fault = fault.__cause__
    demanded = {name: accepted.headers[name] for name in ("Allow", "Upgrade") if name in accepted.headers}
    detail = f"expected a WebSocket handshake: {'; '.join(map(str, faults))}"
    return protocol, Problem(accepted.status_code, "handshake", detail, headers=demanded)


class WebSocketWire:
    """A WebSocket from its handshake on.

    Bounded: one message of `frame_bytes` and `frame_fragments`. When full: a larger one closes with 1009.
    Conflates: nothing.
    """

    def __init__(
        self, connection: Connection, protocol: ServerProtocol, accepted: Response, settings: GatewaySettings
    ) -> None:
        self._connection, self._protocol, self._settings = connection, protocol, settings
        self.encoding: Encoding = "avro" if protocol.subprotocol == SUBPROTOCOL_AVRO else "json"
        self._parts: list[bytes] = []
        self._is_text = True
        connection.send_message(accepted.serialize())

    # --- in ------------------------------------------------------------------------------------------------------

    def receive(self, piece: bytes) -> Iterator[Message]:
        self._protocol.receive_data(piece)
        for event in self._protocol.events_received():
            if isinstance(event, WireFrame) and not self._connection.has_ended:
                message = self._message(event)
                if message is not None:
                    yield message
        self._relay()

    def receive_eof(self) -> bool:
        self._protocol.receive_eof()
        self._relay()
        return False

    def lost(self) -> None:
        self._parts = []

    def _message(self, frame: WireFrame) -> Message | None:
        """What the frame completes; None where the connection ends with it."""
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                if frame.opcode is not Opcode.CONT:
                    self._is_text = frame.opcode is Opcode.TEXT
                self._parts.append(bytes(frame.data))
                if frame.fin:
                    return self._whole()
                if len(self._parts) < self._settings.frame_fragments:
                    return Heard.NOTHING
                self._refuse(TOO_MANY_PARTS)
                return None
            case Opcode.CLOSE:
                self._connection.stop()
                return None
            case _:
                return Heard.NOTHING

    def _whole(self) -> Message | None:
        whole, self._parts = b"".join(self._parts), []
        if not self._is_text:
            return Heard.BINARY
        try:
            whole.decode("utf-8")
        except UnicodeDecodeError:
            self._refuse(NOT_UTF8)
            return None
        return whole

    def _refuse(self, end: Close) -> None:
        self._connection.stop(int(end.code))
        self.fail(int(end.code), end.reason)

    # --- out -----------------------------------------------------------------------------------------------------

    def ping(self) -> None:
        self._protocol.send_ping(b"")
        for part in self._protocol.data_to_send():
            self._connection.send_message(part)

    def said(self, frame: Frame) -> None:
        """Whoever gets an error may go on."""

    def close(self, code: int, reason: str) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
        self._relay()

    def fail(self, code: int, reason: str) -> None:
        self._parts = []
        self._protocol.fail(code, reason)
        self._relay()

    def _relay(self) -> None:
        """Sends what the WebSocket protocol itself answers: pongs and closes, behind everything sent before."""
        for part in self._protocol.data_to_send():
            if part:
                self._connection.send_late(part)
            else:
                self._finish()
        if self._protocol.close_expected():
            self._connection.await_end()

    def _finish(self) -> None:
        sent = self._protocol.close_sent
        self._connection.stop(sent.code if sent is not None else None)
        self._connection.finish()
