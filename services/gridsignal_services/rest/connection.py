"""One connection of an HTTP door: uvicorn's, with deadlines for what it would wait for without end.

What it reads costs by its bytes: uvicorn works off a whole read at once, up to 256 KiB, and a read of nothing but
one-byte chunks or empty header lines would hold the loop for a second, before anybody has shown a token.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from gridsignal_services.rest.limits import RestLimits

_HEADER_BYTES = 32 * 1024
"""A longer header is no request. A token of 8 KiB has its place in it, and what proxies add."""
_HEADER_LINES = 128
"""A header of more lines is none either."""
_PIECES, _PIECE_BYTES = 64, 256
"""A body comes in so many pieces at most, chunks or reads, and one more for each so many bytes of it."""
_BODY = 2
"""A whole body may take so many times as long as a header; whoever reads one has a shorter deadline and an answer."""


class Host(Protocol):
    """The server, as far as its connections know it."""

    limits: RestLimits

    def admit(self, connection: Connection) -> None:
        """The connection has shown a good token."""

    def left(self, connection: Connection) -> None:
        """The connection is gone."""


class _Reading(h11.Connection):
    """What comes in, as long as it is worth its work.

    Bounded: a header's bytes and lines, a body's pieces. When full: it is no HTTP. Conflates: nothing.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, _HEADER_BYTES)
        self._pieces = self._bytes = 0

    def next_event(self) -> Any:
        """See h11.Connection.next_event."""
        if self.their_state is h11.IDLE and _is_too_long(self.trailing_data[0]):
            raise h11.RemoteProtocolError("header too long", error_status_hint=431)
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._pieces = self._bytes = 0
        elif isinstance(event, h11.Data):
            self._pieces += 1
            self._bytes += len(event.data)
            if self._pieces > _PIECES + self._bytes // _PIECE_BYTES:
                raise h11.RemoteProtocolError("body in too many pieces")
        return event


def _is_too_long(unread: bytes) -> bool:
    """Whether what begins here, whole or not, is more than a header may be."""
    ends = [end for end in (unread.find(b"\n\r\n"), unread.find(b"\n\n")) if end >= 0]
    header = unread[: min(ends, default=len(unread))]
    return len(header) > _HEADER_BYTES or header.count(b"\n") > _HEADER_LINES


class Connection(H11Protocol):
    """Hangs up on whoever does not say in time what they want, or does not read what they asked for.

    What waits in it is bounded by uvicorn: one request at a time, one read of pipelined ones, 64 KiB of an answer.
    """

    def __init__(self, host: Host, address: str, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self.conn = _Reading()
        self.address = address
        self.is_admitted = False
        self.was_refused = False
        """It has shown a token, and none that is good."""
        self.arriving: asyncio.Task[object] | None = None
        """Its TLS handshake, while it lasts."""
        self._host, self._limits = host, host.limits
        self._deadline: asyncio.TimerHandle | None = None
        self._awaited: object = None
        self._unread: asyncio.TimerHandle | None = None
        self.app_state = {"connection": self}  # each request's scope has a copy as its state

    def admit(self) -> None:
        """One of its requests had a good token."""
        if not self.is_admitted:
            self.is_admitted = True
            self._host.admit(self)

    def abort(self) -> None:
        """Ends at once, whatever is under way."""
        if self.arriving is not None:
            self.arriving.cancel()
        if self.transport is not None:
            self.transport.abort()

    # --- what asyncio and uvicorn call ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        self._read()
        self._host.left(self)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        # no circles: what it has read would stay until a collection of everything, which is seldom
        self.app_state = {}
        self.cycle = self.scope = None  # type: ignore[assignment]  # as uvicorn has them before the first request

    def pause_writing(self) -> None:
        super().pause_writing()
        self._must_read()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing() and self in self.connections:
            self._must_read()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._must_read()

    def send_400_response(self, msg: str) -> None:
        """What comes is no HTTP, or not worth its work: said so where no answer has begun, and none begins later."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
            self._must_read()
        else:
            self.transport.abort()

    def _unsupported_upgrade_warning(self) -> None:
        """The guard answers it; uvicorn would log an advice to install something."""

    # --- deadlines -----------------------------------------------------------------------------------------------

    def _expect(self) -> None:
        """The rest of a header, or of a body, in time; nothing while its request is answered."""
        awaited = self.conn.their_state
        if awaited is self._awaited and self._deadline is not None:
            return
        self._expect_nothing()
        self._awaited = awaited
        if awaited is h11.IDLE:
            self._deadline = self.loop.call_later(self._limits.header_timeout_s, self._hang_up)
        elif awaited is h11.SEND_BODY:
            self._deadline = self.loop.call_later(_BODY * self._limits.header_timeout_s, self._hang_up)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _hang_up(self) -> None:
        self.transport.close()
        self._must_read()

    def _must_read(self) -> None:
        """What was written must be taken in time; a transport that closes would wait for it without end."""
        if self._unread is None:
            self._unread = self.loop.call_later(self._limits.send_timeout_s, self.transport.abort)

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
