"""A feed over real HTTP, as awkward as told: bodies, statuses, drips, cuts, bombs, redirects.

It speaks HTTP/1.1 by hand: no server library lets an answer break off in the middle.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Reply:
    """One answer. `cut` sends so many bytes of it and hangs up; `silent` sends nothing until the test ends."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    silent: bool = False


@dataclass(frozen=True)
class Question:
    """What was asked."""

    method: str
    path: str
    params: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


Script = Callable[[Question], Reply]


def gzipped(body: bytes, **more: str) -> Reply:
    """A compressed answer."""
    return Reply(gzip.compress(body), headers={"Content-Encoding": "gzip", **more})


class FakeProvider:
    """Answers by a script, and remembers the questions."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.questions: list[Question] = []
        self.address = ""
        self._ended = asyncio.Event()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = await self._asked(reader)
            self.questions.append(question)
            reply = self.script(question)
            if reply.silent:
                await self._ended.wait()
                return
            writer.write(_bytes(reply)[: reply.cut])
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever asked has gone
        finally:
            writer.close()

    async def _asked(self, reader: asyncio.StreamReader) -> Question:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        url = urlsplit(target)
        return Question(method, url.path, parse_qs(url.query), headers, body)


def _bytes(reply: Reply) -> bytes:
    headers = {"Content-Length": str(len(reply.body)), "Connection": "close", **reply.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {reply.status} As Told\r\n{head}\r\n".encode("latin-1") + reply.body


@asynccontextmanager
async def fake_provider(script: Script | Reply) -> AsyncIterator[FakeProvider]:
    """A feed at an address of its own for as long as the block runs."""
    fake = FakeProvider(script if callable(script) else lambda _: script)
    server = await asyncio.start_server(fake._talk, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    fake.address = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        fake._ended.set()
        server.close()
        await server.wait_closed()
