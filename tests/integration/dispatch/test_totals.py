"""Totals: what was asked, offered, ordered, delivered and paid; on a clock that tests move forward."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gridsignal import MW
from gridsignal_services.access import Role
from tests.integration.dispatch.conftest import Day

TOTALS = ("asked_wh", "offered_wh", "orders", "ordered_wh", "delivered_wh", "amount", "ordered_s", "metered_s")


async def test_totals_are_what_was_asked_offered_ordered_delivered_and_paid(day: Day) -> None:
    order = await day.order(accepted_w=8 * MW)
    await day.clock.move_to(order.starts_at + timedelta(minutes=50))
    for minutes, import_w in ((0, 28 * MW), (15, 32 * MW)):
        await day.meter(minutes, import_w)
    await day.until(f"/v1/orders/{order.order_id}", lambda view: len(view["metered"]) == 2)
    asked = {"from": day.at(-60), "to": day.at(90)}

    lines = {
        by: (await day.operator.get("/v1/totals", params=asked | {"by": by})).json()["totals"]
        for by in ("request", "site", "day")
    }

    local = day.starts_at.astimezone(ZoneInfo("Europe/Berlin")).date().isoformat()
    keys = {by: [line["key"] for line in found] for by, found in lines.items()}
    assert keys == {"request": [order.request_id], "site": ["fra-1"], "day": [local]}
    expected = [12_000_000, 1, 8_000_000, 3_000_000, "240", 3600, 1800]
    for by, (line,) in lines.items():
        assert [line[name] for name in TOTALS] == [None if by == "site" else 12_000_000, *expected]
        assert (line["currency"], line["requests"]) == ("EUR", 1)
    nothing = {"from": day.at(-600), "to": day.at(-60)}
    assert (await day.operator.get("/v1/totals", params=nothing)).json()["totals"] == []
    assert (await day.operator.get("/v1/totals", params=asked | {"zone": "FR"})).json()["totals"] == []


async def test_totals_are_of_ones_own_alone(day: Day) -> None:
    order = await day.order()
    asked = {"from": day.at(-60), "to": day.at(90), "by": "site"}

    async def lines(role: Role, name: str) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {day.stack.token(role, name)}"}
        answer = await day.operator.get("/v1/totals", params=asked, headers=headers)
        return list(answer.json()["totals"])

    (mine,) = await lines("participant", "acme-ai")
    assert (mine["key"], mine["ordered_wh"], mine["delivered_wh"]) == (order.site, 12_000_000, None)
    for role, name in STRANGERS:
        assert await lines(role, name) == []


STRANGERS: list[tuple[Role, str]] = [("participant", "hyper-infer"), ("operator", "supplier-one")]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"to": "2030-02-02T00:00:00Z"}, "?to"),
        ({"to": "2029-01-01T00:00:00Z"}, "?to"),
        ({"by": "hour"}, "?by"),
        ({"zone": "GB"}, "?zone"),
        ({"site": "fra-1"}, "?site"),
    ],
)
async def test_totals_of_nonsense_are_refused(day: Day, changes: dict[str, str], pointer: str) -> None:
    asked = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"} | changes
    answer = await day.operator.get("/v1/totals", params=asked)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
