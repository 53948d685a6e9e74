"""A token that has expired is called expired, with its time; every other one keeps the server's answer."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest

from gridsignal.claims import expired, whose

NOW = datetime(2024, 5, 12, 13, 0, tzinfo=UTC)


def token(claims: object) -> str:
    return f"e30.{urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


def test_it_says_when() -> None:
    assert expired(token({"exp": NOW.timestamp() - 1}), NOW) == "the token expired at 2024-05-12T12:59:59Z"


def test_one_that_has_not_expired_says_nothing() -> None:
    assert expired(token({"exp": NOW.timestamp() + 1}), NOW + timedelta(0)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b.c",
        "..",
        "a.é.c",
        token([]),
        token({}),
        token({"exp": "soon"}),
        token({"exp": None}),
        token(3),
        token({"exp": 10**30}),
        token({"exp": float("inf")}),
        token({"exp": []}),
        token({"exp": 1e300}),
        "a.W10.c",
        "a." + "W" * 20_000 + ".c",
    ],
    ids=lambda text: text[:30],
)
def test_what_is_no_dated_token_says_nothing(text: str) -> None:
    assert expired(text, NOW) is None
    assert whose(text) is None


def test_it_says_for_whom_it_is() -> None:
    assert whose(token({"role": "participant", "org": "acme-ai"})) == "the participant acme-ai"


@pytest.mark.parametrize("organisation", ["\x1b[2J", "a" * 300, 3, None, ["acme-ai"]])
def test_what_is_no_name_is_not_shown(organisation: object) -> None:
    assert whose(token({"role": "participant", "org": organisation})) is None
