"""A connection to a real gateway without a socket: what is sent lies here until a test lets it arrive."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from gridsignal.websocket import decode
from gridsignal_protocol.client.conversation import Connection
from gridsignal_protocol.server.closing import Close
from gridsignal_schemas.frames import SUBPROTOCOL_JSON, CloseCode, Frame
from gridsignal_services.gateway.service import Gateway

_NETWORK = "192.0.2.1"
_URI = parse_uri("ws://gateway/v1/stream")


@dataclass(frozen=True)
class Ended:
    """The gateway has closed the connection."""

    code: int
    reason: str


class Pipe(asyncio.Transport):
    """What the gateway takes for its socket: it takes everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Wire:
    """One connection with the frames that are under way in both directions."""

    def __init__(self, gateway: Gateway, token: str, connection: Connection) -> None:
        self.connection = connection
        self.up: deque[Frame] = deque()
        self.down: deque[Frame | Ended] = deque()
        self._pipe = Pipe()
        self._protocol = ClientProtocol(_URI, subprotocols=[Subprotocol(SUBPROTOCOL_JSON)])
        self._gateway_side = gateway._connection(_NETWORK)
        gateway._conversations.arrivals.arrive(self._gateway_side, _NETWORK)
        self._gateway_side.connection_made(self._pipe)
        request = self._protocol.connect()
        request.headers["Authorization"] = f"Bearer {token}"
        self._protocol.send_request(request)
        self._pass_on()

    def arrive(self, *frames: Frame) -> None:
        """Frames reach the gateway at once."""
        if not self._pipe.is_closed and self._protocol.close_rcvd is None:
            for frame in frames:
                self._protocol.send_text(frame.encode().encode())
            self._pass_on()

    def hear(self) -> None:
        """Takes what the gateway has written: it is on its way down."""
        while self._pipe.written:
            written, self._pipe.written = bytes(self._pipe.written), bytearray()
            self._protocol.receive_data(written)
            for event in self._protocol.events_received():
                if isinstance(event, WireFrame) and event.opcode is Opcode.TEXT:
                    if (frame := decode(bytes(event.data).decode())) is not None:
                        self.down.append(frame)
                elif isinstance(event, WireFrame) and event.opcode is Opcode.CLOSE:
                    closed = self._protocol.close_rcvd
                    assert closed is not None
                    self.down.append(Ended(closed.code, closed.reason))
            self._pass_on()

    def lose(self) -> None:
        """The socket is gone, and all that was under way with it."""
        self.up.clear()
        self.down.clear()
        if not self._pipe.is_closed or self._gateway_side.transport is not None:
            self._pipe.is_closed = True
            self._gateway_side.connection_lost(None)

    def close(self, code: CloseCode) -> None:
        """The gateway closes it."""
        self._gateway_side.close(Close(code, "as the test wants it"))

    def _pass_on(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        for start in range(0, len(data), 4096):
            piece = data[start : start + 4096]
            self._gateway_side.get_buffer(-1)[: len(piece)] = piece
            self._gateway_side.buffer_updated(len(piece))
