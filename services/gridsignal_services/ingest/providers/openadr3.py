"""OpenADR 3.1: the events of a VTN, read as a client. OAuth2 client credentials, pages, problem+json.

An answer lists every event in force: one that is no longer there was cancelled. 3.0 spells targets differently and is
refused. Prices are per kWh, powers kilowatts, unless a payload descriptor says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from urllib.parse import quote

from gridsignal_schemas.messages import Record
from gridsignal_services.ingest.elements import each
from gridsignal_services.ingest.feed import (
    Ask,
    Call,
    FeedAnswer,
    Malformed,
    NotYetAvailable,
    Outage,
    Provider,
    Refused,
    Signal,
    Unsupported,
    refuse_status,
)
from gridsignal_services.ingest.figures import json_of, object_of
from gridsignal_services.ingest.providers.openadr3_event import HIDDEN, Program, event_of, is_undescribed
from gridsignal_services.ingest.providers.openadr3_requests import asked
from gridsignal_services.ingest.providers.openadr3_series import series
from gridsignal_services.ingest.said import said_in
from gridsignal_services.ingest.schedule import Cadence

PAGE = 50
"""The most a VTN gives at once; it may give less."""
_DEFAULT_TOKEN_S = 3600
_MOST_INTERVALS = 50_000
_MOST_PROGRAMS = 50
_SCOPE = "read_all"


def login(ask: Ask) -> Call:
    """Client credentials, in the body as the VTN's own token endpoint takes them."""
    address = ask.settings.get("token_url") or f"{_address(ask)}/auth/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": ask.settings.get("client_id", ""),
        "client_secret": ask.settings.get("client_secret", ""),
        "scope": ask.settings.get("scope", _SCOPE),
    }
    return Call(address, method="POST", form=form)


def token(answer: FeedAnswer, ask: Ask) -> tuple[str, datetime]:
    """The access token, and when it expires."""
    if answer.status in (400, 401, 403):
        raise Refused(_refusal(answer, ask))
    refuse_status(answer)
    body = object_of(json_of(answer.body), "the token answer")
    text, lives_s = body.get("access_token"), body.get("expires_in", _DEFAULT_TOKEN_S)
    if not isinstance(text, str) or not text:
        raise Malformed("expected an access_token, got none")
    if isinstance(lives_s, bool) or not isinstance(lives_s, int) or lives_s <= 0:
        raise Malformed(f"expected expires_in as seconds, got {lives_s!r:.20}")
    return text, ask.now + timedelta(seconds=min(lives_s, 86_400))


def _refusal(answer: FeedAnswer, ask: Ask) -> str:
    """Why a token endpoint gives no token, in its own words (RFC 6749) and with the setting that changes it."""
    said = said_in(answer.body)
    scope = ask.settings.get("scope", _SCOPE)
    if "invalid_scope" in said:
        return f"the VTN refuses the scope {scope!r} (the setting scope){said}"
    if not said or "invalid_client" in said:
        return f"the VTN refuses the client id and secret (the settings client_id and client_secret){said}"
    return f"the VTN gives no token (status {answer.status}){said}"


def beside(answers: Sequence[FeedAnswer], ask: Ask) -> list[Call]:
    """The programs of events that don't describe their payloads themselves: theirs are the defaults."""
    bodies = (json_of(answer.body) for answer in answers)
    events = [event for body in bodies if isinstance(body, list) for event in body]
    headers = {"Authorization": f"Bearer {ask.token or ''}", "Accept": "application/json"}
    paths = (quote(program, safe="") for program in _asked_for(events)[:_MOST_PROGRAMS])
    return [Call(f"{_address(ask)}/programs/{path}", headers=headers) for path in paths]


def _asked_for(events: Sequence[Any]) -> list[str]:
    """The ids of the programs that events leave their units to, in their order; of the first ones it is asked."""
    programs: dict[str, None] = {}
    for event in events:
        if isinstance(event, dict) and (program := event.get("programID")) and is_undescribed(event):
            programs[str(program)] = None
    return list(programs)


def _programs(events: Sequence[Any], ask: Ask) -> dict[str, Program]:
    """The programs that were asked for, by id: described, hidden from us, or the reason why nothing is known of it."""
    wanted = _asked_for(events)
    found: dict[str, Program] = {
        key: f"expected at most {_MOST_PROGRAMS} programs that events leave their units to, got {len(wanted)}"
        for key in wanted[_MOST_PROGRAMS:]
    }
    for key, answer in zip(wanted, ask.beside, strict=False):
        try:
            if answer.status != 404:  # nothing describes it
                found[key] = HIDDEN if answer.status == HIDDEN else _program(answer)
        except (Malformed, NotYetAvailable, Outage) as fault:
            found[key] = f"expected program {key:.60} to say its units, got none: {fault}"
    return found


def _program(answer: FeedAnswer) -> dict[str, Any]:
    refuse_status(answer)
    return object_of(json_of(answer.body), "a program")


def request(ask: Ask) -> Call:
    """One page of the events that are not over."""
    params = {"skip": str(ask.page), "limit": str(PAGE), "active": "true"}
    if program := ask.settings.get("program"):
        params["programID"] = program
    headers = {"Authorization": f"Bearer {ask.token or ''}", "Accept": "application/json"}
    return Call(f"{_address(ask)}/events", params, headers=headers)


def _address(ask: Ask) -> str:
    return ask.settings.get("address", "").rstrip("/")


def next_page(answer: FeedAnswer, ask: Ask) -> int | None:
    """Where to go on: an empty page ends the list, a short one need not."""
    body = json_of(answer.body)
    return ask.page + len(body) if isinstance(body, list) and body else None


def merge(answers: Sequence[FeedAnswer]) -> FeedAnswer:
    """All pages as one: which event holds is decided among all of them."""
    pages = (answer.body.strip()[1:-1].strip() for answer in answers)
    return FeedAnswer(b"[" + b",".join(page for page in pages if page) + b"]")


def parse(answer: FeedAnswer, ask: Ask) -> list[Record]:
    """SpotPrices, CarbonIntensities, GridAlerts and DispatchRequests of a list of events, or of one."""
    if answer.status == 401:
        raise Refused("the VTN refuses the token: expired", expired=True)
    if answer.status == 403:
        scope = ask.settings.get("scope", _SCOPE)
        raise Refused(
            f"the VTN does not let us read events with the scope {scope!r} (status 403{said_in(answer.body)})"
        )
    refuse_status(answer)
    body = json_of(answer.body)
    if isinstance(body, dict) and {"title", "status"} <= body.keys():
        raise Malformed(f"the VTN answers a problem: {body['status']!s:.3} {body['title']!s:.120}")
    if ask.zone is None:
        raise Unsupported("an event does not name its zone: expected one, got none")
    event_list = body if isinstance(body, list) else [body]
    programs = _programs(event_list, ask)
    try:
        events = each(event_list, "event", lambda value: event_of(value, ask, programs), ask)
    except Malformed as fault:
        if any(answer.status >= 500 for answer in ask.beside):  # all of them wait for what is away
            raise Outage(str(fault)) from None
        raise
    if (count := sum(len(event.spans) for event in events)) > _MOST_INTERVALS:
        raise Malformed(f"expected at most {_MOST_INTERVALS} intervals, got {count}")
    zone = ask.zone
    return [*series(events, zone, ask), *chain.from_iterable(asked(event, zone, ask) for event in events)]


PROVIDER = Provider(
    request=request,
    parse=parse,
    cadence={Signal.EVENT: Cadence(period_s=15, days_back=0, stale_after_s=180)},
    needs=("address", "client_id", "client_secret"),
    names_zone=False,
    per_minute=30,
    login=login,
    token=token,
    next_page=next_page,
    merge=merge,
    beside=beside,
    complete=True,
)
