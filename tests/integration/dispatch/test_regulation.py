"""Setpoints over REST: of an operator's own orders alone, within the order, and on to the site that holds it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from gridsignal import MW
from gridsignal_schemas.values import rfc3339
from tests.integration.dispatch.conftest import Day
from tests.patience import SOON_S

SECOND = timedelta(seconds=1)


def setpoint_of(day: Day, number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "cycle_no": number, "level_ppm": 500_000, "base_w": 36 * MW, "target_at": rfc3339(day.clock.now())
    } | changes  # fmt: skip


def body_of(day: Day, number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"cycle_s": 2, "setpoints": [setpoint_of(day, number, **changes)]}


async def test_a_setpoint_that_nobody_could_follow_is_refused_and_that_of_another_operator(day: Day) -> None:
    order = await day.order()
    path = f"/v1/regulation/{order.order_id}/setpoints"
    early = await day.operator.post(path, json=body_of(day))
    await day.clock.move_to(order.starts_at + 10 * SECOND)

    async def codes(**changes: Any) -> tuple[int, str, str]:
        answer = await day.operator.post(path, json=body_of(day, **changes))
        (fault,) = answer.json()["errors"]
        return answer.status_code, fault["code"], fault["pointer"]

    now = day.clock.now()
    assert early.status_code == 422
    assert [
        await codes(target_at=day.at(60)),
        await codes(target_at=rfc3339(now + timedelta(minutes=2))),
        await codes(valid_until=rfc3339(now + timedelta(minutes=1))),
        await codes(target_at=rfc3339(now - 4 * SECOND), valid_until=rfc3339(now - SECOND)),
        await codes(base_w=11 * MW),
        await codes(level_ppm=1_000_001),
    ] == [
        (422, "SETPOINT_PERIOD", "/setpoints/0/target_at"),
        (422, "SETPOINT_PERIOD", "/setpoints/0/target_at"),
        (422, "SETPOINT_VALIDITY", "/setpoints/0/valid_until"),
        (422, "SETPOINT_STALE", "/setpoints/0/valid_until"),
        (422, "SETPOINT_BASE", "/setpoints/0/base_w"),
        (422, "INVALID_VALUE", "/setpoints/0/level_ppm"),
    ]
    others = [day.stack.token("operator", "supplier-one"), day.stack.token("participant", "acme-ai")]
    strangers = [
        await day.operator.post(path, json=body_of(day), headers={"Authorization": f"Bearer {token}"})
        for token in others
    ]
    assert [answer.status_code for answer in strangers] == [404, 403]


async def test_setpoints_reach_the_site_of_an_order_until_it_is_over(day: Day) -> None:
    order = await day.order()
    path = f"/v1/regulation/{order.order_id}/setpoints"
    await day.clock.move_to(order.starts_at + 10 * SECOND)
    async with day.site() as grid, asyncio.timeout(SOON_S):
        signal = grid.regulate(order)
        sent = await day.operator.post(path, json=body_of(day))
        assert (await anext(signal)).power_w(order.power_w) == 30 * MW
    assert (sent.status_code, sent.json()) == (200, {"logged": 1, "refused": []})

    await day.operator.post(f"/v1/orders/{order.order_id}/release", json={"reason": "the peak is over"})
    await day.clock.move_to(order.starts_at + timedelta(minutes=5))
    await day.until(f"/v1/orders/{order.order_id}", lambda view: view["state"] == "COMPLETED")
    over = await day.operator.post(path, json=body_of(day, 3))
    assert (over.status_code, over.json()["errors"][0]["code"]) == (409, "ORDER_NOT_HELD")


async def test_what_is_wrong_with_one_order_of_a_cycle_keeps_no_other_back_and_foreign_is_as_absent(day: Day) -> None:
    order = await day.order()
    await day.clock.move_to(order.starts_at + 10 * SECOND)
    one = {"level_ppm": -250_000, "base_w": 36 * MW}
    cycle = {"cycle_s": 2, "cycle_no": 2, "target_at": rfc3339(day.clock.now())} | {
        "setpoints": [{"order_id": "nobodys"} | one, {"order_id": order.order_id} | one]
    }
    stranger = {"Authorization": f"Bearer {day.stack.token('operator', 'supplier-one')}"}
    async with day.site() as grid, asyncio.timeout(SOON_S):
        signal = grid.regulate(order)
        foreign = (await day.operator.post("/v1/regulation/setpoints", json=cycle, headers=stranger)).json()
        many = (await day.operator.post("/v1/regulation/setpoints", json=cycle)).json()
        assert (await anext(signal)).power_w(order.power_w) == 39 * MW

    (refused,) = many["refused"]
    assert (many["logged"], refused["order_id"], refused["errors"][0]["code"]) == (1, "nobodys", "ORDER_UNKNOWN")
    assert foreign["logged"] == 0
    assert foreign["refused"] == [refused | {"order_id": name} for name in ("nobodys", order.order_id)]
