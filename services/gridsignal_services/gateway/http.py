"""HTTP at the gateway's port: what an answer looks like, and what is wrong with a request at whatever path."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from gridsignal_schemas.frames import ANSWER_HEADER
from gridsignal_services.rest import problems
from gridsignal_services.rest.problems import MEDIA_TYPE, Problem

_LINE_BYTES = 8 * 1024
"""A longer request line: 414; a longer header line: 431."""
MAX_LINES = 128
"""More header lines: 431."""


def response(status: int, content_type: str | None, body: bytes | None, **headers: str) -> Response:
    """An answer that ends with the connection; without a body, one that goes on. Header names with underscores."""
    fields = Headers([("Date", formatdate(usegmt=True)), ("Connection", "close"), ("Cache-Control", "no-store")])
    fields[ANSWER_HEADER] = "gateway"
    if content_type is not None:
        fields["Content-Type"] = content_type
    if body is not None:
        fields["Content-Length"] = str(len(body))
    for name, value in headers.items():
        fields[name.replace("_", "-")] = value
    return Response(status, HTTPStatus(status).phrase, fields, body or b"")


def shared_with(origin: str) -> dict[str, str]:
    """What lets a page of this origin read the answer (Fetch Standard, CORS)."""
    return {
        "Access_Control_Allow_Origin": origin,
        "Access_Control_Expose_Headers": "Retry-After",
        "Vary": "Origin",
    }


PREFLIGHT = {
    "Access_Control_Allow_Methods": "GET",
    "Access_Control_Allow_Headers": "Authorization, Last-Event-ID",
    "Access_Control_Max_Age": "600",
}
"""What such a page may then ask."""


def refused(problem: Problem, **headers: str) -> Response:
    """A problem as it goes out."""
    made = response(problem.status, MEDIA_TYPE, problem.body.model_dump_json().encode(), **headers)
    if "Upgrade" in problem.headers:  # which is named in Connection, too
        del made.headers["Connection"]
        made.headers["Connection"] = "Upgrade, close"
    for name, value in problem.headers.items():
        if name not in made.headers:
            made.headers[name] = value
    return made


def word(status: int, text: str, **headers: str) -> Response:
    """A word, for machines that ask how we are."""
    return response(status, "text/plain; charset=utf-8", f"{text}\n".encode(), **headers)


def url_of(request: Request) -> SplitResult:
    """Path and query of what is asked for. Raises Problem 400, 414, 431, 505."""
    if not request.protocol.startswith("HTTP/1."):
        raise problems.http_version(request.protocol)
    if len(request.path) > _LINE_BYTES:
        raise problems.target_too_long(_LINE_BYTES, len(request.path))
    lines = list(request.headers.raw_items())
    if len(lines) > MAX_LINES:
        raise problems.too_many_headers(MAX_LINES, len(lines))
    for name, value in lines:
        if (size := len(name) + len(value) + 4) > _LINE_BYTES:  # with the colon and what ends the line
            raise problems.header_too_large(name, _LINE_BYTES, size)
    try:
        return urlsplit(request.path)
    except ValueError:
        raise problems.bad_request("TARGET", "", "expected a path") from None


def must_ask_for_nothing_more(request: Request) -> None:
    """Raises Problem 413, 417 where a request brings a body or expects what nobody here does."""
    expected = [value.strip() for value in request.headers.get_all("Expect")]
    if request.protocol != "HTTP/1.0" and any(value.lower() != "100-continue" for value in expected):
        raise problems.expectation_failed(", ".join(expected))
    lengths = request.headers.get_all("Content-Length")
    if request.headers.get_all("Transfer-Encoding") or any(int(length) for length in lengths):
        raise problems.no_body(lengths[0] if lengths else None)
