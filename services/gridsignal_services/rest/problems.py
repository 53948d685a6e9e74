"""What goes wrong at the REST door, said in RFC 9457's words: problem+json.

    Problem            what the caller is told; an exception that the door answers with
      unauthorized 401 · forbidden 403 · not_found 404 · conflict 409 · ... one function each, below

Unknown, forbidden and not yours are one answer: 404, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated

from pydantic import Field

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.values import Shape

MEDIA_TYPE = "application/problem+json"
TYPES = "urn:gridsignal:problem:"
LOG_AWAY = "the log can't be reached now"
"""Where it is and what is wrong with it, the operations port and our log say."""
WRITE_UNKNOWN = "the log is away or slow: the outcome is unknown; send the same again, or query"
"""What was asked may be on the log all the same."""


class Fault(Shape):
    """One thing that is wrong."""

    code: str
    """For machines; the documentation lists them."""
    pointer: str = ""
    """A JSON pointer into the body; ?name for a query parameter, a header's name for a header."""
    message: str
    """For people: what was expected, and what was got."""


class ProblemBody(Shape):
    """RFC 9457 problem details."""

    type: str
    """Names the kind of problem, for ever."""
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    errors: list[Fault] = Field(default_factory=list)
    retriable: bool = False
    """Whether the same request can succeed later."""


class Problem(Exception):
    """Ends a request with a problem+json answer."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        faults: Sequence[Detail] = (),
        headers: Mapping[str, str] | None = None,
        *,
        retriable: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.body = ProblemBody(
            type=TYPES + kind,
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            errors=[Fault(code=fault.code, pointer=fault.pointer, message=fault.message) for fault in faults],
            retriable=retriable,
        )


def unauthorized(detail: str = "expected a valid bearer token") -> Problem:
    """401, the same for every token that lets nobody in; of one that was good its holder may know when it expired."""
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="gridsignal"'})


def not_registered() -> Problem:
    """403: the token is good, but its organisation has no place here, or none any more."""
    return Problem(403, "forbidden", "The organisation of this token is not in the registry.")


def forbidden(scope: str) -> Problem:
    """403: the token is good, but not for this kind of thing."""
    challenge = f'Bearer realm="gridsignal", error="insufficient_scope", scope="{scope}"'
    detail = f"expected a token with {scope}, got one without; docs/tokens.md says how to get one"
    return Problem(403, "forbidden", detail, headers={"WWW-Authenticate": challenge})


def operators_only() -> Problem:
    """403: what is asked is for operators."""
    return Problem(403, "forbidden", "expected an operator's token, got somebody else's")


def participants_only() -> Problem:
    """403: what is asked is for participants, of their own sites."""
    return Problem(403, "forbidden", "expected a participant's token, got somebody else's")


def not_found(what: str) -> Problem:
    """404: it does not exist, or it is not yours to know; which of the two is not said, and so neither is its name."""
    return Problem(404, "not-found", f"No such {what}, or you may not see it.")


def nothing_yet(why: str) -> Problem:
    """404: there is nothing of what they may know, and they may know why."""
    return Problem(404, "not-found", why)


def no_page(there_is: str = "/docs shows what there is") -> Problem:
    """404 for a path that is no operation."""
    return Problem(404, "not-found", f"There is nothing at this path; {there_is}.")


def bad_request(code: str, where: str, message: str) -> Problem:
    """400: the request can't be understood."""
    return Problem(400, "bad-request", message, [Detail(code=code, pointer=where, message=message)])


def conflict(faults: Sequence[Detail]) -> Problem:
    """409: what was asked does not fit the state things are in."""
    return Problem(409, "conflict", faults[0].message, faults)


def precondition_failed(faults: Sequence[Detail]) -> Problem:
    """412: somebody was faster; read again."""
    return Problem(412, "precondition-failed", faults[0].message, faults)


def precondition_required(where: str, message: str) -> Problem:
    """428: say what you have read, so that nobody's change is lost."""
    return Problem(428, "precondition-required", message, [Detail(code="PRECONDITION", pointer=where, message=message)])


def invalid(faults: Sequence[Detail]) -> Problem:
    """422: everything that is wrong, one fault each."""
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    return Problem(422, "invalid", f"{faults[0].pointer or 'body'}: {faults[0].message}{more}", faults)


def too_large(limit: int) -> Problem:
    """413; the connection ends, the rest of the body is not read."""
    return Problem(413, "too-large", f"expected a body of at most {limit} bytes", headers={"Connection": "close"})


def unsupported_media_type() -> Problem:
    """415."""
    return Problem(415, "unsupported-media-type", "expected content-type application/json")


def not_acceptable(types: Sequence[str], got: str) -> Problem:
    """406: the caller takes none of what there is."""
    return Problem(406, "not-acceptable", f"expected Accept with {' or '.join(types)}, got {got:.100}")


def no_body(length: str | None) -> Problem:
    """413 where nothing but a header is asked for."""
    got = "one without end" if length is None else f"one of {length:.20} bytes"
    return Problem(413, "too-large", f"expected a request without a body, got {got}", headers={"Connection": "close"})


def target_too_long(limit: int, got: int) -> Problem:
    """414."""
    return Problem(414, "target-too-long", f"expected a path and query of at most {limit} bytes, got {got}")


def header_too_large(name: str, limit: int, got: int | None) -> Problem:
    """431 for a line of a header, or without a name for a whole one."""
    what = f"a line of at most {limit} bytes for {name}" if name else f"a header of at most {limit} bytes"
    hint = ": the token is too long, get one with fewer claims" if name.lower() == "authorization" else ""
    return Problem(431, "header-too-large", f"expected {what}, got {got or 'more'}{hint}")


def too_many_headers(limit: int, got: int) -> Problem:
    """431."""
    return Problem(431, "header-too-large", f"expected at most {limit} header lines, got {got}")


def method_not_allowed(allowed: str, got: str) -> Problem:
    """405."""
    return Problem(405, "method-not-allowed", f"expected {allowed}, got {got:.20}", headers={"Allow": allowed})


def expectation_failed(got: str) -> Problem:
    """417."""
    return Problem(417, "expectation-failed", f"expected no Expect but 100-continue, got {got:.60}")


def not_implemented(detail: str) -> Problem:
    """501: a way to send a body that is not understood."""
    return Problem(501, "not-implemented", detail)


def http_version(got: str) -> Problem:
    """505."""
    return Problem(505, "http-version", f"expected HTTP/1.1, got {got}")


def too_slow(what: str = "body") -> Problem:
    """408: it dripped."""
    headers = {"Connection": "close"}
    return Problem(408, "too-slow", f"expected the whole {what} in time", headers=headers, retriable=True)


def no_websocket() -> Problem:
    """400: a data center's program has come to the wrong port."""
    detail = "This is the REST door. Data centers connect to the gateway by WebSocket, at a port of its own."
    return Problem(400, "no-websocket", detail)


def busy() -> Problem:
    """503 for what many want at once."""
    detail = "Too many others are loading this just now."
    return Problem(503, "busy", detail, headers={"Retry-After": "1"}, retriable=True)


def rate_limited(retry_after_s: int, detail: str = "expected fewer requests") -> Problem:
    """429."""
    return Problem(429, "rate-limited", detail, headers={"Retry-After": str(retry_after_s)}, retriable=True)


def unavailable(detail: str, retry_after_s: int = 1) -> Problem:
    """503: nothing was promised; a write may or may not have been logged, ask again with the same key."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(retry_after_s)}, retriable=True)


def not_ready() -> Problem:
    """503: why it waits is for those who run it, at the operations port."""
    return unavailable("not ready")


def log_away(method: str) -> Problem:
    """503: likewise; who asked for more than to read does not know what became of it."""
    return unavailable(LOG_AWAY if method in ("GET", "HEAD") else WRITE_UNKNOWN)


def internal() -> Problem:
    """500: our fault, without a word about what."""
    return Problem(500, "internal", "expected this not to happen; it is in our log", retriable=True)
