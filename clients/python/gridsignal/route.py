"""The way to a gateway: address, TLS, proxy; everything about it that can be wrong is found before anything is sent."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass

from gridsignal import tls
from gridsignal.addresses import stream_url
from gridsignal.errors import UsageError
from gridsignal.proxies import Proxy, proxy_for


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a gateway."""

    url: str
    tls: ssl.SSLContext | None = None
    """None without TLS."""
    proxy: Proxy | None = None


def route_to(
    url: str,
    *,
    context: ssl.SSLContext | None,
    cafile: str | os.PathLike[str] | None,
    certfile: str | os.PathLike[str] | None,
    keyfile: str | os.PathLike[str] | None,
    allow_plaintext: bool,
) -> Route:
    """The way to the gateway at `url`. Raises UsageError."""
    address = stream_url(url, allow_plaintext=allow_plaintext)
    files = (cafile, certfile, keyfile)
    if context is not None and any(file is not None for file in files):
        raise UsageError("expected either ssl= or cafile=, certfile= and keyfile=, got both")
    proxy = proxy_for(address, os.environ, socks_library="python_socks")
    if address.startswith("wss:"):
        return Route(address, context or tls.context(*files), proxy)
    if context is not None or any(file is not None for file in files):
        raise UsageError("expected a wss:// url with ssl=, cafile=, certfile= and keyfile=, got ws://")
    return Route(address, None, proxy)
