"""An answer without figures is what it says of itself, whichever feed gives it and whatever its status."""

from __future__ import annotations

import gzip

import pytest

from gridsignal_services.ingest.feed import (
    Banned,
    FeedError,
    Malformed,
    NotYetAvailable,
    Outage,
    Refused,
    Signal,
)
from gridsignal_services.ingest.providers import PROVIDERS
from tests.feed_documents import acknowledgement, as_json, energy_charts, minutes, one_of_each
from tests.unit.ingest.asking import told

TOO_OFTEN = "Too Many Requests", "API rate limit exceeded", "Your quota is used up", "Max 2 requests per second"
AWAY = "502 Bad Gateway", "Service temporarily unavailable", "Down for maintenance", "Please try again later"
NOT_ENTITLED = "Unauthorized", "Invalid auth-token", "Access denied", "You need a subscription", "expired API key"
CAUSES: list[tuple[type[FeedError], tuple[str, ...]]] = [
    (Banned, TOO_OFTEN),
    (Outage, AWAY),
    (Refused, NOT_ENTITLED),
]
WORDS = [(cause, text) for cause, texts in CAUSES for text in texts]


def asked(provider: str, body: bytes, signal: Signal | None = None) -> None:
    told(provider, body, zone=None if PROVIDERS[provider].names_zone else "DE-LU", signal=signal)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
@pytest.mark.parametrize(("cause", "text"), WORDS)
def test_an_error_in_a_good_answer_s_place_is_known_by_its_words(
    provider: str, cause: type[FeedError], text: str
) -> None:
    page = f"<!DOCTYPE html><html><head><title>{text}</title></head></html>".encode()
    for body in (as_json({"error": text}), as_json({"message": text}), as_json({"errors": [{"message": text}]}), page):
        with pytest.raises(cause, match=text):
            asked(provider, body)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_words_without_a_known_cause_are_repeated(provider: str) -> None:
    with pytest.raises(FeedError, match="the moon is in the way"):
        asked(provider, as_json({"detail": "the moon is in the way"}))


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda body: body[: len(body) * 2 // 3], "a broken one"),
        (lambda body: body[:1] + "\xfc".encode("latin-1") + body[1:], "a broken one"),
        (gzip.compress, "a gzip file"),
        (lambda body: b"BZh9" + body, "a bzip2 file"),
        (lambda _: b"<!DOCTYPE html><title>Sign in</title>", "a web page titled 'Sign in'"),
    ],
    ids=["cut off", "another charset", "gzip", "bzip2", "a login page"],
)
def test_what_breaks_a_document_is_named(provider: str, spoil: object, named: str) -> None:
    assert callable(spoil)
    body = spoil(one_of_each()[provider][0])
    with pytest.raises(Malformed, match=named):
        asked(provider, body)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_nothing_at_all_is_not_there_yet(provider: str) -> None:
    for body in (b"", b" \n"):
        with pytest.raises(NotYetAvailable):
            asked(provider, body)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("Too many requests, the limit is 400 per minute", Banned),
        ("The service is down for maintenance", Outage),
        ("You are not authorized to query this data", Refused),
        ("Invalid security token", Refused),
    ],
)
def test_an_acknowledgement_is_known_by_the_same_words(text: str, cause: type[FeedError]) -> None:
    with pytest.raises(cause, match=text):
        asked("entsoe", acknowledgement(text))


def test_an_answer_with_another_signal_than_was_asked_for_is_no_answer() -> None:
    prices = energy_charts(minutes("2024-05-12T00:00:00+00:00"), [1, 2, 3, 4])
    carbon = prices.replace(b'"price"', b'"co2eq"').replace(b"EUR / MWh", b"g / kWh")
    asked("energy_charts", prices, Signal.PRICE)
    asked("energy_charts", carbon, Signal.CARBON)
    for body, signal in ((prices, Signal.CARBON), (carbon, Signal.PRICE)):
        with pytest.raises(Malformed, match="expected"):
            asked("energy_charts", body, signal)


def test_a_field_that_is_missing_is_named_as_such() -> None:
    row = {"from": "2024-05-12T10:00Z", "to": "2024-05-12T10:30Z"}
    with pytest.raises(Malformed, match=r"half hour 1 .*expected intensity, got none"):
        asked("gb_carbon", as_json({"data": [row]}))
