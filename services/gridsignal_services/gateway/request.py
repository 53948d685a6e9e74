"""The wire of an HTTP request: bytes in, one request, one answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import h11
from websockets.datastructures import Headers
from websockets.http11 import Request

from gridsignal_schemas.frames import Frame
from gridsignal_services.gateway.http import MAX_LINES, refused
from gridsignal_services.gateway.rendering import Encoding
from gridsignal_services.gateway.wire import Message
from gridsignal_services.rest import problems
from gridsignal_services.rest.problems import Problem

if TYPE_CHECKING:
    from gridsignal_services.gateway.connection import Connection
    from gridsignal_services.gateway.settings import GatewaySettings

_MORE_LINES = 8
"""The request's own, the empty one, and what looks like lines in the bytes behind them."""
_QUOTED = re.compile(r":? b(ytearray\(b)?['\"].*", re.DOTALL)


class RequestWire:
    """A connection's one request, and all that follows it where it is refused.

    Bounded: a header of `header_bytes` and MAX_LINES. When full: 431, before its lines are looked at one by one.
    Conflates: nothing.
    """

    encoding: Encoding = "json"

    def __init__(self, connection: Connection, settings: GatewaySettings) -> None:
        self._connection, self._settings = connection, settings
        self._lines = 0
        self._is_read = False
        """The request has come, or what came is none: what follows is thrown away."""

    @cached_property
    def _reader(self) -> h11.Connection:
        """Nothing until something comes in: many sockets never say anything."""
        return h11.Connection(h11.SERVER, max_incomplete_event_size=self._settings.header_bytes)

    def receive(self, piece: bytes) -> Iterator[Message]:
        if self._is_read:
            return
        self._lines += piece.count(b"\n")
        if self._lines > MAX_LINES + _MORE_LINES:
            self._refuse(problems.too_many_headers(MAX_LINES, self._lines))
            return
        self._reader.receive_data(piece)
        try:
            event = self._reader.next_event()
        except h11.RemoteProtocolError as fault:
            self._refuse(self._problem(fault))
            return
        if isinstance(event, h11.Request):
            self._is_read = True
            yield _request(event)
            rest, _ = self._reader.trailing_data
            if rest and self._connection.wire is not self:
                yield from self._connection.wire.receive(rest)

    def receive_eof(self) -> bool:
        """Half a request is none, and nobody waits for its answer."""
        return False

    def lost(self) -> None:
        """Nothing of it is left to do."""

    def ping(self) -> None:
        """HTTP has no sign of life."""

    def said(self, frame: Frame) -> None:
        """There is no session yet that could say anything."""

    def close(self, code: int, reason: str) -> None:
        """There is no session yet that could be closed."""

    def fail(self, code: int, reason: str) -> None:
        self._refuse(problems.internal())

    def is_late(self) -> None:
        """The header has not come in time: whoever has begun one is told so."""
        if self._is_read or "_reader" not in self.__dict__:
            self._connection.abort()
        else:
            self._refuse(problems.too_slow("header"))

    def _refuse(self, problem: Problem) -> None:
        self._is_read = True
        self._connection.respond(refused(problem))

    def _problem(self, fault: h11.RemoteProtocolError) -> Problem:
        match fault.error_status_hint:
            case 431:
                return problems.header_too_large("", self._settings.header_bytes, None)
            case 501:
                return problems.not_implemented(f"expected a request without a body: {fault}")
            case _:  # what was sent is not repeated: it may hold a token
                return problems.bad_request("HTTP", "", f"expected an HTTP request: {_QUOTED.sub('', str(fault))}")


def _request(event: h11.Request) -> Request:
    headers = Headers([(name.decode("ascii"), value.decode("iso-8859-1")) for name, value in event.headers])
    return Request(
        event.target.decode("ascii"), headers, event.method.decode("ascii"), f"HTTP/{event.http_version.decode()}"
    )
