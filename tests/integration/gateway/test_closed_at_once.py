"""A whole request that is ended with TLS's close_notify in the same breath is answered as any other."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.integration.gateway_stand import SOON_S, Stand

REQUESTS = {
    "GET /healthz HTTP/1.1": b"HTTP/1.1 200 ",
    "GET /readyz HTTP/1.1": b"HTTP/1.1 200 ",
    "GET /nowhere HTTP/1.1": b"HTTP/1.1 404 ",
    "GET /v1/poll?stream=prices HTTP/1.1": b"HTTP/1.1 401 ",
    "POST /v1/stream HTTP/1.1": b"HTTP/1.1 405 ",
}


def answer_to(request: bytes, port: int, context: ssl.SSLContext) -> bytes:
    """What a peer reads that sends its request and its end as one piece."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with socket.create_connection(("127.0.0.1", port), timeout=SOON_S) as peer:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                peer.sendall(outgoing.read())
                incoming.write(peer.recv(65_536))
        tls.write(request)
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()  # close_notify is said, and that of the gateway is waited for
        peer.sendall(outgoing.read())
        while piece := peer.recv(65_536):
            incoming.write(piece)
    read = b""
    try:
        while piece := tls.read(65_536):
            read += piece
    except (ssl.SSLZeroReturnError, ssl.SSLWantReadError):
        pass
    return read


@pytest.mark.parametrize("line", REQUESTS)
async def test_a_request_that_ends_tls_at_once_is_answered(line: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pem = authority.certificate()
    context = ssl.create_default_context(cafile=authority.file)
    async with Stand.open(tmp_path, tls_certificate=pem, tls_key=pem) as stand:
        request = f"{line}\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()
        told = await asyncio.to_thread(answer_to, request, stand.gateway.address[1], context)
    assert told.startswith(REQUESTS[line])
