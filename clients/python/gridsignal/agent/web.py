"""One HTTP exchange with a counterpart of the site: on a thread of its own, without a redirect, within a time.

Bounded: `timeout_s` for the whole of it, after which its socket is closed, and 1 MiB an answer. When full: WebFailed.
Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import SplitResult, urlencode

from gridsignal.addresses import shown, split
from gridsignal.errors import GridsignalError

_MOST_BYTES = 1024 * 1024
_HINT = "such as http://127.0.0.1:9090 or https://site.example/grid"


class WebFailed(GridsignalError):
    """Nobody answered in time, or with too much."""

    retriable = True


class Answered(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    """By name in small letters."""


def address(url: str) -> SplitResult:
    """A url of the configuration. Raises UsageError."""
    return split(url, ("http", "https"), _HINT)


async def exchange(
    url: str,
    *,
    timeout_s: float,
    query: Mapping[str, str] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answered:
    """GET, or POST where there is a body. Raises WebFailed."""
    line = _Line(url, timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            return await _on_a_thread(lambda: line.exchange(query or {}, body, headers or {}))
    except TimeoutError:
        raise WebFailed(f"{shown(url)}: no answer within {timeout_s:g} s") from None
    finally:
        line.hang_up()


async def _on_a_thread(work: Callable[[], Answered]) -> Answered:
    """Not one of the loop's own, of which there are few: others need them."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Answered] = loop.create_future()

    def settle(answer: Answered | None, failed: Exception | None) -> None:
        if found.done():
            return  # nobody waits any more
        if failed is not None:
            found.set_exception(failed)
        elif answer is not None:
            found.set_result(answer)

    def run() -> None:
        answer, failed = None, None
        try:
            answer = work()
        except Exception as error:  # whoever waits for it is told
            failed = error
        with suppress(RuntimeError):  # the loop is over
            loop.call_soon_threadsafe(settle, answer, failed)

    threading.Thread(target=run, name="gridsignal-web", daemon=True).start()
    return await found


class _Line:
    """A connection that another thread can end."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url, self._parts, self._is_over = url, address(url), False
        host, port = self._parts.hostname or "", self._parts.port
        self._connection = (
            http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context())
            if self._parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=timeout_s)
        )

    def hang_up(self) -> None:
        """Whoever reads or writes there is woken, and ends."""
        self._is_over = True
        if (sock := self._connection.sock) is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def exchange(self, query: Mapping[str, str], body: bytes | None, headers: Mapping[str, str]) -> Answered:
        """Raises WebFailed."""
        parts, connection = self._parts, self._connection
        asked = "&".join(filter(None, (parts.query, urlencode(query))))
        target = (parts.path or "/") + (f"?{asked}" if asked else "")
        try:
            connection.connect()
            if self._is_over:
                raise ConnectionAbortedError("it took too long")
            connection.request("GET" if body is None else "POST", target, body, dict(headers))
            answer = connection.getresponse()
            said = answer.read(_MOST_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise WebFailed(f"{shown(self._url)}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        if len(said) > _MOST_BYTES:
            raise WebFailed(f"{shown(self._url)}: expected at most {_MOST_BYTES} bytes, got more")
        return Answered(answer.status, said, {name.lower(): value for name, value in answer.headers.items()})
