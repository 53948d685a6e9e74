"""Sessions of the server half whose shell knows a few tokens, for tests of what it decides."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gridsignal_protocol.server.events import Event, Introduce, Renew
from gridsignal_protocol.server.limits import Limits, Moment
from gridsignal_protocol.server.session import Session
from gridsignal_schemas.frames import (
    Error,
    Frame,
    Refused,
)
from gridsignal_schemas.rules.access import OFFER_WRITE, SIGNAL_READ, Entitlements, Principal

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACME = Principal("participant", "acme-ai", "tests", frozenset({SIGNAL_READ, OFFER_WRITE}), NOW + timedelta(hours=1))
TOKENS = {
    "acme": ACME,
    "longer": replace(ACME, expires_at=NOW + timedelta(hours=2)),
    "reader": replace(ACME, scopes=frozenset({SIGNAL_READ})),
    "volt": replace(ACME, organisation="volt-colo"),
}
OWN = Entitlements(frozenset({"DE-LU", "FR"}), frozenset({"fra-1", "fra-2"}))


Step = Frame | Event


def at(now: datetime) -> Moment:
    return Moment(now, now.timestamp(), 0.0)  # nobody is ever silent


def a_session(principal: Principal | None = ACME, **limits: Any) -> Session:
    return Session("session-1", Limits(**{"ping_s": 10**6, "dead_after_s": 10**6} | limits), principal, at(NOW))


def follow(session: Session, now: datetime = NOW) -> list[Step]:
    """What the session has decided, once it was told what it asked."""
    steps: list[Step] = [*session.frames_to_send()]
    for event in session.events_received():
        if isinstance(event, Introduce):
            introduce(session, event, now)
            steps += follow(session, now)
        elif isinstance(event, Renew):
            if (fresh := TOKENS.get(event.frame.token)) is None:
                session.not_renewed(event.frame, "expected a valid bearer token")
            else:
                session.renewed(event.frame, fresh)
            steps += follow(session, now)
        else:
            steps.append(event)
    return steps


def introduce(session: Session, event: Introduce, now: datetime) -> None:
    token = event.hello.token
    principal = session.principal if token is None else TOKENS.get(token)
    if principal is None:
        session.turn_away("expected a valid bearer token")
        return
    theirs = OWN if principal.organisation == "acme-ai" else Entitlements()
    session.welcome(principal, theirs, at(now), zone="DE-LU", has_room=principal.organisation != "crowded")


def receive(session: Session, text: bytes, now: datetime = NOW) -> list[Step]:
    session.receive(text, at(now))
    return follow(session, now)


def tell(session: Session, t: str, now: datetime = NOW, **fields: Any) -> list[Step]:
    return receive(session, json.dumps({"t": t, "id": 1, **fields}).encode(), now)


def tick(session: Session, now: datetime) -> tuple[list[Step], float]:
    again_s = session.tick(at(now), 0.0)
    return follow(session, now), again_s


def count(session: Session) -> list[Step]:
    session.count(at(NOW))
    return follow(session)


def binary(session: Session) -> list[Step]:
    session.receive_binary(at(NOW))
    return follow(session)


def an_open_session(site: str | None = "fra-1", **limits: Any) -> Session:
    session = a_session(**limits)
    tell(session, "hello", client="tests", **({"site": site} if site else {}))
    assert session.is_open
    return session


def code(steps: list[Step]) -> str:
    assert isinstance(steps[0], Error | Refused)
    return steps[0].code
