"""HTTP doors under uvicorn: a server without hands on the process's signals, and the pages every service has."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI, Response
from fastapi_offline import FastAPIOffline
from uvicorn.protocols.http.h11_impl import H11Protocol

from gridsignal_services.addresses import address_of, listening
from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import Health

HEADER_S = 10.0
"""A request's header that takes longer is not waited for."""
_BACKLOG = 1024
_GRACE_S = 5


def application(**described: Any) -> FastAPI:
    """An application whose /docs needs nothing from elsewhere: a control room's network ends at its walls."""
    # without a validator the page would show a badge that another host draws
    return FastAPIOffline(redoc_url=None, swagger_ui_parameters={"validatorUrl": None}, **described)


def add_pages(app: FastAPI, health: Health, useless: Callable[[], str] = str) -> None:
    """/healthz and /readyz: a word and a status. `useless` says why a service that runs is no use, or nothing.

    Reasons and metrics are on the operations port: they tell of everybody's activity.
    """

    @app.get("/healthz", include_in_schema=False)
    async def live() -> Response:
        return _said(health.live and not useless(), "ok", "not ok")

    @app.get("/readyz", include_in_schema=False)
    async def ready() -> Response:
        return _said(health.ready, "ready", "not ready")


def _said(well: bool, yes: str, no: str) -> Response:
    return Response(f"{yes if well else no}\n", 200 if well else 503, media_type="text/plain")


class HttpServer:
    """Serves one application on one port.

    Bounded: 1000 connections at once, `header_s` for a request's header. When full: 503; who drips is hung up on.
    """

    def __init__(self, app: FastAPI, settings: ServerSettings, port: int, *, header_s: float = HEADER_S) -> None:
        self._at = (settings.host, port)
        self._socket: socket.socket | None = None
        self._server = _Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                lifespan="off",
                server_header=False,
                http=type("Prompt", (Prompt,), {"header_s": header_s}),
                ws="none",
                limit_concurrency=1000,
                timeout_graceful_shutdown=_GRACE_S,
                ssl_certfile=settings.tls_certificate,
                ssl_keyfile=settings.tls_key,
            )
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, once it listens."""
        assert self._socket is not None, "not started"
        return address_of(self._socket)

    def listen(self) -> None:
        """Takes the port. Raises OSError where it is taken."""
        self._socket = listening(*self._at, backlog=_BACKLOG)

    async def serve(self) -> None:
        """Answers until `stop`."""
        assert self._socket is not None, "listen first"
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._socket.close()

    def renew_certificate(self) -> None:
        """Reads its certificate again, for connections that come from now on."""
        config = self._server.config
        if config.loaded and config.ssl is not None and config.ssl_certfile is not None:
            config.ssl.load_cert_chain(config.ssl_certfile, config.ssl_keyfile)

    def stop(self) -> None:
        """Takes no more requests and answers those under way; `serve` then returns."""
        self._server.should_exit = True


class Prompt(H11Protocol):
    """Hangs up on whoever connects and doesn't say in time what they want: uvicorn itself would wait for ever."""

    header_s = HEADER_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:  # the header is not whole yet
            self._arm()
        else:
            self._disarm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.header_s, self.transport.close)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    """The process's signals belong to whoever runs the stack."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
