"""A month's statement at the door: both parties read the newest versions, as JSON, CSV and a page; nobody else does."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from gridsignal import MW
from gridsignal_services.settlement.rules import STANDARD
from tests.integration.dispatch.conftest import Day
from tests.integration.dispatch.test_settlements import settled

RIVALS = (("participant", "volt-colo"), ("operator", "supplier-one"))


def path_of(day: Day) -> str:
    return f"/v1/statements/{day.starts_at.astimezone(ZoneInfo('Europe/Berlin')):%Y-%m}"


async def statement_of(day: Day, **params: Any) -> dict[str, Any]:
    answer = await day.operator.get(path_of(day), params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_both_parties_read_the_statement_and_a_rival_sees_nothing(day: Day) -> None:
    settlement = (await settled(day))["settlement"]

    for role, who in (("operator", "tso-north"), ("participant", "acme-ai")):
        headers = {"Authorization": f"Bearer {day.stack.token(role, who)}"}
        statement = (await day.operator.get(path_of(day), headers=headers)).json()
        (order,) = statement["orders"]
        assert (statement["of"], order["settlement"], order["state"]) == (f"{role}:{who}", settlement, "PROVISIONAL")
        (total,) = statement["totals"]
        assert (total["currency"], total["orders"], total["total"]) == ("EUR", 1, settlement["total"])

    for role, who in RIVALS:
        headers = {"Authorization": f"Bearer {day.stack.token(role, who)}"}
        statement = (await day.operator.get(path_of(day), headers=headers)).json()
        assert (statement["count"], statement["totals"], statement["orders"]) == (0, [], [])
        asked = {"order_id": settlement["order_id"]}
        one = await day.operator.get(path_of(day), headers=headers, params=asked)
        assert one.status_code == 404


async def test_an_order_that_is_not_settled_so_far_stands_there_without_a_figure(day: Day) -> None:
    order = await day.order()
    await day.clock.move_to(day.starts_at + timedelta(minutes=61))
    await day.until(f"/v1/orders/{order.order_id}", lambda shown: shown["state"] == "COMPLETED")

    statement = await statement_of(day)

    assert (statement["count"], statement["unsettled"], statement["totals"]) == (1, 1, [])
    (found,) = statement["orders"]
    assert (found["order_id"], found["state"], found["settlement"]) == (order.order_id, "DUE", None)
    page = await day.operator.get(path_of(day), headers={"Accept": "text/html"})
    assert "over and not settled so far" in page.text


async def test_a_later_version_takes_the_place_of_the_one_before(day: Day) -> None:
    first = (await settled(day))["settlement"]
    await day.meter(45, 30 * MW)  # with a lower sequence number it would not count
    await day.clock.move_to(day.starts_at + timedelta(minutes=60, seconds=STANDARD.final_after_s + 1))
    path = f"/v1/orders/{first['order_id']}/settlement"
    final = (await day.until(path, lambda shown: shown["settlement"]["version"] == 2))["settlement"]

    statement = await statement_of(day)

    (order,) = statement["orders"]
    assert (order["settlement"], order["state"]) == (final, "FINAL")
    assert [total["total"] for total in statement["totals"]] == [final["total"]]


async def test_the_sheet_and_the_page_say_what_the_json_says(day: Day) -> None:
    settlement = (await settled(day))["settlement"]

    sheet = await day.operator.get(path_of(day), headers={"Accept": "text/csv"})
    page = await day.operator.get(path_of(day), params={"format": "page"})

    rows = [row for row in csv.DictReader(StringIO(sheet.text)) if row["kind"] == "INTERVAL"]
    for row, interval in zip(rows, settlement["intervals"], strict=True):
        for name in ("starts_at", "ends_at", "delivered_wh", "amount"):
            assert row[name] == str(interval[name])
        assert (row["rule_sha256"], row["version"]) == (settlement["rule"]["sha256"], "1")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    for text in (settlement["total"], settlement["rule"]["sha256"], settlement["inputs"]["readings_sha256"]):
        assert text in page.text
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    assert (await day.operator.get(path_of(day), headers=browser)).text.startswith("<!doctype html>")


async def test_filters_narrow_and_what_is_unknown_is_said(day: Day) -> None:
    settlement = (await settled(day))["settlement"]
    for params, count in (
        ({"site": "fra-1"}, 1),
        ({"zone": "DE-LU"}, 1),
        ({"zone": "FR"}, 0),
        ({"order_id": settlement["order_id"]}, 1),
    ):
        assert (await statement_of(day, **params))["count"] == count, params
    other = datetime(2024, 5, 1, tzinfo=UTC)
    for path, params, status, pointer in (
        ("/v1/statements/2024-13", {}, 422, "?month"),
        (f"/v1/statements/{other:%Y-%m}", {"order_id": settlement["order_id"]}, 422, "?order_id"),
        (path_of(day), {"zone": "XX"}, 422, "?zone"),
        (path_of(day), {"from": "2024-05-01"}, 422, "?from"),
        (path_of(day), {"after": "nothing"}, 422, "?after"),
        (path_of(day), {"site": "nowhere"}, 404, None),
    ):
        answer = await day.operator.get(path, params=params)
        assert answer.status_code == status, answer.text
        assert [fault["pointer"] for fault in answer.json()["errors"]] == ([] if pointer is None else [pointer])


@pytest.mark.parametrize("accept", ["application/xml", "text/html;q=0"])
async def test_what_there_is_not_is_refused(operator: httpx2.AsyncClient, accept: str) -> None:
    answer = await operator.get("/v1/statements/2024-05", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (406, "application/problem+json")
