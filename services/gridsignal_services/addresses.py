"""Where something listens: sockets and addresses, of IPv4 and IPv6 alike."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def listening(host: str, port: int, *, backlog: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises OSError where it can't."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with taking(host, port):
        return open_at((host, port), family, backlog=backlog)


def open_at(address: tuple[object, ...], family: int, *, backlog: int, reuse_port: bool = False) -> socket.socket:
    """A socket that listens at an address of this family. Raises OSError where it can't.

    What its connections write is sent at once. Without this, the second short packet of an answer waits until the
    other side has confirmed the first, which it does after 40 ms; asyncio sets it only for sockets that it opened.
    """
    opened = socket.create_server(address, family=family, backlog=backlog, reuse_port=reuse_port)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each connection has it from here
    opened.setblocking(False)
    return opened


@contextmanager
def taking(host: str, port: int) -> Iterator[None]:
    """An OSError in it names the address that could not be taken."""
    try:
        yield
    except OSError as refused:
        refused.filename = authority(host, port)
        raise


def address_of(opened: socket.socket) -> tuple[str, int]:
    """The host and port that a socket listens on."""
    host, port = opened.getsockname()[:2]
    return str(host), int(port)


def authority(host: str, port: int) -> str:
    """Host and port as they stand in a URL: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
