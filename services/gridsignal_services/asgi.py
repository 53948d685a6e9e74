"""HTTP doors under uvicorn: a server without hands on the process's signals, and the pages every service has."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry

from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import METRICS_CONTENT_TYPE, Health, metrics

_BACKLOG = 1024
_GRACE_S = 5


def add_pages(app: FastAPI, health: Health, registry: CollectorRegistry) -> None:
    """/healthz, /readyz and /metrics."""

    @app.get("/healthz", include_in_schema=False)
    async def live() -> Response:
        return _told(health.live, "ok", health.reason)

    @app.get("/readyz", include_in_schema=False)
    async def ready() -> Response:
        return _told(health.ready, "ready", health.reason)

    @app.get("/metrics", include_in_schema=False)
    async def show() -> Response:
        return Response(metrics(registry), headers={"Content-Type": METRICS_CONTENT_TYPE})


def _told(well: bool, yes: str, no: str) -> Response:
    return Response(f"{yes if well else no}\n", 200 if well else 503, media_type="text/plain")


class HttpServer:
    """Serves one application on one port. Bounded: 1000 requests at once; more are answered 503."""

    def __init__(self, app: FastAPI, settings: ServerSettings, port: int) -> None:
        self._at = (settings.host, port)
        self._socket: socket.socket | None = None
        self._server = _Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                lifespan="off",
                server_header=False,
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
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def listen(self) -> None:
        """Takes the port. Raises OSError where it is taken."""
        self._socket = socket.create_server(self._at, backlog=_BACKLOG)
        self._socket.setblocking(False)

    async def serve(self) -> None:
        """Answers until `stop`."""
        assert self._socket is not None, "listen first"
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Takes no more requests and answers those under way; `serve` then returns."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """The process's signals belong to whoever runs the stack."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
