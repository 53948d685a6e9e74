"""What a request for events asks for: a subscription in the words of a URL, for clients that can't speak WebSocket."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from pydantic import ValidationError
from websockets.datastructures import Headers, MultipleValuesError
from websockets.http11 import Request

from gridsignal_schemas.frames import CloseCode, Error, Filter, Hello, Subscribe
from gridsignal_services.gateway.effects import Close, Effect, Send

EVENTS, POLL = "/v1/events", "/v1/poll"
_LISTS = ("zones", "products", "accounting")
_WORDS = ("stream", "mode", "snapshot", "cursor", "site")
_WAIT_S = 25
_LONGEST_WAIT_S = 60
_HELLO_ID, _SUBSCRIBE_ID = 0, 1


class EventsRefused(Exception):
    """The request is answered with this status and sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for events as the frames that a WebSocket client would send."""

    hello: Hello
    subscribe: Subscribe
    wait_s: int | None
    """For a poll: it is answered at the latest after so long. None: a stream that does not end."""


def is_for_events(request: Request) -> bool:
    """Whether a request is for one of these doors."""
    return request.path.partition("?")[0] in (EVENTS, POLL)


def asked(request: Request) -> Asked:
    """What it asks for. Raises EventsRefused."""
    if request.method != "GET":
        raise EventsRefused(405, "method not allowed")
    path, _, query = request.path.partition("?")
    polls = path == POLL
    given = _parameters(query, (*_LISTS, *_WORDS, *(["wait_s"] if polls else [])))
    wanted: dict[str, object] = {name: given[name] for name in ("stream", "mode", "cursor") if name in given}
    if last := request.headers.get_all("Last-Event-ID"):
        if len(last) > 1:
            raise EventsRefused(400, "Last-Event-ID: expected it once")
        wanted["cursor"] = last[0]  # a client that comes back asks with the address it began with
    if "snapshot" in given:
        wanted["snapshot"] = _is_true(given["snapshot"])
    lists = {name: given[name].split(",") for name in _LISTS if name in given}
    try:
        hello = Hello(id=_HELLO_ID, client=_client(request.headers), site=given.get("site"))
        subscribe = Subscribe.model_validate(
            {"id": _SUBSCRIBE_ID, "stream": "", "filter": Filter.model_validate(lists)} | wanted
        )
    except ValidationError as invalid:
        fault = invalid.errors(include_url=False, include_input=False)[0]
        name = next((str(part) for part in fault["loc"] if part != "filter"), "request")
        raise EventsRefused(400, f"{name}: {fault['msg']}") from None
    return Asked(hello, subscribe, _wait_s(given.get("wait_s", str(_WAIT_S))) if polls else None)


def refusal(effects: list[Effect]) -> EventsRefused | None:
    """Why a session would not begin like this; None where it would."""
    for effect in effects:
        if isinstance(effect, Close):
            return EventsRefused(_STATUS_OF_CLOSE.get(effect.code, 503), effect.reason)
        if isinstance(effect, Send) and isinstance(effect.frame, Error):
            return EventsRefused(_STATUS_OF_ERROR.get(effect.frame.code, 400), effect.frame.message)
    return None


_STATUS_OF_CLOSE = {CloseCode.UNAUTHORIZED: 401, CloseCode.FORBIDDEN: 403, CloseCode.RATE_LIMITED: 429}
_STATUS_OF_ERROR = {"forbidden": 403, "unknown_stream": 404, "rate": 429}


def _parameters(query: str, known: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=2 * len(known))
    except ValueError:
        raise EventsRefused(400, f"expected at most {len(known)} parameters") from None
    for name, value in fields:
        if name not in known:
            raise EventsRefused(400, f"expected one of {', '.join(known)}, got {name!r:.60}")
        if name in given:
            raise EventsRefused(400, f"{name}: expected it once, with commas between its values")
        given[name] = value
    if "stream" not in given:
        raise EventsRefused(400, "stream: expected one, such as ?stream=prices, got none")
    return given


def _is_true(value: str) -> bool:
    if value not in ("true", "false"):
        raise EventsRefused(400, f"snapshot: expected true or false, got {value!r:.60}")
    return value == "true"


def _wait_s(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 0 <= int(value[:9]) <= _LONGEST_WAIT_S:
        raise EventsRefused(400, f"wait_s: expected 0 to {_LONGEST_WAIT_S} seconds, got {value!r:.60}")
    return int(value)


def _client(headers: Headers) -> str:
    try:
        named = headers.get("User-Agent") or ""
    except MultipleValuesError:
        named = ""
    return "".join(filter(str.isprintable, named))[:128] or "http"
