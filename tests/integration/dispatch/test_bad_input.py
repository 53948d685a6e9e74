"""Whatever comes in at the REST door gets a specific refusal, and nothing of it reaches the log."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from gridsignal_services.embedded import Stack
from tests.integration.dispatch.conftest import Caller
from tests.patience import SOON_S

JSON = {"content-type": "application/json", "Idempotency-Key": "bad"}


async def refused(operator: httpx2.AsyncClient, content: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    answer = await operator.post("/v1/requests", content=content, headers=JSON if headers is None else headers)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    return problem


def pointers(problem: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in problem["errors"]}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"power_w": "5"}, "/power_w"),
        ({"power_w": 0}, "/power_w"),
        ({"power_w": 10**15}, "/power_w"),
        ({"power_w": 1.5}, "/power_w"),
        ({"power_w": True}, "/power_w"),
        ({"starts_at": "2030-05-12T18:00:00"}, "/starts_at"),
        ({"starts_at": 5}, "/starts_at"),
        ({"direction": "SIDEWAYS"}, "/direction"),
        ({"direction": "UNKNOWN"}, "/direction"),
        ({"price_cap_per_mwh": 90}, "/price_cap_per_mwh"),
        ({"price_cap_per_mwh": "1e5"}, "/price_cap_per_mwh"),
        ({"colour": "green"}, "/colour"),
        ({"zone": "GB"}, "/zone"),
        ({"min_quantity_w": 13_000_000}, "/min_quantity_w"),
        ({"step_w": 5_000_000}, "/step_w"),
        ({"visibility": "LISTED", "audience": ["nobody-i-know"]}, "/audience/0"),
    ],
)
async def test_each_broken_field_is_named(
    operator: httpx2.AsyncClient, body: dict[str, Any], change: dict[str, Any], pointer: str
) -> None:
    problem = await refused(operator, json.dumps(body | change))
    assert problem["status"] == 422
    assert pointer in pointers(problem)


async def test_all_semantic_faults_come_at_once(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    wrong = {"ends_at": body["starts_at"], "min_quantity_w": 13_000_000, "gate_closure_at": "2020-01-01T00:00:00Z"}
    problem = await refused(operator, json.dumps(body | wrong))
    assert {"/ends_at", "/min_quantity_w", "/gate_closure_at"} <= pointers(problem)


async def test_a_key_that_comes_twice_is_refused(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    twice = json.dumps(body)[:-1] + ', "power_w": 1}'
    assert "/power_w" in pointers(await refused(operator, twice))


async def test_not_a_number_is_no_number(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    assert "/power_w" in pointers(await refused(operator, json.dumps(body | {"power_w": float("nan")})))


async def test_what_is_no_json_is_told_so(operator: httpx2.AsyncClient) -> None:
    assert (await refused(operator, "{"))["status"] == 400


async def test_another_content_type_is_refused(operator: httpx2.AsyncClient) -> None:
    headers = {"content-type": "text/plain", "Idempotency-Key": "bad"}
    assert (await refused(operator, "{}", headers))["status"] == 415


async def test_a_body_over_the_limit_is_not_read(operator: httpx2.AsyncClient) -> None:
    assert (await refused(operator, " " * (64 * 1024 + 1)))["status"] == 413


async def test_a_request_without_its_key_is_refused(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    problem = await refused(operator, json.dumps(body), {"content-type": "application/json"})
    assert (problem["status"], pointers(problem)) == (400, {"Idempotency-Key"})


async def test_nothing_of_it_reached_the_log(stack: Stack, operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    before = await stack.log.end_positions("dispatch")
    await refused(operator, json.dumps(body | {"power_w": 0}))
    await refused(operator, "{")
    assert await stack.log.end_positions("dispatch") == before


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer x", "Basic eDp5", "Bearer a.b.c"])
async def test_who_has_no_token_gets_one_answer(stack: Stack, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    async with httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S) as http:
        answer = await http.get("/v1/requests")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["detail"] == "expected a valid bearer token"


async def test_a_participant_asks_for_nothing(caller: Caller, body: dict[str, Any]) -> None:
    answer = await caller("participant", "acme-ai").post("/v1/requests", json=body, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:gridsignal:problem:forbidden")


async def test_unknown_parameters_values_are_named(operator: httpx2.AsyncClient) -> None:
    answer = await operator.get("/v1/requests", params={"limit": 0})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?limit")


async def test_a_period_that_ends_before_it_begins_is_a_mistake_wherever_one_is_asked(
    stack: Stack, operator: httpx2.AsyncClient
) -> None:
    described = (await operator.get("/openapi.json")).json()
    named = {"zone": "DE-LU", "site": "fra-1", "from": "2024-05-12T19:00:00Z"}
    asked = 0
    for path, operations in described["paths"].items():
        parameters = {each["name"]: each for each in operations.get("get", {}).get("parameters", ())}
        if not {"from", "to"} <= parameters.keys():
            continue
        asked += 1
        needed = {name: named[name] for name, each in parameters.items() if each["required"] and name in named}
        for to in ("2024-05-12T18:00:00Z", named["from"]):
            answer = await operator.get(path, params=needed | {"from": named["from"], "to": to})
            (found,) = answer.json()["errors"]
            assert (answer.status_code, found["code"], found["pointer"]) == (422, "PERIOD", "?to"), path
            assert "expected after" in found["message"]
    assert asked >= 6  # requests, orders, prices, carbon, totals, readings, baselines
