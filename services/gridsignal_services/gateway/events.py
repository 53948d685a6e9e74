"""What a request for events asks for: a subscription in the words of a URL, for clients that can't speak WebSocket."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from pydantic import ValidationError
from websockets.datastructures import Headers, MultipleValuesError

from gridsignal_protocol.server.closing import Close
from gridsignal_protocol.server.events import Event
from gridsignal_schemas.frames import CloseCode, Error, Filter, Frame, Hello, Subscribe
from gridsignal_schemas.rules.shapes import message_of
from gridsignal_services.rest.problems import Problem, bad_request, rate_limited, unauthorized, unavailable

EVENTS, POLL = "/v1/events", "/v1/poll"
_LISTS = ("zones", "products", "accounting", "orders")
_WORDS = ("stream", "mode", "snapshot", "cursor", "site")
_WAIT_S = 25
_LONGEST_WAIT_S = 60
_COME_BACK_S = 1
_HELLO_ID, _SUBSCRIBE_ID = 0, 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for events as the frames that a WebSocket client would send."""

    hello: Hello
    subscribe: Subscribe
    wait_s: int | None
    """For a poll: it is answered at the latest after so long. None: a stream that does not end."""


def asked(path: str, query: str, headers: Headers) -> Asked:
    """What is asked for. Raises Problem 400."""
    polls = path == POLL
    given = _parameters(query, (*_LISTS, *_WORDS, *(["wait_s"] if polls else [])))
    wanted: dict[str, object] = {name: given[name] for name in ("stream", "mode", "cursor") if name in given}
    if last := headers.get_all("Last-Event-ID"):
        if len(last) > 1:
            raise bad_request("HEADER", "Last-Event-ID", "Last-Event-ID: expected it once")
        wanted["cursor"] = last[0]  # a client that comes back asks with the address it began with
    if "snapshot" in given:
        wanted["snapshot"] = _is_true(given["snapshot"])
    lists = {name: _names(name, given[name]) for name in _LISTS if name in given}
    try:
        hello = Hello(id=_HELLO_ID, client=_client(headers), site=given.get("site"))
        subscribe = Subscribe.model_validate(
            {"id": _SUBSCRIBE_ID, "stream": "", "filter": Filter.model_validate(lists)} | wanted
        )
    except ValidationError as invalid:
        fault = invalid.errors(include_url=False)[0]
        name = next((str(part) for part in fault["loc"] if part != "filter"), "request")
        raise _wrong(name, message_of(fault)) from None
    return Asked(hello, subscribe, _wait_s(given.get("wait_s", str(_WAIT_S))) if polls else None)


def refusal(frames: list[Frame], events: list[Event]) -> Problem | None:
    """Why a session would not begin like this; None where it would."""
    for event in events:
        if isinstance(event, Close):
            return _of_close(event)
    return next((refusal_of(frame) for frame in frames if isinstance(frame, Error)), None)


def refusal_of(error: Error) -> Problem:
    """What an HTTP client is told in place of an error, with its details as the address says them."""
    faults = [fault.model_copy(update={"pointer": _parameter(fault.pointer)}) for fault in error.details or ()]
    match error.code:
        case "forbidden":
            return Problem(403, "forbidden", error.message, faults)
        case "unknown_stream":
            return Problem(404, "not-found", error.message)
        case "rate" | "too_many_subscriptions":
            return rate_limited(_COME_BACK_S, error.message)
        case "unavailable":
            return unavailable(error.message, _COME_BACK_S)
        case _ if faults:
            return Problem(400, "bad-request", error.message, faults)
        case _:
            return bad_request("PARAMETER", "", error.message)


def _parameter(pointer: str) -> str:
    """The parameter that says a field of a subscribe: "?zones" of /filter/zones/0."""
    return "?" + next((name for name in pointer.split("/") if name in (*_LISTS, *_WORDS)), "")


def _of_close(close: Close) -> Problem:
    match close.code:
        case CloseCode.UNAUTHORIZED:
            return unauthorized(close.reason)
        case CloseCode.FORBIDDEN:
            return Problem(403, "forbidden", close.reason)
        case CloseCode.RATE_LIMITED:
            return rate_limited(_COME_BACK_S, close.reason)
        case _:
            return unavailable(close.reason, _COME_BACK_S)


def _wrong(name: str, message: str) -> Problem:
    return bad_request("PARAMETER", f"?{name}", f"{name}: {message}")


def _parameters(query: str, known: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=len(known))
    except ValueError:
        raise bad_request("PARAMETER", "", f"expected at most {len(known)} parameters, each once") from None
    for name, value in fields:
        if name not in known:
            raise bad_request("PARAMETER", "", f"expected one of {', '.join(known)}, got {name!r:.60}")
        if name in given:
            raise _wrong(name, "expected it once, with commas between its values")
        given[name] = value
    if "stream" not in given:
        raise _wrong("stream", "expected one, such as ?stream=prices, got none")
    return given


def _names(name: str, value: str) -> list[str]:
    """The names in a list; without the parameter everything is wanted, and an empty one is somebody's mistake."""
    names = value.split(",")
    if not all(names):
        expected = "expected names with commas between, or no such parameter for all of them"
        raise _wrong(name, f"{expected}, got {value!r:.60}")
    return names


def _is_true(value: str) -> bool:
    if value not in ("true", "false"):
        raise _wrong("snapshot", f"expected true or false, got {value!r:.60}")
    return value == "true"


def _wait_s(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 0 <= int(value[:9]) <= _LONGEST_WAIT_S:
        raise _wrong("wait_s", f"expected 0 to {_LONGEST_WAIT_S} seconds, got {value!r:.60}")
    return int(value)


def _client(headers: Headers) -> str:
    try:
        named = headers.get("User-Agent") or ""
    except MultipleValuesError:
        named = ""
    return "".join(filter(str.isprintable, named))[:128] or "http"
