"""Whatever whole request comes is answered once and properly: one shape of refusal, and what HTTP demands with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

import h11
import pytest

from gridsignal_services.rest.problems import TYPES
from tests.integration.gateway_stand import Stand
from tests.patience import SOON_S

DOORS = ("/v1/stream", "/v1/events?stream=alerts", "/v1/poll?stream=alerts&wait_s=0")
ALL = (*DOORS, "/healthz", "/readyz", "/v2")
WITH_BODY = "Content-Length: 5\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"


@dataclass(frozen=True)
class Odd:
    """What is sent, and the status that is expected."""

    method: str
    target: str
    status: int
    headers: str = ""
    body: bytes = b""
    version: str = "1.1"

    def __str__(self) -> str:
        return " ".join(f"{self.method} {self.target:.40} {self.version} {self.headers:.60} {self.body[:12]!r}".split())

    def sent(self, token: str) -> bytes:
        host = "" if "Host:" in self.headers or self.version == "1.0" else "Host: x\r\n"
        auth = "" if "Authorization" in self.headers else f"Authorization: Bearer {token}\r\n"
        headers = self.headers.replace("No-Host: x\r\n", "")
        if headers != self.headers:
            host = ""
        return f"{self.method} {self.target} HTTP/{self.version}\r\n{host}{auth}{headers}\r\n".encode() + self.body


def well(target: str) -> int:
    """The status of a request with nothing odd about it."""
    return {"/v1/stream": 426, "/v2": 404}.get(target, 200)


def unasked(target: str) -> Iterator[Odd]:
    """Methods, bodies, expectations and versions that HTTP knows and this port has no use for."""
    known, page = target != "/v2", target in ("/healthz", "/readyz")
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
        status = 405 if known else 404
        yield Odd(method, target, status, WITH_BODY, b"hello")
        yield Odd(method, target, status, CHUNKED, b"5\r\nhello\r\n0\r\n\r\n")
        yield Odd(method, target, status, WITH_BODY + "Expect: 100-continue\r\n")
        yield Odd(method, target, status)
    yield Odd("HEAD", target, 200 if page else 405 if known else 404)
    yield Odd("OPTIONS", target, 204 if known else 404)
    refused = 413 if known else 404
    yield Odd("GET", target, refused, WITH_BODY, b"hello")
    yield Odd("GET", target, refused, WITH_BODY)  # the body never comes
    yield Odd("GET", target, refused, WITH_BODY + "Expect: 100-continue\r\n")
    yield Odd("GET", target, refused, CHUNKED, b"5\r\nhello\r\n0\r\n\r\n")
    yield Odd("GET", target, refused, "Content-Length: 70000\r\n", b"x" * 70_000)
    yield Odd("GET", target, 417 if known else 404, "Expect: a-miracle\r\n")
    yield Odd("GET", target, well(target), "Expect: 100-continue\r\n")
    yield Odd("GET", target, well(target), "Content-Length: 0\r\n")
    yield Odd("GET", f"http://x{target}", well(target))
    yield Odd("GET", target, 505 if target == "/v1/stream" else well(target), version="1.0")
    for more in (
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    ):
        yield Odd("GET", target, well(target), body=more.encode() * 5)  # they are not read: this one ends it


def broken(target: str) -> Iterator[Odd]:
    """What is no request, or too long for one."""
    yield Odd("GET", target, 400, "Content-Length: 1\r\nContent-Length: 2\r\n")
    yield Odd("GET", target, 400, "Content-Length: -1\r\n")
    yield Odd("GET", target, 400, "No-Host: x\r\n")
    yield Odd("GET", target, 400, "Host: x\r\nHost: y\r\n")
    yield Odd("GET", target, 400, "no colon\r\n")
    yield Odd("GET", target, 505, version="3.5")
    yield Odd("GET", target, 501, "Transfer-Encoding: gzip\r\n")
    yield Odd("GET", f"{target}#x\x7f", 400)
    yield Odd("GET", target, 431, f"X-Long: {'x' * 9000}\r\n")
    yield Odd("GET", target, 431, f"Authorization: Bearer {'x' * 9000}\r\n")
    yield Odd("GET", target, 431, "X-Many: x\r\n" * 200)
    yield Odd("GET", target, 431, f"X-Long: {'x' * 60_000}\r\n")
    yield Odd("GET", f"{target}{'x' * 9000}", 414)
    yield Odd("GET", f"{target}{'x' * 60_000}", 431)


def untrusted(target: str) -> Iterator[Odd]:
    """Tokens that are none."""
    for scheme in (
        "Basic eDp5",
        "Bearer",
        "Bearer e30.e30.e30",
        "bearer\te30",
        "Bearer x\r\nAuthorization: Bearer x",
    ):
        status = 426 if target == "/v1/stream" else 401
        yield Odd("GET", target, status, f"Authorization: {scheme}\r\n")


def odd() -> Iterator[Odd]:
    for target in ALL:
        yield from unasked(target)
        yield from broken(target)
    for target in DOORS:
        yield from untrusted(target)


async def answers(stand: Stand, sent: bytes, *, half_closed: bool) -> bytes:
    """All that came back; of a stream of events its beginning."""
    reader, writer = await asyncio.open_connection(*stand.gateway.address)
    try:
        async with asyncio.timeout(SOON_S):
            writer.write(sent)
            if half_closed:
                writer.write_eof()
            got = b""
            while b"\r\n\r\n" not in got or b"text/event-stream" not in got:
                if not (piece := await reader.read(65_536)):
                    break
                got += piece
            return got
    finally:
        writer.transport.abort()


def parsed(method: str, got: bytes) -> tuple[h11.Response, bytes, bytes]:
    """The one answer, its body, and what came behind it."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(got)
    answer = client.next_event()
    assert isinstance(answer, h11.Response), answer
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += bytes(event.data)
    if isinstance(event, h11.EndOfMessage) and not client.trailing_data[0]:
        return answer, body, b""
    return answer, body, client.trailing_data[0]


DEMANDED = {401: "www-authenticate", 405: "allow", 426: "upgrade", 429: "retry-after", 503: "retry-after", 204: "allow"}


@pytest.mark.parametrize("half_closed", [False, True])
async def test_whatever_is_asked_is_answered_once(stand: Stand, half_closed: bool) -> None:
    token, wrong = stand.token(), []
    for one in odd():
        got = await answers(stand, one.sent(token), half_closed=half_closed)
        if not got:
            wrong.append(f"{one}: no answer")
            continue
        answer, body, behind = parsed(one.method, got)
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        if answer.status_code != one.status:
            wrong.append(f"{one}: expected {one.status}, got {answer.status_code} {body[:200]!r}")
        elif behind or "close" not in headers["connection"] or headers["gridsignal-answer"] != "gateway":
            wrong.append(f"{one}: {headers} then {behind!r}")
        elif (name := DEMANDED.get(one.status)) is not None and name not in headers:
            wrong.append(f"{one}: {one.status} without {name}")
        elif one.status >= 400 and one.method != "HEAD":
            said = json.loads(body)
            if not (headers["content-type"] == "application/problem+json" and said["status"] == one.status):
                wrong.append(f"{one}: {headers} {said}")
            if not said["type"].startswith(TYPES) or token in said["detail"] or not said["detail"]:
                wrong.append(f"{one}: {said}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("sent", [b"", b"GET /v1/poll HTTP/1.1\r\nHost"])
async def test_half_a_request_is_none(stand: Stand, sent: bytes) -> None:
    assert await answers(stand, sent, half_closed=True) == b""


async def test_a_token_that_is_too_long_says_how_long_it_may_be(stand: Stand) -> None:
    sent = Odd("GET", DOORS[2], 431, f"Authorization: Bearer {'x' * 9000}\r\n").sent("")
    detail = json.loads(parsed("GET", await answers(stand, sent, half_closed=False))[1])["detail"]
    assert "at most 8192 bytes for authorization, got 9024: the token is too long" in detail


async def test_a_header_of_too_many_lines_is_refused_before_it_ends(stand: Stand) -> None:
    """Thousands of empty lines would be looked at one by one, for somebody without a token."""
    sent = f"GET {DOORS[2]} HTTP/1.1\r\nHost: x\r\n".encode() + b"a:\r\n" * 200
    answer, body, _ = parsed("GET", await answers(stand, sent, half_closed=False))
    assert (answer.status_code, "at most 128 header lines" in json.loads(body)["detail"]) == (431, True)
