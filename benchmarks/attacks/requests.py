"""At the operators' door: requests that cost more than they say, with no token, a bad one or a good one."""

from __future__ import annotations

import asyncio

from benchmarks.attacks.play import Play
from benchmarks.attacks.sockets import Socket

_SOCKETS = 20
_BIT = b"1\r\nx\r\n" * 20_000
_CHUNKED = "POST /v1/requests HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"


async def tiny_chunks(play: Play) -> str:
    """A body of one-byte chunks without end, from nobody."""
    return await _pour(play, f"{_CHUNKED}\r\n".encode(), _BIT)


async def tiny_chunks_of_a_tenant(play: Play) -> str:
    """The same with a good token."""
    return await _pour(play, f"{_CHUNKED}{_bearer(play.target.tokens['supplier-one'])}\r\n".encode(), _BIT)


async def empty_header_lines(play: Play) -> str:
    """Headers of 14,000 lines, from nobody."""
    return await _pour(play, b"", b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a:\r\n" * 14_000 + b"\r\n")


async def bad_tokens(play: Play) -> str:
    """Questions with a token that somebody else signed, one behind the other."""
    header, claims, signature = play.target.tokens["acme-ai"].split(".")
    return await _pour(play, b"", _get("/v1/requests", f"{header}.{claims}.{signature[::-1]}") * 20)


async def descriptions(play: Play) -> str:
    """/openapi.json with any word for a token, one behind the other."""
    return await _pour(play, b"", _get("/openapi.json", "x") * 20)


async def never_waiting(play: Play) -> str:
    """Questions with a good token, however often the answer is 429."""
    return await _pour(play, b"", _get("/v1/requests?limit=1", play.target.tokens["supplier-one"]) * 20)


def _bearer(token: str) -> str:
    return f"Authorization: Bearer {token}\r\n"


def _get(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{_bearer(token)}\r\n".encode()


async def _pour(play: Play, first: bytes, more: bytes) -> str:
    """Writes the same without end on each socket; comes back when it is sent away."""
    loop, came, poured = asyncio.get_running_loop(), 0, 0

    async def one() -> None:
        nonlocal came, poured
        while play.left_s > 0:
            try:
                _, made = await loop.create_connection(lambda: Socket(first), play.target.host, play.target.dispatch)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            came += 1
            while play.left_s > 0 and not made.is_lost:
                if not made.is_full:
                    made.transport.write(more)
                    poured += len(more)
                await asyncio.sleep(0 if not made.is_full else 0.005)
            made.transport.abort()

    await play.begin()
    await asyncio.gather(*(one() for _ in range(_SOCKETS)))
    return f"{poured / 2**20:.0f} MiB on {came} sockets, {_SOCKETS} at once"
