"""Where the stack under attack is, and the words that attackers and victim say to it."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

_KEYS = itertools.count()


@dataclass(frozen=True, slots=True)
class Target:
    """Addresses, a token for each organisation by its name, and the server's process."""

    host: str
    gateway: int
    dispatch: int
    ingest: int
    tokens: Mapping[str, str] = field(repr=False)
    pid: int

    def socket(self, organisation: str) -> AbstractAsyncContextManager[ClientConnection]:
        """A WebSocket with that organisation's token; nothing has been said on it."""
        return connect(
            f"ws://{self.host}:{self.gateway}/v1/stream",
            additional_headers={"Authorization": f"Bearer {self.tokens[organisation]}"},
            subprotocols=[Subprotocol("gridsignal.v1.json")],
            compression=None,
            proxy=None,
            max_size=None,
            open_timeout=10,
            ping_interval=None,
            max_queue=None,
            close_timeout=0.2,
        )

    def desk(self, organisation: str, port: int | None = None) -> httpx2.AsyncClient:
        """A client of the dispatch door, or of the one at `port`."""
        return httpx2.AsyncClient(
            base_url=f"http://{self.host}:{port or self.dispatch}",
            headers={"Authorization": f"Bearer {self.tokens[organisation]}"},
            timeout=10,
            trust_env=False,
            verify=False,  # plain HTTP; reading the authorities takes 35 ms, in which nothing is measured
            limits=httpx2.Limits(max_connections=200),
        )


def answers(port: int) -> bool:
    """Whether a door says that it is ready."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False


async def hello(connection: ClientConnection, site: str | None = None) -> None:
    """Says hello and reads the welcome."""
    said: dict[str, Any] = {"t": "hello", "id": 1, "client": "neighbours/1"} | ({"site": site} if site else {})
    await connection.send(json.dumps(said))
    async with asyncio.timeout(10):
        await connection.recv()


async def write(desk: httpx2.AsyncClient, path: str, body: Any) -> httpx2.Response:
    """A POST with an idempotency key of its own."""
    key = f"neighbours-{id(desk)}-{next(_KEYS)}"
    return await desk.post(path, json=body, headers={"Idempotency-Key": key})
