"""The wire of `/v1/events`, server-sent events: frames one way, none back."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from websockets.http11 import Response

from gridsignal_protocol.server import closing
from gridsignal_schemas.frames import Error, Frame
from gridsignal_services.gateway.rendering import Encoding, event
from gridsignal_services.gateway.wire import Heard, Message

if TYPE_CHECKING:
    from gridsignal_services.gateway.connection import Connection

_RETRY_MS = 2000
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


class EventWire:
    """A stream of events until either side ends it.

    Bounded: what the client sends is counted and dropped. When full: the session closes. Conflates: nothing.
    """

    encoding: Encoding = "events"

    def __init__(self, connection: Connection, begun: Response, dead_after_s: float) -> None:
        self._connection = connection
        give_up_after(connection, dead_after_s)
        connection.send_message(begun.serialize() + f"retry: {_RETRY_MS}\n\n".encode())

    def receive(self, piece: bytes) -> Iterator[Message]:
        yield Heard.NOTHING

    def receive_eof(self) -> bool:
        """Who sends nothing more may still read, or has hung up: it gets what there is, and nothing waits for it."""
        self._connection.close(closing.LISTENS_NO_MORE)
        return False

    def lost(self) -> None:
        """Nothing of it is left to do."""

    def ping(self) -> None:
        """A comment: nobody answers it, but a socket that is gone does not take it."""
        self._connection.sign_of_life()
        self._connection.send_message(b":\n\n")

    def said(self, frame: Frame) -> None:
        """A subscription that failed is the end: nobody can ask for it again on this wire."""
        if isinstance(frame, Error):
            self._connection.close(closing.not_subscribed(frame))

    def close(self, code: int, reason: str) -> None:
        said = json.dumps({"t": "close", "code": code, "reason": reason}, separators=(",", ":"))
        self._connection.send_late(event("close", None, said.encode()))
        self._connection.finish()

    def fail(self, code: int, reason: str) -> None:
        self.close(code, reason)


def give_up_after(connection: Connection, seconds: float) -> None:
    """Whoever only listens gives no sign of life: the system tells when what was sent is not acknowledged."""
    sock = connection.transport.get_extra_info("socket") if connection.transport is not None else None
    if sock is not None and _USER_TIMEOUT is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # it is gone already
            sock.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(seconds * 1000))
