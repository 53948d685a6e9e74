"""The wires of `/v1/events` (server-sent events) and `/v1/poll` (an answer that waits): frames one way, none back."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.http11 import Response

from gridsignal_schemas.frames import ANSWER_HEADER
from gridsignal_services.gateway.rendering import Encoding, event

if TYPE_CHECKING:
    from gridsignal_services.gateway.connection import Connection

_RETRY_MS = 2000
_POLL_BYTES = 1024 * 1024
_DATA, _ID, _NAME = b"data: ", b"id: ", b"event: "
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


def head(status: int, phrase: str, content_type: str, **headers: str) -> Response:
    """The first lines of an answer whose end is the connection's end."""
    fields = {
        "Content-Type": content_type,
        "Cache-Control": "no-store",
        "Connection": "close",
        ANSWER_HEADER: "gateway",
    }
    return Response(
        status, phrase, Headers(fields | {name.replace("_", "-"): value for name, value in headers.items()})
    )


class EventWire:
    """A stream of events until either side ends it.

    Bounded: what the client sends is counted and dropped. When full: the session closes. Conflates: nothing.
    """

    encoding: Encoding = "events"

    def __init__(self, connection: Connection, dead_after_s: float) -> None:
        self._connection = connection
        _give_up_after(connection, dead_after_s)
        start = head(200, "OK", "text/event-stream", X_Accel_Buffering="no")
        connection.send_message(start.serialize() + f"retry: {_RETRY_MS}\n\n".encode())

    def receive(self, piece: bytes) -> None:
        self._connection.door.counted(self._connection)

    def receive_eof(self) -> None:
        self._connection.stop()
        self._connection.leave()

    def lost(self) -> None:
        """Nothing of it is left to do."""

    def ping(self) -> None:
        """A comment: nobody answers it, but a socket that is gone does not take it."""
        self._connection.sign_of_life()
        self._connection.send_message(b":\n\n")

    def close(self, code: int, reason: str) -> None:
        said = json.dumps({"t": "close", "code": code, "reason": reason}, separators=(",", ":"))
        self._connection.send_late(event("close", None, said.encode()))
        self._connection.write_all()
        self._connection.await_end()
        self._connection.leave()

    def fail(self, code: int, reason: str) -> None:
        self.close(code, reason)


class PollWire(EventWire):
    """One answer: what is new, as soon as there is something, or a cursor alone when the time is over.

    Bounded: an answer of `_POLL_BYTES` and one batch. When full: answered; the next poll goes on. A snapshot, which has
    no cursor before its end, is refused instead. Conflates: nothing.
    """

    def __init__(self, connection: Connection, dead_after_s: float, wait_s: float, polls: set[PollWire]) -> None:
        self._connection = connection
        _give_up_after(connection, dead_after_s)
        self._polls = polls
        """Those of its organisation: it is one of them until its socket is gone."""
        polls.add(self)
        self._frames: list[bytes] = []
        self._bytes = 0
        self._cursor: bytes | None = None
        self._has_news = False
        self._has_failed = False
        self._is_over = False
        self._is_answered = False
        self._until = asyncio.get_running_loop().call_later(wait_s, self._time_is_over)
        connection.put = self._collect

    def ping(self) -> None:
        self._connection.sign_of_life()

    def receive_eof(self) -> None:
        self._give_up()
        super().receive_eof()

    def lost(self) -> None:
        self._give_up()
        self._polls.discard(self)

    def _give_up(self) -> None:
        self._is_answered = True
        self._until.cancel()

    def close(self, code: int, reason: str) -> None:
        """Answers with what there is; whoever asks again is told why it may not."""
        self._connection.write_all()
        self._answer()

    def _collect(self, events: bytes) -> None:
        """Takes what a stream would be sent."""
        for line in events.split(b"\n"):
            if line.startswith(_ID):
                self._cursor = line[len(_ID) :]
            elif line.startswith(_NAME):
                self._has_news = self._has_news or line in _NEWS
                self._has_failed = self._has_failed or line == _ERROR
            elif line.startswith(_DATA):
                self._frames.append(line[len(_DATA) :])
                self._bytes += len(line)
        if self._bytes >= _POLL_BYTES or self._has_failed or ((self._is_over or self._has_news) and self._cursor):
            self._answer()

    def _time_is_over(self) -> None:
        self._is_over = True
        if self._cursor is not None:
            self._answer()

    def _answer(self) -> None:
        if self._is_answered:
            return
        self._is_answered = True
        self._until.cancel()
        content_type, body, status = "application/json", self._body(), (200, "OK")
        if self._has_failed:
            status = (503, "Service Unavailable")
        elif self._cursor is None and self._bytes >= _POLL_BYTES:  # cut here, the next poll would begin again
            content_type, body, status = "text/plain; charset=utf-8", _TOO_LONG, (400, "Bad Request")
        answer = head(*status, content_type, Content_Length=str(len(body)))
        transport = self._connection.transport
        self._connection.stop()
        if transport is not None and not transport.is_closing():
            transport.write(answer.serialize() + body)
            self._connection.await_end()
            transport.close()

    def _body(self) -> bytes:
        cursor = b',"cursor":"' + self._cursor + b'"' if self._cursor is not None else b""
        return b'{"frames":[' + b",".join(self._frames) + b"]" + cursor + b"}"


_TOO_LONG = b"snapshot: expected one of at most 1 MiB, got more: name fewer zones, or read /v1/events\n"
_NEWS = frozenset({_NAME + b"signal", _NAME + b"gap"})
_ERROR = _NAME + b"error"


def _give_up_after(connection: Connection, seconds: float) -> None:
    """Whoever only listens gives no sign of life: the system tells when what was sent is not acknowledged."""
    sock = connection.transport.get_extra_info("socket") if connection.transport is not None else None
    if sock is not None and _USER_TIMEOUT is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(seconds * 1000))
