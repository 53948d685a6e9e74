"""HTTP doors under uvicorn: a server without hands on the process's signals, and the pages every service has."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gridsignal_services.accepting import AcceptLoop
from gridsignal_services.addresses import address_of, listening
from gridsignal_services.arrivals import ArrivalLimits, Arrivals
from gridsignal_services.clock import steady_s
from gridsignal_services.rest.connection import Connection
from gridsignal_services.rest.doorstep import Waiting
from gridsignal_services.rest.guard import Guard
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import Health, logger

_BACKLOG = 1024
_GRACE_S = 5
_SEND_BYTES = 128 * 1024
"""What the kernel keeps of an answer that is not read; left to itself it takes megabytes."""


def application(**described: Any) -> FastAPI:
    """An application whose /docs needs nothing from elsewhere: a control room's network ends at its walls."""
    # without a validator the page would show a badge that another host draws
    made = FastAPIOffline(redoc_url=None, swagger_ui_parameters={"validatorUrl": None}, **described)
    made.add_middleware(_HeadAsGet)
    _describe_once(made)
    return made


def _describe_once(made: FastAPI) -> None:
    """/openapi.json as text that is put together once: 150 KiB, for everybody who asks."""
    written: list[bytes] = []

    async def openapi(_: Request) -> Response:
        if not written:
            written.append(bytes(JSONResponse(made.openapi()).body))
        return Response(written[0], media_type="application/json")

    made.router.routes.insert(0, Route("/openapi.json", openapi))


class _HeadAsGet:
    """Answers HEAD as GET is answered: the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def add_pages(app: FastAPI, health: Health) -> None:
    """/healthz and /readyz: a word and a status.

    Reasons and metrics are on the operations port: they tell of everybody's activity.
    """

    @app.get("/healthz", include_in_schema=False)
    async def live() -> Response:
        return _said("ok", 200)

    @app.get("/readyz", include_in_schema=False)
    async def ready() -> Response:
        return _said("ready", 200) if health.ready else _said("not ready", 503)


def _said(text: str, status: int) -> Response:
    return Response(f"{text}\n", status, media_type="text/plain")


class HttpServer:
    """Serves one application on one port.

    Bounded: connections by RestLimits, those without a token apart. When full: the oldest stranger of the most crowded
    network is dropped. Conflates: nothing.
    """

    def __init__(
        self,
        app: FastAPI,
        settings: ServerSettings,
        port: int,
        limits: RestLimits | None = None,
        *,
        header_s: float | None = None,
        now_s: Callable[[], float] = steady_s,
    ) -> None:
        """`header_s` in place of the limits' own; `now_s` by which its guard goes."""
        limits = limits or RestLimits()
        if header_s is not None:
            limits = dataclasses.replace(limits, header_timeout_s=header_s)
        self._at = (settings.host, port)
        self._socket: socket.socket | None = None
        bears = limits.arrivals(settings)
        arrivals = Arrivals[Connection](bears)
        self._server = _Server(
            uvicorn.Config(
                Guard(app, arrivals, limits.files_at_once, now_s),
                interface="asgi3",
                log_config=None,  # what it says goes where ours goes
                log_level="warning",
                access_log=False,
                lifespan="off",
                proxy_headers=False,  # who asks is in the token; an address from a header would be anybody's word
                server_header=False,
                http=H11Protocol,
                ws="none",
                timeout_keep_alive=limits.idle_timeout_s,
                timeout_graceful_shutdown=_GRACE_S,
                ssl_certfile=settings.tls_certificate,
                ssl_keyfile=settings.tls_key,
            ),
            limits,
            bears,
            arrivals,
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, once it listens."""
        assert self._socket is not None, "not started"
        return address_of(self._socket)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._server.server_state.connections)

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


class _Server(uvicorn.Server):
    """Takes in its own connections, each counted before anything is done for it, TLS included.

    The process's signals belong to whoever runs the stack.
    """

    def __init__(
        self, config: uvicorn.Config, limits: RestLimits, bears: ArrivalLimits, arrivals: Arrivals[Connection]
    ) -> None:
        super().__init__(config)
        self.limits = limits
        self._arrivals = arrivals
        self._accepting = AcceptLoop(self._arrive, self._make_room, logger("http"))
        self._silent = Arrivals[Waiting](bears)
        self._waiting: set[Waiting] = set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.Server.startup."""
        await self.lifespan.startup()
        self.servers = []
        for opened in sockets or []:
            self._accepting.begin(opened)
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.Server.shutdown."""
        self._accepting.end()
        for waiting in list(self._waiting):
            waiting.abort()
        await super().shutdown(sockets)

    def admit(self, connection: Connection) -> None:
        """See Host.admit; where there is no place it stays a stranger."""
        self._arrivals.admit(connection)

    def left(self, connection: Connection) -> None:
        """See Host.left."""
        self._arrivals.leave(connection)

    def _make_room(self) -> None:
        if (dropped := self._silent.make_room() or self._arrivals.make_room()) is not None:
            dropped.abort()

    def _arrive(self, arrived: socket.socket, address: str) -> None:
        waiting = Waiting(arrived, address, self._speaks, self._gone)
        self._waiting.add(waiting)
        if (dropped := self._silent.arrive(waiting, address)) is not None:
            dropped.abort()
        waiting.begin(self.limits.header_timeout_s)

    def _gone(self, waiting: Waiting) -> None:
        self._waiting.discard(waiting)
        self._silent.leave(waiting)

    def _speaks(self, waiting: Waiting) -> None:
        """From now on it is counted among those who have said something: the silent drop none of these."""
        self._gone(waiting)
        waiting.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
        connection = Connection(self, waiting.address, config=self.config, server_state=self.server_state, app_state={})
        if (dropped := self._arrivals.arrive(connection, waiting.address)) is not None:
            dropped.abort()
        tls, tls_s = self.config.ssl, self.limits.tls_timeout_s
        self._accepting.connect(waiting.socket, connection, self._arrivals.leave, tls, tls_s)
