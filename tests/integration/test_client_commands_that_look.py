"""What commands of a data center show is so now, and what is not possible is told as what it is."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gridsignal import MW
from gridsignal.__main__ import COMMANDS
from gridsignal.cli.connection import newest
from gridsignal.testing import FakeGrid
from gridsignal_schemas.rules.access import OFFER_WRITE, SCOPES
from gridsignal_schemas.values import rfc3339
from gridsignal_services import embedded
from gridsignal_services.embedded import Stack
from tests.builders import an_offer_decision
from tests.integration.typed import Typed, typing_at
from tests.patience import SOON_S


@pytest.fixture
async def stack(stack: Stack) -> Stack:
    """With baselines for every site."""
    await stack.declare_flat_baselines(embedded.midnight(datetime.now(UTC)), 3, 0.6)
    return stack


@pytest.fixture
async def operator(stack: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {stack.token('operator', 'tso-north')}"}
    async with httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S) as http:
        yield http


@pytest.fixture
def typed(stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    token = stack.token("participant", "acme-ai")
    return typing_at({"url": stack.gateway_url, "api": stack.api_url, "token": token}, monkeypatch, capsys)


def a_question(gate: timedelta) -> dict[str, Any]:
    """12 MW less in three hours, to be asked by POST."""
    now = datetime.now(UTC).replace(microsecond=0)
    times = {
        "starts_at": now + timedelta(hours=3),
        "ends_at": now + timedelta(hours=4),
        "gate_closure_at": now + gate,
        "decision_deadline": now + gate + timedelta(seconds=1),
    }
    body = {"zone": "DE-LU", "direction": "LOAD_DECREASE", "power_w": 12 * MW}
    body |= {name: rfc3339(at) for name, at in times.items()}
    return {"json": body, "headers": {"Idempotency-Key": f"k-{gate}".replace(" ", "")}}


async def asked(operator: httpx2.AsyncClient) -> str:
    """A request for an hour's offers; its id."""
    made = await operator.post("/v1/requests", **a_question(timedelta(hours=1)))
    assert made.status_code == 201, made.text
    return str(made.json()["request"]["request_id"])


async def ordered(typed: Typed, operator: httpx2.AsyncClient) -> tuple[str, str]:
    """A request that was cleared before its gate closed, and the order on the offer it found; their ids."""
    request_id = await asked(operator)
    assert (await typed("offer", "create", request_id, "--power", "12MW", "--price", "80")).code == 0
    assert (await operator.post(f"/v1/requests/{request_id}/clear", json={})).status_code == 200
    (order,) = (await operator.get("/v1/orders", params={"request_id": request_id})).json()["orders"]
    return request_id, str(order["order"]["order_id"])


async def test_a_look_shows_what_was_answered_a_moment_ago(typed: Typed, operator: httpx2.AsyncClient) -> None:
    """Snapshots are shared for a while; nothing is published of an answer."""
    _, order_id = await ordered(typed, operator)

    async def look() -> list[tuple[str, str, int]]:
        rows = (await typed("watch", "dispatch", "--once", "--json")).rows()
        return [(row["order_id"], row["state"], row["power_w"]) for row in rows if row["type"] == "DispatchOrder"]

    async with asyncio.timeout(SOON_S):
        while (order_id, "ISSUED", 12 * MW) not in await look():
            pass
    assert (await typed("respond", "accept", order_id, "--power", "8MW")).code == 0
    assert await look() == [(order_id, "ACCEPTED", 8 * MW)]
    assert (await operator.post(f"/v1/orders/{order_id}/cancel", json={})).status_code == 200
    assert await look() == []


async def test_an_operator_sees_its_orders_and_a_site_none_that_it_refused_a_moment_ago(
    typed: Typed, operator: httpx2.AsyncClient, stack: Stack, tmp_path: Path
) -> None:
    """A gateway tells no operator where its orders stand: they are shown as they were published."""
    _, order_id = await ordered(typed, operator)
    token = tmp_path / "token"
    token.write_text(stack.token("operator", "tso-north"))

    async def look(*more: str) -> list[str]:
        rows = (await typed("watch", "dispatch", "--once", "--json", *more)).rows()
        return [row["order_id"] for row in rows if row["type"] == "DispatchOrder"]

    async with asyncio.timeout(SOON_S):
        while await look("--token-file", str(token)) != [order_id]:
            pass
        while await look() != [order_id]:
            pass
    assert (await typed("respond", "refuse", order_id)).code == 0
    assert await look() == []


def test_decisions_on_offers_of_two_participants_with_one_id_are_two() -> None:
    """An id is unique among its participant's alone."""
    first = an_offer_decision(participant="acme-ai")
    again, other = an_offer_decision(participant="acme-ai", decision="RELEASED"), an_offer_decision(participant="volt")
    assert newest([first, other, again]) == [again, other]


async def test_an_offer_to_what_was_decided_before_its_gate_is_not_told_of_a_gate_that_closed(
    typed: Typed, operator: httpx2.AsyncClient
) -> None:
    request_id, order_id = await ordered(typed, operator)
    assert (await typed("respond", "refuse", order_id)).code == 0  # and nobody else has offered
    async with asyncio.timeout(SOON_S):
        while (late := await typed("offer", "create", request_id, "--power", "12MW", "--price", "80")).out:
            pass  # sent, and rejected: the snapshot was of a moment ago
    told = f"REQUEST_NOT_OPEN: request {request_id} was decided before its gate closed; the offer was not sent"
    assert (late.code, late.out, late.err) == (1, "", f"gridsignal: {told}\n")


async def test_a_late_offer_is_told_that_the_gate_has_closed(typed: Typed, operator: httpx2.AsyncClient) -> None:
    request_id = await asked_soon(operator)
    late = ("offer", "create", request_id, "--power", "12MW", "--price", "80")
    async with asyncio.timeout(SOON_S):
        while await state_of(operator, request_id) in ("OPEN", None):
            pass
        first = await typed(*late)
        while await state_of(operator, request_id) != "UNMET":
            pass
        second = await typed(*late)
    for told in (first, second):
        assert (told.code, told.out) == (1, "")
        assert f"gridsignal: GATE_CLOSED: the gate of request {request_id} closed at 20" in told.err


async def asked_soon(operator: httpx2.AsyncClient) -> str:
    """A request whose gate closes as soon as this machine allows."""
    for seconds in (1, 2, 4, 8, 16):
        made = await operator.post("/v1/requests", **a_question(timedelta(seconds=seconds)))
        if made.status_code == 201:
            return str(made.json()["request"]["request_id"])
    raise AssertionError(made.text)


async def state_of(operator: httpx2.AsyncClient, request_id: str) -> str | None:
    """Where a request stands; None where the door has had enough questions for a moment."""
    state: str | None = (await operator.get(f"/v1/requests/{request_id}")).json().get("state")
    return state


async def test_an_offer_to_what_was_taken_back_or_never_asked_is_told_so(
    typed: Typed, operator: httpx2.AsyncClient
) -> None:
    request_id = await asked(operator)
    assert (await operator.post(f"/v1/requests/{request_id}/cancel", json={})).status_code == 200
    terms = ("--power", "12MW", "--price", "80")
    taken = await typed("offer", "create", request_id, *terms)
    assert (taken.code, f"REQUEST_NOT_OPEN: request {request_id} was taken back" in taken.err) == (1, True)
    nothing = await typed("offer", "create", "nope", *terms)
    assert (nothing.code, "No open request 'nope', or you may not see it." in nothing.err) == (1, True)


async def test_a_late_offer_at_a_gateway_in_memory_is_told_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with FakeGrid() as fake:
        where = {"url": fake.url, "api": fake.api, "token": fake.token}
        typed = typing_at(where, monkeypatch, capsys)
        request = fake.ask(12 * MW, gate_closure_at=fake.now() + timedelta(seconds=1))
        async with asyncio.timeout(SOON_S):
            while fake.now() < request.gate_closure_at:
                assert (await typed("watch", "requests", "--once")).code == 0
        late = await typed("offer", "create", request.request_id, "--power", "12MW", "--price", "80")
        assert (late.code, "GATE_CLOSED" in late.err) == (1, True)


ASK = ["request", "create", "--down", "12MW", "--start", "+3h", "--for", "45m"]
NO_ZONE = [
    ["watch", "prices", "--once"],
    ["watch", "requests"],
    ["watch", "carbon", "--once", "--zone", "DE-LU"],
    ["prices"],
    ["prices", "--carbon"],
    ["prices", "--csv"],
    ["totals"],
    ["statement", "2024-05"],
    ["report", "matching", "--month", "2024-05"],
    ["request", "list"],
    ASK,
    ["alert", "list"],
    ["alert", "show", "a-1"],
    ["alert", "ack", "a-1", "understood"],
    ["alert", "clear", "a-1"],
    ["alert", "create", "--kind", "other", "--action", "inform"],
    ["push", "prices.csv", "--dataset", "X", "--currency", "EUR", "--timezone", "UTC"],
]
"""Each command that asks a door about a zone."""
ELSEWHERE = {
    *(("audit", action) for action in ("export", "head", "prove", "verify")),
    *(("settle", action) for action in ("run", "verify")),
    *(("ingest", action) for action in ("fetch", "parse", "record")),
    *(("agent", action) for action in ("simulate", "study")),
    ("events",),
    ("replay",),
}
"""Commands whose zone is a feed's, a log's or a file's, of which no door says whose it is."""
UNKNOWN = [
    (["order", "list", "--request", "nope"], 1, "No such request, or you may not see it."),
    (["order", "list", "--request", "nope", "--csv"], 1, "No such request, or you may not see it."),
    (["request", "show", "nope"], 1, "No such request, or you may not see it."),
    (["baseline", "show", "--site", "nope"], 1, "No such site, or you may not see it."),
    (["order", "show", "nope"], 1, "No such order, or you may not see it."),
    (["statement", "2024-05", "--site", "nope"], 1, "No such site, or you may not see it."),
    (["statement", "2024-05", "--order", "nope", "--csv"], 1, "No such order, or you may not see it."),
]


async def test_a_zone_that_is_none_of_yours_is_wrong_usage_of_every_command(
    typed: Typed, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of the refusal decides, at whichever door and wherever the zone stood."""
    now, scopes = datetime.now(UTC), SCOPES - {OFFER_WRITE}
    token = stack.issuer.mint("operator", "tso-north", "planner", scopes, 3600, now)
    (tmp_path / "token").write_text(token)
    (tmp_path / "prices.csv").write_text("starts_at,price_per_mwh\n2026-01-01 00:00,1\n2026-01-01 01:00,2\n")
    monkeypatch.chdir(tmp_path)
    for words in NO_ZONE:
        is_fed = words[0] == "push" or words[:2] in (["alert", "clear"], ["alert", "create"])
        to = ["--ingest", stack.feeds_url] if is_fed else []
        left = await typed(*words, "--zone", "XX", "--token-file", "token", *to)
        assert (left.code, left.out) == (2, ""), words
        where = "XX X 2026-01-01T00:00:00Z: /zone" if words[0] == "push" else "--zone"
        assert left.err == f"gridsignal: {where}: expected one of your zones (DE-LU, FR), got 'XX'\n", words


def test_every_command_with_a_zone_is_held_to_that() -> None:
    known = {tuple(words[:2]) for words in NO_ZONE} | {tuple(words[:1]) for words in NO_ZONE} | ELSEWHERE
    assert set(with_a_zone()) <= known


def with_a_zone() -> Iterator[tuple[str, ...]]:
    """The words of each command that has --zone."""
    waiting = [((name,), import_module(command.module).parser()) for name, command in COMMANDS.items()]
    while waiting:
        words, parser = waiting.pop()
        for action in parser._actions:
            if "--zone" in action.option_strings:
                yield words
            if isinstance(action, argparse._SubParsersAction):
                waiting += [((*words, name), inner) for name, inner in action.choices.items()]


async def test_what_is_unknown_is_told_alike_by_every_command(typed: Typed) -> None:
    for words, code, told in UNKNOWN:
        left = await typed(*words)
        assert (left.code, left.out, left.err) == (code, "", f"gridsignal: {told}\n"), words
