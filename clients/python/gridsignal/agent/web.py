"""One HTTP exchange with a counterpart of the site: on a thread of its own, without a redirect, within a time.

Bounded: `timeout_s` and 1 MiB an answer. When full: WebFailed. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import Mapping
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
    return await asyncio.to_thread(_exchange, url, timeout_s, query or {}, body, headers or {})


def _exchange(
    url: str, timeout_s: float, query: Mapping[str, str], body: bytes | None, headers: Mapping[str, str]
) -> Answered:
    parts = address(url)
    host = parts.hostname or ""
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    )
    asked = "&".join(filter(None, (parts.query, urlencode(query))))
    target = (parts.path or "/") + (f"?{asked}" if asked else "")
    try:
        connection.request("GET" if body is None else "POST", target, body, dict(headers))
        answer = connection.getresponse()
        said = answer.read(_MOST_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise WebFailed(f"{shown(url)}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if len(said) > _MOST_BYTES:
        raise WebFailed(f"{shown(url)}: expected at most {_MOST_BYTES} bytes, got more")
    return Answered(answer.status, said, {name.lower(): value for name, value in answer.headers.items()})
