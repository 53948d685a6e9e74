"""What is spoken on a connection: bytes in, messages out, and the other way round."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Protocol, TypeAlias

from websockets.http11 import Request

from gridsignal_schemas.frames import Frame
from gridsignal_services.gateway.rendering import Encoding


class Heard(enum.Enum):
    """What came in and has no text."""

    BINARY = enum.auto()
    """A binary message."""
    NOTHING = enum.auto()
    """What asks for nothing: a ping, a pong, a fragment that is not the last, bytes on a wire that goes one way."""


Message: TypeAlias = Request | bytes | Heard
"""A request, a text message, or what has no text."""


class Wire(Protocol):
    """A wire format: what comes in is taken apart, what goes out is put together."""

    @property
    def encoding(self) -> Encoding:
        """How groups render what they send to it."""

    def receive(self, piece: bytes) -> Iterator[Message]:
        """The next bytes: what they complete, one after the other, each dealt with before the next is looked at."""

    def receive_eof(self) -> bool:
        """The peer sends nothing more; whether it still waits for an answer."""

    def lost(self) -> None:
        """The socket is gone."""

    def ping(self) -> None:
        """Asks for a sign of life."""

    def said(self, frame: Frame) -> None:
        """A frame is on its way to the peer."""

    def close(self, code: int, reason: str) -> None:
        """Says goodbye, behind everything sent before."""

    def fail(self, code: int, reason: str) -> None:
        """Says goodbye and takes nothing more."""
