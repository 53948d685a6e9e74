"""What is answered before the application sees it: upgrades, floods without a token, too many of the pages' files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from gridsignal_services.arrivals import MAX_NETWORKS, Arrivals, network_of
from gridsignal_services.rest.connection import Connection
from gridsignal_services.rest.problems import MEDIA_TYPE, Problem, busy, no_websocket, rate_limited

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

FILES = "/static-offline-docs"
"""Where the pages of /docs have their scripts and styles."""
CONSOLE = "/console"
"""Where the console lies: files, too, that are looked at again each time."""
_CACHED = (b"cache-control", b"public, max-age=86400")


class Guard:
    """Stands before an application.

    Bounded: `files_at_once` of /docs and the console; requests without a token by their network's pace. When full: 503,
    429. Conflates: nothing.
    """

    def __init__(self, app: App, arrivals: Arrivals[Any], files_at_once: int, now_s: Callable[[], float]) -> None:
        self._app, self._arrivals, self._now_s = app, arrivals, now_s
        self._files_at_once, self._files = files_at_once, 0
        self._flooding: dict[str, float] = {}
        """Networks that ask too much without a token, and until when."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection = scope["state"]["connection"]
        headers = dict(scope["headers"])
        # a token is looked at once on each connection, and nowhere but where one is asked for
        may_be_known = b"authorization" in headers and scope["path"].startswith("/v1/") and not connection.was_refused
        if b"upgrade" in headers and b"websocket" in headers[b"upgrade"].lower():
            return await _answer(no_websocket(), send)
        if not connection.is_admitted and not may_be_known and self._is_flooding(connection.address):
            return await _answer(rate_limited(1), send, close=True)
        await self._pass_on(scope, receive, send)
        connection.was_refused = may_be_known and not connection.is_admitted
        if not connection.is_admitted and (wait_s := self._arrivals.wait_s(connection.address, self._now_s())):
            if len(self._flooding) >= MAX_NETWORKS:
                self._flooding.clear()
            self._flooding[network_of(connection.address)] = self._now_s() + wait_s
        return None

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith((FILES, CONSOLE)):
            return await self._app(scope, receive, send)
        if self._files >= self._files_at_once:
            return await _answer(busy(), send, close=True)
        self._files += 1
        try:
            await self._app(scope, receive, _cached(send) if scope["path"].startswith(FILES) else send)
        finally:
            self._files -= 1
        return None

    def _is_flooding(self, address: str) -> bool:
        network = network_of(address)
        until_s = self._flooding.get(network, 0.0)
        if until_s <= self._now_s():
            self._flooding.pop(network, None)
            return False
        return True


def _cached(send: Send) -> Send:
    async def with_its_age(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], _CACHED]
        await send(message)

    return with_its_age


async def _answer(problem: Problem, send: Send, *, close: bool = False) -> None:
    body = problem.body.model_dump_json().encode()
    headers: Iterable[tuple[str, str]] = (
        ("content-type", MEDIA_TYPE),
        ("content-length", str(len(body))),
        *problem.headers.items(),
        *((("connection", "close"),) if close else ()),
    )
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": problem.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": False})
