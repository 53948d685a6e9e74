"""Opening a WebSocket, and why none came to be: the upgrade, what answered it, and what may be logged of it."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus, NegotiationError
from websockets.frames import Frame as WireFrame
from websockets.typing import Subprotocol

from gridsignal.errors import GridsignalError, ProtocolViolation, Untrusted, UsageError
from gridsignal.route import Route
from gridsignal.tls import explained
from gridsignal_schemas.frames import ANSWER_HEADER, SUBPROTOCOL_JSON

MAX_SERVER_FRAME = 4 * 1024 * 1024
CLOSE_S = 2.0
_ABNORMAL = 1006
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_BEARER = re.compile(r"(?i:bearer )\S+|eyJ[\w-]{4,}\.[\w.-]*")
_HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a connection ended, or why none came to be."""

    code: int = _ABNORMAL
    reason: str = ""
    status: int | None = None
    """The HTTP status, where the gateway answered the upgrade with something else than 101."""
    retry_after: str | None = None
    """The Retry-After header beside it."""
    marked: bool = False
    """Whether the answer bears the gateway's mark: surely its own, and not of something in front of it."""
    location: str | None = None
    """Where a redirect leads; it is not followed."""
    fault: GridsignalError | None = None
    """What can't be mended by waiting, unless something in front of the gateway said it."""


class Lost(Exception):
    """The connection ended before it was welcomed; caught by `lines` and never shown to users."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(f"{ended.code} {ended.reason}")
        self.ended = ended


class Socket(ClientConnection):
    """Notes that something arrived: any byte counts as life, and the library alone sees pings and pongs."""

    heard = True
    broken: Exception | None = None
    """What broke the socket."""

    def data_received(self, data: bytes) -> None:
        self.heard = True
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.broken = exc
        super().connection_lost(exc)


class _Open(open_websocket):
    """Follows no redirect: the token is for the host the user named, and so is what comes after it."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class WithoutSecrets(logging.Filter):
    """What the library logs at DEBUG is headers and frames, and some of them are tokens."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            named = any(isinstance(arg, str) and arg.lower() in _SECRET_HEADERS for arg in record.args[:-1])
            record.args = (*record.args[:-1], _HIDDEN) if named else tuple(map(_without_secret, record.args))
        return True


def _without_secret(arg: object) -> object:
    if isinstance(arg, WireFrame) and b'"token"' in bytes(arg.data):
        return _HIDDEN
    return _BEARER.sub(_HIDDEN, arg) if isinstance(arg, str) else arg


_library_log = logging.getLogger("gridsignal.websocket.library")
_library_log.addFilter(WithoutSecrets())


async def upgrade(route: Route, token: str, opened: list[Socket]) -> Socket:
    """Opens a socket along the route; `opened` gets it at once, for whoever clears up after a failure."""

    def noted(*args: Any, **options: Any) -> Socket:
        opened.append(Socket(*args, **options))
        return opened[-1]

    secured: dict[str, Any] = {} if route.tls is None else {"ssl": route.tls}
    socket = await _Open(
        route.url,
        subprotocols=[Subprotocol(SUBPROTOCOL_JSON)],
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        proxy=route.proxy.url if route.proxy is not None else None,
        open_timeout=None,
        ping_interval=None,  # ours counts any inbound byte as life, and forgives stalls of the loop
        close_timeout=CLOSE_S,
        max_size=MAX_SERVER_FRAME,
        max_queue=1024,
        create_connection=noted,  # type: ignore[arg-type]  # a function that makes one, so that it is known if all fails
        logger=_library_log,
        **secured,
    )
    assert isinstance(socket, Socket)
    if socket.subprotocol != SUBPROTOCOL_JSON:
        raise NegotiationError(f"expected the subprotocol {SUBPROTOCOL_JSON}, got {socket.subprotocol!r}")
    return socket


def why(error: Exception, opened: list[Socket], route: Route) -> Ended:
    """What kept a line from coming to be."""
    if isinstance(error, InvalidStatus):
        headers = error.response.headers
        return Ended(
            status=error.response.status_code,
            retry_after=headers.get("Retry-After"),
            marked=ANSWER_HEADER in headers,
            location=headers.get("Location"),
        )
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return ended(error)
    broken = [socket.broken for socket in opened if socket.broken is not None]
    if distrust := next(filter(None, map(explained, [error, *broken])), None):
        return Ended(reason=distrust, fault=Untrusted(distrust))
    if isinstance(error, NegotiationError):
        return Ended(fault=ProtocolViolation(f"the gateway speaks no {SUBPROTOCOL_JSON}: {error}"))
    if isinstance(error, GridsignalError):
        return Ended(reason=str(error), fault=error)
    if isinstance(error, ValueError):  # a host that can be no name of one
        return Ended(fault=UsageError(f"expected a url with a host that can be reached, got: {error}"))
    return Ended(reason=(str(error) or type(error).__name__) + _hint(error, route))


def _hint(error: Exception, route: Route) -> str:
    if route.proxy is not None:
        return f" (by way of the proxy in {route.proxy.variable})"
    if not isinstance(error, InvalidMessage):
        return ""
    if route.tls is None:
        return " (where it speaks TLS: wss://)"
    return " (where it asks for a client certificate: certfile= and keyfile=, in the commands --cert and --cert-key)"


def ended(closed: ConnectionClosed) -> Ended:
    """How a line ended."""
    if closed.rcvd is None:
        return Ended(reason=str(closed))
    return Ended(closed.rcvd.code, closed.rcvd.reason)
