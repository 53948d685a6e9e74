"""The door in its callers' words: where to begin, what may be tried, filters as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from gridsignal_services.embedded import Stack
from tests.integration.dispatch.conftest import Caller
from tests.patience import SOON_S


async def test_the_front_page_says_what_this_is(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.api_url, timeout=SOON_S) as anybody:
        front = await anybody.get("/")
        assert (front.status_code, front.json()["documentation"]) == (200, "/docs")


async def test_the_documentation_can_be_tried(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.api_url, timeout=SOON_S) as anybody:
        described = (await anybody.get("/openapi.json")).json()
    assert {"type": "http", "scheme": "bearer"}.items() <= described["components"]["securitySchemes"][
        "HTTPBearer"
    ].items()
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert all(operation["security"] == [{"HTTPBearer": []}] for operation in operations)
    summaries = {operation["summary"] for operation in operations}
    assert len(summaries) == len(operations)
    assert not summaries & {"Ask", "Every", "One"}


async def test_a_symbol_is_a_symbol_in_small_letters_too(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    made = await operator.post("/v1/requests", json=body, headers={"Idempotency-Key": "k"})
    for state in ("open", "Open", "OPEN"):
        found = (await operator.get("/v1/requests", params={"state": state})).json()["requests"]
        assert [view["request"]["request_id"] for view in found] == [made.json()["request"]["request_id"]]
    wrong = await operator.get("/v1/orders", params={"state": "opened"})
    assert wrong.status_code == 422
    assert "UNKNOWN" not in wrong.json()["errors"][0]["message"]


async def test_a_zone_that_is_none_of_yours_is_a_mistake_and_not_an_empty_list(operator: httpx2.AsyncClient) -> None:
    answer = await operator.get("/v1/requests", params={"zone": "XX"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "ZONE_UNKNOWN")
    assert "DE-LU" in answer.json()["errors"][0]["message"]


async def test_an_enum_offers_nothing_that_nobody_may_use(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    answer = await operator.post(
        "/v1/requests", json=body | {"purpose": "MONEY"}, headers={"Idempotency-Key": "purpose"}
    )
    (error,) = answer.json()["errors"]
    assert "'BALANCING'" in error["message"]
    assert "UNKNOWN" not in error["message"]


async def test_lists_are_cut_by_time_and_turned_round(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    def later(hours: int) -> dict[str, Any]:
        times = ("starts_at", "ends_at", "gate_closure_at", "decision_deadline")
        moved = {name: (datetime.fromisoformat(body[name]) + timedelta(hours=hours)).isoformat() for name in times}
        return body | moved

    made = [
        (await operator.post("/v1/requests", json=later(hours), headers={"Idempotency-Key": f"h{hours}"})).json()
        for hours in (0, 2, 4)
    ]
    ids = [view["request"]["request_id"] for view in made]

    async def listed(**params: Any) -> list[str]:
        answer = await operator.get("/v1/requests", params=params)
        return [view["request"]["request_id"] for view in answer.json()["requests"]]

    assert await listed() == ids
    assert await listed(newest_first=True) == ids[::-1]
    assert await listed(newest_first=True, limit=1) == ids[2:]
    assert await listed(**{"from": made[1]["request"]["starts_at"], "to": made[2]["request"]["starts_at"]}) == [ids[1]]


async def test_operators_see_the_sites_of_their_zones_and_nobodys_offers(
    operator: httpx2.AsyncClient, caller: Caller
) -> None:
    seen = (await operator.get("/v1/sites")).json()
    assert {site["zone"] for site in seen} == {"DE-LU", "FR"}
    assert {frozenset(site) for site in seen} == {frozenset({"zone", "site", "capacity_w", "baseline_until"})}
    fra = next(site for site in seen if site["site"] == "fra-1")
    assert (fra["capacity_w"], fra["baseline_until"] is None) == (60_000_000, False)
    own = (await caller("participant", "acme-ai").get("/v1/sites")).json()
    assert {"participant", "minimum_load_w"} <= set(own[0])


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v1/requests/nope", "No such request, or you may not see it."),
        ("/v1/requests/nope/book", "No such request, or you may not see it."),
        ("/v1/orders/nope", "No such order, or you may not see it."),
        ("/v1/order", "There is nothing at this path; /docs shows what there is."),
    ],
)
async def test_what_is_not_found_is_named(operator: httpx2.AsyncClient, path: str, detail: str) -> None:
    answer = await operator.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (404, detail)
