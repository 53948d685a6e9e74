"""The push door over real HTTP: who may push what, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from gridsignal_services.access import DISPATCH_WRITE, SIGNAL_READ, SIGNAL_WRITE, Role
from gridsignal_services.embedded import Stack
from tests.integration.ingest.test_replay import records, values_on
from tests.patience import SOON_S

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
Pusher = Callable[..., httpx2.AsyncClient]


def prices(**changes: Any) -> dict[str, Any]:
    return {
        "zone": "DE-LU",
        "product": "DAY_AHEAD",
        "dataset": "TEST",
        "currency": "EUR",
        "starts_at": TODAY.isoformat(),
        "resolution_s": 3600,
        "prices_per_mwh": [str(n) for n in range(24)],
    } | changes


def alert(**changes: Any) -> dict[str, Any]:
    now = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    usual = {"alert_id": "a-1", "zone": "DE-LU", "kind": "FLEX_ALERT", "level": 2, "action": "SHED"}
    return {**usual, "issued_at": now, "starts_at": now, "is_drill": True, "text": "a drill"} | changes


@pytest.fixture
async def pusher(stack: Stack) -> AsyncIterator[Pusher]:
    """Makes clients with a token of somebody, an operator with signal:write unless said otherwise."""
    opened: list[httpx2.AsyncClient] = []

    def made(role: Role = "operator", organisation: str = "tso-north", *scopes: str) -> httpx2.AsyncClient:
        token = stack.issuer.mint(role, organisation, "t", scopes or [SIGNAL_WRITE], 60, datetime.now(UTC))
        headers = {"Authorization": f"Bearer {token}"}
        opened.append(httpx2.AsyncClient(base_url=stack.feeds_url, headers=headers, timeout=SOON_S))
        return opened[-1]

    yield made
    for client in opened:
        await client.aclose()


async def test_what_is_pushed_is_on_the_log_under_the_name_of_who_pushed_it(stack: Stack, pusher: Pusher) -> None:
    client = pusher()
    first = await client.post("/v1/signals/prices", json=prices())
    assert (first.status_code, first.json()) == (201, {"news": "new", "revision": 1, "left_out": []})
    again = await client.post("/v1/signals/prices", json=prices())
    assert (again.status_code, again.json()) == (200, {"news": "known", "revision": 1, "left_out": []})
    changed = await client.post("/v1/signals/prices", json=prices(prices_per_mwh=["9"] * 24))
    assert (changed.status_code, changed.json()) == (201, {"news": "corrected", "revision": 2, "left_out": []})
    told = [(r.revision, r.status, r.provider) for r in records(await values_on(stack.log, "prices"))]  # type: ignore[attr-defined]  # all of them are prices
    assert told == [(1, "FINAL", "tso-north"), (2, "CORRECTED", "tso-north")]


async def test_an_alert_is_cleared_by_pushing_it_with_an_end(stack: Stack, pusher: Pusher) -> None:
    client, notice = pusher(), alert()
    assert (await client.post("/v1/signals/alerts", json=notice)).status_code == 201
    over = await client.post("/v1/signals/alerts", json=notice | {"ends_at": datetime.now(UTC).isoformat()})
    assert over.json() == {"news": "corrected", "revision": 2, "left_out": []}


async def test_a_new_alert_that_is_over_is_refused_and_the_end_of_one_that_stands_is_not(pusher: Pusher) -> None:
    client, now = pusher(), datetime.now(UTC)
    past = {"starts_at": (now - timedelta(hours=1)).isoformat(), "ends_at": (now - timedelta(minutes=30)).isoformat()}
    refused = await client.post("/v1/signals/alerts", json=alert(**past))
    (fault,) = refused.json()["errors"]
    assert (refused.status_code, fault["code"], fault["pointer"]) == (422, "ALREADY_OVER", "/ends_at")
    assert (await client.post("/v1/signals/alerts", json=alert())).json()["news"] == "new"
    assert (await client.post("/v1/signals/alerts", json=alert(**past))).json()["news"] == "corrected"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"prices_per_mwh": ["99999"] * 24}, "OUT_OF_BOUNDS"),
        ({"prices_per_mwh": [None] * 24}, "EMPTY"),
        ({"starts_at": (TODAY + timedelta(days=11)).isoformat()}, "FUTURE"),
        ({"status": "UNKNOWN"}, "UNKNOWN_SYMBOL"),
        ({"zone": "GB"}, "ZONE_UNKNOWN"),
        ({"prices_per_mwh": [1.5]}, "INVALID_VALUE"),
        ({"provider": "entsoe"}, "UNKNOWN_FIELD"),
        ({"starts_at": "2024-05-12T00:00:00"}, "INVALID_VALUE"),
    ],
)
async def test_the_checks_of_every_feed_are_made_here_too(pusher: Pusher, changes: dict[str, Any], code: str) -> None:
    refused = await pusher().post("/v1/signals/prices", json=prices(**changes))
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert code in {error["code"] for error in refused.json()["errors"]}


async def test_a_lower_status_never_overwrites(pusher: Pusher) -> None:
    client = pusher()
    await client.post("/v1/signals/prices", json=prices())
    lower = await client.post("/v1/signals/prices", json=prices(status="PRELIMINARY", prices_per_mwh=["1"] * 24))
    assert (lower.status_code, lower.json()["errors"][0]["code"]) == (409, "LOWER_STATUS")


async def test_only_operators_with_the_scope_push(stack: Stack, pusher: Pusher) -> None:
    unable = [
        pusher("operator", "tso-north", SIGNAL_READ, DISPATCH_WRITE),
        pusher("participant", "acme-ai", SIGNAL_WRITE),
        pusher("service", "tso-north", SIGNAL_WRITE),
    ]
    assert [(await client.post("/v1/signals/prices", json=prices())).status_code for client in unable] == [403] * 3
    async with httpx2.AsyncClient(base_url=stack.feeds_url, timeout=SOON_S) as stranger:
        assert (await stranger.post("/v1/signals/prices", json=prices())).status_code == 401
    nobody_s = await pusher("operator", "not-in-the-registry").post("/v1/signals/prices", json=prices())
    assert nobody_s.status_code == 403


async def test_a_body_that_is_none_is_refused_as_at_the_operators_door(pusher: Pusher) -> None:
    client, json = pusher(), {"Content-Type": "application/json"}
    statuses = [
        (await client.post("/v1/signals/carbon", content=content, headers=headers)).status_code
        for content, headers in [
            (b"{", json),
            (b'{"zone": "FR", "zone": "FR"}', json),
            (b"{}", {"Content-Type": "text/plain"}),
            (b" " * 70_000, json),
        ]
    ]
    assert statuses == [400, 422, 415, 413]


async def test_the_state_of_the_feeds_is_for_operators(stack: Stack, pusher: Pusher) -> None:
    async with httpx2.AsyncClient(base_url=stack.feeds_url, timeout=SOON_S) as stranger:
        assert (await stranger.get("/v1/feeds")).status_code == 401
    for unable in (
        pusher("participant", "acme-ai", SIGNAL_READ),
        pusher("operator", "not-in-the-registry", SIGNAL_READ),
        pusher("operator", "tso-north", SIGNAL_WRITE),
    ):
        assert (await unable.get("/v1/feeds")).status_code == 403
    told = await pusher("operator", "tso-north", SIGNAL_READ).get("/v1/feeds")
    assert (told.status_code, told.json()) == (200, [])


async def test_the_pages_of_the_door_say_how_it_is(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.feeds_url, timeout=SOON_S) as anybody:
        assert (await anybody.get("/healthz")).status_code == 200
        described = (await anybody.get("/openapi.json")).json()
        body = described["paths"]["/v1/signals/prices"]["post"]["requestBody"]
        assert "prices_per_mwh" in body["content"]["application/json"]["schema"]["properties"]
