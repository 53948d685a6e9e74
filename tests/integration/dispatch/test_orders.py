"""Orders over REST: what was delivered, ended earlier or later; on a clock that tests move forward."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from gridsignal import MW
from tests.integration.dispatch.conftest import Day


async def test_a_running_order_is_released_now(day: Day) -> None:
    order = await day.order()
    path = f"/v1/orders/{order.order_id}"
    await day.clock.move_to(order.starts_at + timedelta(minutes=20))
    await day.until(path, lambda view: view["state"] == "ACTIVE")

    released = await day.operator.post(f"{path}/release", json={"reason": "the peak is over"})

    assert released.status_code == 200, released.text
    seen = released.json()["order"]
    ends_at = datetime.fromisoformat(seen["ends_at"])
    assert order.starts_at + timedelta(minutes=20) <= ends_at < order.starts_at + timedelta(minutes=21)
    assert (seen["revision"], seen["actor"], seen["reason"]) == (2, "operator:tso-north", "the peak is over")


async def test_an_order_accepted_in_part_can_end_earlier_and_later(day: Day) -> None:
    order = await day.order(accepted_w=7 * MW)
    path = f"/v1/orders/{order.order_id}"

    earlier = await day.operator.post(f"{path}/release", json={"ends_at": day.at(30)})
    later = await day.operator.post(f"{path}/extend", json={"ends_at": day.at(45), "revision": 2})
    again = await day.operator.post(f"{path}/extend", json={"ends_at": day.at(45)})

    assert (earlier.status_code, later.status_code, again.status_code) == (200, 200, 200), earlier.text + later.text
    assert (again.json()["order"]["revision"], again.json()["order"]["ends_at"]) == (3, day.at(45))
    assert (again.json()["accepted_w"], again.json()["order"]["power_w"]) == (7 * MW, 7 * MW)


async def test_an_order_is_extended_as_far_as_it_says_itself(day: Day) -> None:
    order = await day.order(longer=timedelta(minutes=15))
    path = f"/v1/orders/{order.order_id}"
    before = (await day.operator.get(path)).json()

    too_far = await day.operator.post(f"{path}/extend", json={"ends_at": day.at(76)})
    extended = await day.operator.post(f"{path}/extend", json={"ends_at": before["extendable_until"]})

    assert (before["order"]["ends_at"], before["extendable_until"]) == (day.at(60), day.at(75))
    (fault,) = too_far.json()["errors"]
    assert (too_far.status_code, fault["code"], fault["pointer"]) == (422, "NOT_AS_OFFERED", "/ends_at")
    assert fault["message"] == f"expected an end by {day.at(75)}, as the site offered, got {day.at(76)}"
    view = extended.json()
    assert (extended.status_code, view["order"]["ends_at"], view["extendable_until"]) == (200, day.at(75), day.at(75))
    over = await day.operator.post(f"{path}/cancel", json={})
    assert over.json()["extendable_until"] is None


async def test_an_offer_that_says_no_more_lets_its_order_end_with_the_request(day: Day) -> None:
    order = await day.order()
    path = f"/v1/orders/{order.order_id}"
    assert (await day.operator.get(path)).json()["extendable_until"] == day.at(60)
    refused = await day.operator.post(f"{path}/extend", json={"ends_at": day.at(61)})
    assert [fault["code"] for fault in refused.json()["errors"]] == ["NOT_AS_OFFERED"]


async def test_one_order_is_cancelled_before_it_begins_and_only_by_its_operator(day: Day) -> None:
    order = await day.order()
    path = f"/v1/orders/{order.order_id}/cancel"
    others = [day.stack.token("operator", "supplier-one"), day.stack.token("participant", "acme-ai")]
    strangers = [
        await day.operator.post(path, json={}, headers={"Authorization": f"Bearer {token}"}) for token in others
    ]
    stale = await day.operator.post(path, json={"revision": 7})
    unknown = await day.operator.post(path, json={"ends_at": day.at(5)})
    done = await day.operator.post(path, json={"reason": "the line is back"})
    again = await day.operator.post(path, json={})

    assert [answer.status_code for answer in strangers] == [404, 403]
    assert (stale.status_code, stale.json()["errors"][0]["code"]) == (409, "ORDER_REVISION")
    assert (unknown.status_code, unknown.json()["errors"][0]["code"]) == (422, "UNKNOWN_FIELD")
    assert (done.status_code, again.status_code) == (200, 200), done.text
    assert (done.json()["state"], again.json()["order"]["revision"]) == ("CANCELLED", 2)
    last = done.json()["history"][-1]
    assert (last["reason"], last["principal"]) == ("the line is back", "operator:tso-north")


async def test_an_order_that_runs_is_released_and_not_cancelled(day: Day) -> None:
    order = await day.order()
    path = f"/v1/orders/{order.order_id}"
    await day.clock.move_to(order.starts_at + timedelta(minutes=5))
    await day.until(path, lambda view: view["state"] == "ACTIVE")
    refused = await day.operator.post(f"{path}/cancel", json={})
    (fault,) = refused.json()["errors"]
    expected = "expected an order that has not begun, got ACTIVE; release it instead"
    assert (refused.status_code, fault["code"], fault["message"]) == (409, "ORDER_RUNS", expected)


async def test_a_change_of_an_order_names_what_is_wrong_with_it(day: Day) -> None:
    order = await day.order()
    path = f"/v1/orders/{order.order_id}"

    async def codes(action: str, body: dict[str, Any]) -> set[str]:
        answer = await day.operator.post(f"{path}/{action}", json=body)
        assert 400 <= answer.status_code < 500
        return {fault["code"] for fault in answer.json()["errors"]}

    assert await codes("extend", {"ends_at": day.at(30), "revision": 7}) == {"NOT_LATER", "ORDER_REVISION"}
    assert await codes("extend", {}) == {"MISSING_FIELD"}
    assert await codes("release", {"ends_at": day.at(90)}) == {"NOT_EARLIER"}
    assert await codes("release", {"ends_at": day.at(-5)}) == {"BEFORE_START"}


async def test_what_was_delivered_is_metered_against_the_baseline(day: Day) -> None:
    order = await day.order()
    path = f"/v1/orders/{order.order_id}"
    await day.clock.move_to(order.starts_at + timedelta(minutes=50))
    for minutes, import_w in ((-15, 36 * MW), (0, 24 * MW), (15, 30 * MW), (30, 40 * MW)):
        await day.meter(minutes, import_w)

    view = await day.until(path, lambda view: len(view["metered"]) == 3)

    assert [
        (line["baseline_w"], line["actual_w"], line["delivered_w"], line["deficiency_w"]) for line in view["metered"]
    ] == [
        (36 * MW, 24 * MW, 12 * MW, 0),
        (36 * MW, 30 * MW, 6 * MW, 6 * MW),
        (36 * MW, 40 * MW, 0, 16 * MW),
    ]
    assert view["delivered_wh"] == 4_500_000


async def test_an_operator_reads_the_meters_around_its_own_orders_alone(day: Day) -> None:
    order = await day.order()
    await day.clock.move_to(order.starts_at + timedelta(minutes=50))
    for minutes in (-180, -30, 0, 15):
        await day.meter(minutes, 30 * MW)
    await day.until(f"/v1/orders/{order.order_id}", lambda view: len(view["metered"]) == 2)
    look = {"site": "fra-1", "from": day.at(-600), "to": day.at(600)}

    operators = (await day.operator.get("/v1/readings", params=look)).json()["readings"]
    own = {"Authorization": f"Bearer {day.stack.token('participant', 'acme-ai')}"}
    participants = (await day.operator.get("/v1/readings", params=look, headers=own)).json()["readings"]

    assert [reading["starts_at"] for reading in operators] == [day.at(-30), day.at(0), day.at(15)]
    assert len(participants) == 4
    month = look | {"to": day.at(30 * 1440)}
    assert (await day.operator.get("/v1/readings", params=month)).json()["errors"][0]["code"] == "PERIOD"
