"""The port's plain HTTP: health, readiness, and what is said to those who may not come in."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from gridsignal_services.telemetry import Health

STREAM = "/v1/stream"
Page = Callable[[ServerProtocol, Health], Response]
_TOKEN_NAMES = frozenset({"token", "access_token", "bearer", "authorization"})


def said(ws: ServerProtocol, status: int, text: str, **headers: str) -> Response:
    """A short answer; the connection ends with it. Header names are written with underscores."""
    response = ws.reject(status, text + "\n")
    response.headers["Cache-Control"] = "no-store"
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def plain(ws: ServerProtocol, request: Request, health: Health) -> Response | None:
    """The answer to anything but a wish for the stream; None where that is what was asked for."""
    try:
        url = urlsplit(request.path)
    except ValueError:
        return said(ws, 400, "expected a path")
    if url.path == STREAM:
        return _query_fault(ws, url.query)
    page = _PAGES.get(url.path)
    if page is None:
        return said(ws, 404, "not found")
    if request.method not in ("GET", "HEAD"):
        return said(ws, 405, "method not allowed", Allow="GET")
    response = page(ws, health)
    if request.method == "HEAD":
        response.body = b""
    return response


def _query_fault(ws: ServerProtocol, query: str) -> Response | None:
    if any(name.lower() in _TOKEN_NAMES for name, _ in parse_qsl(query, keep_blank_values=True)):
        return said(ws, 400, "expected the token in the Authorization header or in hello, never in the URL")
    return None


def _health(ws: ServerProtocol, health: Health) -> Response:
    return said(ws, 200, "ok") if health.live else said(ws, 503, "not ok")


def _readiness(ws: ServerProtocol, health: Health) -> Response:
    return said(ws, 200, "ready") if health.ready else said(ws, 503, "not ready", Retry_After="1")


_PAGES: dict[str, Page] = {"/healthz": _health, "/readyz": _readiness}
"""Reasons and metrics are on the operations port: they tell of everybody's activity."""
