"""A request that has left the ledger's memory is read as it stood, answered as it was, and changed no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gridsignal_schemas.messages import DispatchOrder, DispatchRequest
from tests.builders import utc
from tests.journey.conftest import TEN_MW, World, hear, stepped_world

MW = 1_000_000
SETTLED = timedelta(days=44)
"""By the standard rule: final after thirty days, undisputed for fourteen more."""
MONTH = SETTLED + timedelta(days=2)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with stepped_world(tmp_path) as opened:
        yield opened


def times(day: str) -> dict[str, str]:
    at = {"starts_at": "18:00", "ends_at": "18:45", "gate_closure_at": "17:00", "decision_deadline": "17:20"}
    return {name: f"{day}T{time}:00Z" for name, time in at.items()}


async def delivered(world: World) -> str:
    """fra-1 serves 10 MW for 45 minutes, and is settled; the order's id."""
    async with world.site("acme-ai", "fra-1") as grid:
        heard = grid.subscribe("dispatch", zones=["DE-LU"])
        await grid.offer(await hear(heard, DispatchRequest), TEN_MW, "70", offer_id="of-1")
        await world.reach(utc("17:00"))
        order = await hear(heard, DispatchOrder)
        await grid.accept(order)
        await world.reach(utc("18:15"))
        await grid.meter(meter="main", starts_at=order.starts_at, ends_at=utc("18:15"), import_w=8 * MW, seq=1)
        await world.reach(utc("19:00"))
    await world.reach(utc("19:00") + SETTLED)
    return order.order_id


BODY = {"zone": "DE-LU", "direction": "LOAD_DECREASE", "power_w": TEN_MW, "respond_within_s": 300}
SPRING = {"Idempotency-Key": "spring"}
DAY = {"from": "2024-05-12T00:00:00Z", "to": "2024-05-13T00:00:00Z"}


async def asked(desk: Any) -> str:
    answer = await desk.post("/v1/requests", json=BODY | times("2024-05-12"), headers=SPRING)
    return str(answer.json()["request"]["request_id"])


async def statement(who: Any, **narrowed: str) -> dict[str, Any]:
    """May's, but for when it was asked."""
    return dict((await who.get("/v1/statements/2024-05", params=narrowed)).json()) | {"as_of": ""}


async def a_month_later(world: World) -> None:
    """The next request finds the ledger without those before it, which were settled two days ago."""
    await world.reach(utc("12:00") + MONTH)
    later = await world.ask(**times("2024-06-27"))
    assert {name for ledger in world.stack.replica.ledgers.values() for name in ledger.requests} == {later}


async def test_what_is_a_month_over_is_read_as_it_stood(world: World) -> None:
    async with world.desk() as desk, world.desk("acme-ai", "participant") as site:
        request_id = await asked(desk)
        order_id = await delivered(world)
        questions: list[tuple[Any, str, dict[str, str]]] = [
            (desk, f"/v1/requests/{request_id}", {}),
            (site, f"/v1/requests/{request_id}", {}),
            (desk, f"/v1/requests/{request_id}/book", {}),
            (desk, f"/v1/orders/{order_id}", {}),
            (site, f"/v1/orders/{order_id}", {}),
            (desk, "/v1/requests", DAY),
            (desk, "/v1/orders", DAY),
            (desk, "/v1/orders", {"request_id": request_id}),
            (site, "/v1/orders", DAY),
            (site, "/v1/offers", {"request_id": request_id}),
            (desk, "/v1/totals", DAY),
            (site, "/v1/totals", DAY | {"by": "site"}),
            (desk, "/v1/readings", {"site": "fra-1", **DAY}),
        ]
        before = [(await who.get(path, params=asked_for)).json() for who, path, asked_for in questions]
        statements = [
            await statement(who, **narrowed) for who in (desk, site) for narrowed in ({}, {"order_id": order_id})
        ]
        assert [[order["state"] for order in each["orders"]] for each in statements] == [["SETTLED"]] * 4
        await a_month_later(world)
        for (who, path, asked_for), answer in zip(questions, before, strict=True):
            again = await who.get(path, params=asked_for)
            assert (path, again.status_code, again.json()) == (path, 200, answer)
        again = [await statement(who, **narrowed) for who in (desk, site) for narrowed in ({}, {"order_id": order_id})]
        assert again == statements
        assert (await desk.get("/v1/orders")).json()["orders"] == []


async def test_what_is_a_month_over_is_changed_no_more(world: World) -> None:
    async with world.desk() as desk:
        request_id = await asked(desk)
        order_id = await delivered(world)
        shown = (await desk.get(f"/v1/requests/{request_id}")).json()
        await a_month_later(world)

        repeated = await desk.post("/v1/requests", json=BODY | times("2024-05-12"), headers=SPRING)
        assert (repeated.status_code, repeated.json()) == (200, shown)
        elsewhere = await desk.post("/v1/requests", json=BODY | times("2024-06-27"), headers=SPRING)
        assert elsewhere.status_code == 409
        for path, change in (
            (f"/v1/requests/{request_id}/cancel", {"reason": "late"}),
            (f"/v1/orders/{order_id}/extend", {"ends_at": "2024-05-12T19:30:00Z"}),
            (f"/v1/orders/{order_id}/release", {}),
        ):
            assert (path, (await desk.post(path, json=change)).status_code) == (path, 409)
        cleared = await desk.post(f"/v1/requests/{request_id}/clear", json={"reason": "late"})
        assert (cleared.status_code, cleared.json()["errors"][0]["code"]) == (422, "REQUEST_NOT_CLEARING")


async def test_nobody_else_reads_the_past(world: World) -> None:
    request_id = await world.ask()
    order_id = await delivered(world)
    await a_month_later(world)
    async with (
        world.desk("supplier-one") as rival,
        world.desk("volt-colo", "participant") as other,
    ):
        for who, path in (
            (rival, f"/v1/requests/{request_id}/book"),
            (rival, f"/v1/orders/{order_id}"),
            (other, f"/v1/orders/{order_id}"),
            (other, f"/v1/requests/{request_id}/book"),
        ):
            assert (path, (await who.get(path)).status_code) == (path, 404)
        assert (await other.get("/v1/orders", params=DAY)).json()["orders"] == []
        assert (await other.get("/v1/offers", params={"request_id": request_id})).json()["offers"] == []


async def test_an_offer_sent_again_after_a_month_gets_its_first_receipt(world: World) -> None:
    request_id = await world.ask()
    await delivered(world)
    ledger = world.stack.replica.ledger_of("DE-LU")
    first = ledger.offers["acme-ai", "of-1"]
    await a_month_later(world)
    assert request_id not in ledger.requests
    outcome = await world.stack.replica.submit(first.offer, "participant:acme-ai")
    assert (outcome.accepted, outcome.duplicate, outcome.receipt) == (False, True, first.receipt)
