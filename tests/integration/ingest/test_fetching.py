"""Tokens, pages and long windows over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gridsignal_schemas.messages import Record, SpotPrice
from gridsignal_services.ingest.feed import Ask, FeedAnswer, Malformed, NotYetAvailable, Outage, Refused, Signal
from gridsignal_services.ingest.fetching import Fetching
from gridsignal_services.ingest.providers import PROVIDERS
from gridsignal_services.ingest.transport import Http
from tests.builders import utc
from tests.feed_documents import acknowledgement, as_json, half_hours, interval, openadr_event, watttime
from tests.integration.ingest.fake_provider import Question, Reply, fake_provider

NOW = utc("12:00")
FORBIDDEN = Reply(b"<html><title>403 Forbidden</title></html>", 403)


async def fetched(name: str, ask: Ask, settings: dict[str, str], keep: Any = None) -> list[Record]:
    async with Http(trust_env=False) as http:
        fetching = Fetching(http, PROVIDERS, {name: settings}, keep)
        return await fetching.fetch(name, ask)


def ask(signal: Signal, zone: str = "DE-LU", **window: Any) -> Ask:
    return Ask(zone=zone, signal=signal, now=NOW, **{"starts_at": utc("00:00"), "ends_at": NOW} | window)


def watttime_account(address: str) -> dict[str, str]:
    return {"address": address, "user": "us", "password": "hush-hush", "region.US-CAL-CISO": "CAISO_NORTH"}


def logins(questions: list[Question]) -> int:
    return sum(question.path == "/login" for question in questions)


class Tokens:
    """WattTime: each login gives the next token, and only the newest is good."""

    def __init__(self, *, always_expired: bool = False) -> None:
        self.given = 0
        self.always_expired = always_expired

    def __call__(self, question: Question) -> Reply:
        if question.path == "/login":
            self.given += 1
            return Reply(as_json({"token": f"token-{self.given}"}))
        if self.always_expired or question.headers["authorization"] != f"Bearer token-{self.given}":
            return FORBIDDEN
        return Reply(watttime([870], utc("10:00")))


async def test_one_login_serves_until_the_token_expires_and_an_expired_one_is_renewed_once() -> None:
    tokens = Tokens()
    question = ask(Signal.CARBON, "US-CAL-CISO")
    async with fake_provider(tokens) as fake, Http(trust_env=False) as http:
        fetching = Fetching(http, PROVIDERS, {"watttime": watttime_account(fake.address)})
        for _ in range(2):
            (record,) = await fetching.fetch("watttime", question)
        assert getattr(record, "zone", "") == "US-CAL-CISO"
        assert logins(fake.questions) == 1
        tokens.given += 1  # somebody else logged in: ours is no longer good
        await fetching.fetch("watttime", question)
        assert logins(fake.questions) == 2


async def test_a_feed_that_refuses_every_token_is_asked_with_two_and_then_given_up() -> None:
    async with fake_provider(Tokens(always_expired=True)) as fake:
        with pytest.raises(Refused) as caught:
            await fetched("watttime", ask(Signal.CARBON), watttime_account(fake.address))
        assert logins(fake.questions) == 2
        assert "hush-hush" not in str(caught.value)


async def test_a_wrong_password_is_told_without_it() -> None:
    async with fake_provider(Reply(b'{"error": "hush-hush is wrong"}', 401)) as fake:
        with pytest.raises(Refused) as caught:
            await fetched("watttime", ask(Signal.CARBON), watttime_account(fake.address))
    assert "hush-hush" not in str(caught.value)


async def test_a_feed_that_echoes_our_key_does_not_get_it_into_an_error() -> None:
    async with fake_provider(Reply(acknowledgement("bad token hush-hush"))) as fake:
        with pytest.raises(Malformed, match=r"bad token \*\*\*"):
            await fetched("entsoe", ask(Signal.PRICE), {"address": fake.address, "token": "hush-hush"})


async def test_a_feed_without_its_settings_is_not_asked() -> None:
    with pytest.raises(Refused, match="entsoe needs the settings token"):
        await fetched("entsoe", ask(Signal.PRICE), {})


class Vtn:
    """A VTN with an OAuth2 server, giving two events a page."""

    def __init__(self, *events: dict[str, Any], programs: dict[str, dict[str, Any]] | None = None) -> None:
        self.events = list(events)
        self.programs = programs or {}

    def __call__(self, question: Question) -> Reply:
        if question.path == "/auth/token":
            assert question.body == b"grant_type=client_credentials&client_id=us&client_secret=hush&scope=read_all"
            return Reply(as_json({"access_token": "t", "token_type": "Bearer", "expires_in": 3600}))
        if question.headers.get("authorization") != "Bearer t":
            return Reply(as_json({"title": "Unauthorized", "status": 401}), 401)
        if question.path.startswith("/programs/"):
            program = self.programs.get(question.path.removeprefix("/programs/"))
            return Reply(as_json(program)) if program else Reply(as_json({"title": "Not Found", "status": 404}), 404)
        skip = int(question.params["skip"][0])
        return Reply(json.dumps(self.events[skip : skip + 2]).encode())


async def test_all_pages_of_a_vtn_are_one_list_in_which_the_urgent_event_holds() -> None:
    events = [openadr_event(interval("PRICE", n), id=f"event-{n}", priority=None if n < 4 else 0) for n in range(5)]
    async with fake_provider(Vtn(*events)) as fake:
        vtn = {"address": fake.address, "client_id": "us", "client_secret": "hush"}
        (record,) = await fetched("openadr3", ask(Signal.EVENT), vtn)
    assert [str(price) for price in getattr(record, "prices_per_mwh", [])] == ["4000.0000"]
    assert [q.params["skip"][0] for q in fake.questions if q.path == "/events"] == ["0", "2", "4", "5"]


async def test_a_page_of_bad_events_and_a_program_that_is_away_cost_nothing_else() -> None:
    bad = [{"id": "x"}, {"id": "y"}]
    priced = [openadr_event(interval("PRICE", 0.25), id="a"), openadr_event(interval("SIMPLE", 1), id="b")]
    away = openadr_event(interval("PRICE", 0.5), id="c", programID="away")
    script = Vtn(*bad, *priced, away, programs={"tariff-1": PROGRAM})
    asking = ask(Signal.EVENT)
    async with fake_provider(lambda q: Reply(cut=0) if q.path == "/programs/away" else script(q)) as fake:
        found = await fetched("openadr3", asking, vtn_at(fake.address))
    assert sorted(record.record_name for record in found) == ["GridAlert", "SpotPrice"]
    named = ("event 1: ", "event 2: ", "event 5: expected program away to say its units")
    assert [text.startswith(name) for text, name in zip(asking.left_out, named, strict=True)] == [True] * 3


def vtn_at(address: str, **more: str) -> dict[str, str]:
    return {"address": address, "client_id": "us", "client_secret": "hush"} | more


PROGRAM = {
    "id": "tariff-1",
    "payloadDescriptors": [
        {"payloadType": "PRICE", "units": "MWH", "currency": "DKK"},
        {"payloadType": "IMPORT_CAPACITY_LIMIT", "units": "W"},
    ],
}


async def test_what_an_event_leaves_out_of_its_units_its_program_says() -> None:
    own = [{"payloadType": "PRICE", "units": "KWH", "currency": "NOK"}]
    half = [{"payloadType": "PRICE", "units": "KWH"}]
    for described, price, currency, asks in ((None, 7, "DKK", 1), (own, 7000, "NOK", 0), (half, 7000, "DKK", 1)):
        event = openadr_event(interval("PRICE", 7), payloadDescriptors=described)
        async with fake_provider(Vtn(event, programs={"tariff-1": PROGRAM})) as fake:
            (record,) = await fetched("openadr3", ask(Signal.EVENT), vtn_at(fake.address))
        assert isinstance(record, SpotPrice)
        assert (record.prices_per_mwh, record.currency, record.flags) == ([price], currency, [])
        assert sum(q.path == "/programs/tariff-1" for q in fake.questions) == asks


async def test_a_program_nobody_may_read_describes_nothing_and_one_that_is_away_is_an_outage() -> None:
    event = openadr_event(interval("PRICE", 7))
    async with fake_provider(Vtn(event)) as fake:
        (record,) = await fetched("openadr3", ask(Signal.EVENT), vtn_at(fake.address))
    assert "currency_assumed" in getattr(record, "flags", [])
    vtn = Vtn(event)
    async with fake_provider(lambda q: Reply(b"", 503) if "/programs" in q.path else vtn(q)) as fake:
        with pytest.raises(Outage):
            await fetched("openadr3", ask(Signal.EVENT), vtn_at(fake.address))


@pytest.mark.parametrize(
    ("told", "named", "never"),
    [
        ({"error": "invalid_scope", "error_description": "no"}, "scope 'read_all'.*invalid_scope; no", "secret"),
        ({"error": "invalid_client"}, "client id and secret.*invalid_client", "scope"),
        ({"error": "unsupported_grant_type"}, "no token.*unsupported_grant_type", "secret"),
        (
            {"error": "invalid_request", "error_description": "hush is wrong"},
            r"invalid_request; \*\*\* is wrong",
            "hush",
        ),
    ],
)
async def test_a_refused_token_is_told_by_its_own_cause(told: dict[str, str], named: str, never: str) -> None:
    async with fake_provider(Reply(as_json(told), 400)) as fake:
        with pytest.raises(Refused, match=named) as caught:
            await fetched("openadr3", ask(Signal.EVENT), vtn_at(fake.address))
    assert never not in str(caught.value)


async def test_a_vtn_whose_pages_never_end_is_refused() -> None:
    class Endless(Vtn):
        def __call__(self, question: Question) -> Reply:
            return Reply(as_json([self.events[0]])) if question.path == "/events" else super().__call__(question)

    unhurried = {"openadr3": replace(PROVIDERS["openadr3"], per_minute=60_000)}
    async with fake_provider(Endless(openadr_event())) as fake, Http(trust_env=False) as http:
        vtn = {"address": fake.address, "client_id": "us", "client_secret": "hush"}
        fetching = Fetching(http, unhurried, {"openadr3": vtn})
        with pytest.raises(Malformed, match="at most 100 pages"):
            await fetching.fetch("openadr3", ask(Signal.EVENT))


async def test_a_long_window_is_asked_in_parts_and_one_without_figures_does_no_harm() -> None:
    replies: Iterator[bytes] = iter([as_json({"data": half_hours(utc("00:00"), [(1, None)])}), b'{"data":[]}'])
    window = {"starts_at": utc("2023-12-31T00:00"), "ends_at": utc("2024-01-02T00:00")}
    async with fake_provider(lambda _: Reply(next(replies))) as fake:
        settings = {"address": fake.address}
        with pytest.raises(NotYetAvailable):  # the half hour told is outside the window
            await fetched("gb_carbon", ask(Signal.CARBON, "GB", **window), settings)
    assert [question.path for question in fake.questions] == [
        "/intensity/2023-12-31T00:00Z/2024-01-01T00:00Z",
        "/intensity/2024-01-01T00:00Z/2024-01-02T00:00Z",
    ]


async def test_raw_answers_can_be_kept() -> None:
    kept: list[FeedAnswer] = []
    async with fake_provider(Reply(as_json({"data": half_hours(utc("10:00"), [(1, None)])}))) as fake:
        await fetched("gb_carbon", ask(Signal.CARBON, "GB"), {"address": fake.address}, lambda _, a: kept.append(a))
    assert len(kept) == 1
