"""Every list can be had as CSV: its columns are the same with rows and without, and say what the JSON says."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gridsignal import MW
from gridsignal_services.dispatch.sheet import LISTS
from gridsignal_services.embedded import Stack
from tests.integration.dispatch.conftest import Caller
from tests.integration.dispatch.test_asking import ask, offer

SHEET = {"Accept": "text/csv"}
NAMED = {"requests": "request_id", "orders": "order_id", "offers": "offer_id", "totals": "key", "sites": "site"}


def rows(answer: httpx2.Response) -> tuple[list[str], list[dict[str, str]]]:
    assert answer.headers["content-type"] == "text/csv; charset=utf-8", answer.text
    reader = csv.DictReader(StringIO(answer.text))
    return list(reader.fieldnames or ()), list(reader)


def window(body: dict[str, Any]) -> dict[str, str]:
    day = timedelta(days=1)
    since, until = (datetime.fromisoformat(body[name]) for name in ("starts_at", "ends_at"))
    return {"from": (since - day).isoformat(), "to": (until + day).isoformat()}


async def test_lists_have_the_same_columns_empty_and_full(
    stack: Stack, operator: httpx2.AsyncClient, body: dict[str, Any], tmp_path: Path
) -> None:
    asked: dict[str, dict[str, str]] = {name: {} for name in NAMED} | {"totals": window(body)}
    empty = {name: rows(await operator.get(f"/v1/{name}", params=asked[name], headers=SHEET)) for name in NAMED}
    assert [name for name in NAMED if empty[name][1]] == ["sites"]
    created = await ask(operator, body)
    await offer(stack, tmp_path, "fra-1", "acme-ai", 12 * MW, "80")
    await operator.post(f"/v1/requests/{created.json()['request']['request_id']}/clear", json={})
    for name, key in NAMED.items():
        columns, found = rows(await operator.get(f"/v1/{name}", params=asked[name], headers=SHEET))
        told = (await operator.get(f"/v1/{name}", params=asked[name])).json()
        listed = told if name == "sites" else told[name]
        assert (columns, bool(found)) == (empty[name][0], True)
        assert len(set(columns)) == len(columns)
        records = [row.get("request") or row.get("order") or row.get("offer") or row for row in listed]
        assert [row[key] for row in found] == [record[key] for record in records]
        assert [row.get("state") for row in found] == [row.get("state") for row in listed], "as it stands"


async def test_sites_baselines_readings_and_signals_have_a_head_line(caller: Caller, body: dict[str, Any]) -> None:
    mine = caller("participant", "acme-ai")
    of_site, of_zone = window(body) | {"site": "fra-1"}, window(body) | {"zone": "DE-LU"}
    for path, params, column, count in (
        ("/v1/sites", {}, "minimum_load_w", 1),
        ("/v1/baselines", of_site, "power_w", 1),
        ("/v1/readings", of_site, "import_w", 0),
        ("/v1/prices", of_zone, "price_per_mwh", 0),
        ("/v1/carbon", of_zone, "grams_per_kwh", 0),
    ):
        columns, found = rows(await mine.get(path, params=params, headers=SHEET))
        assert (column in columns, len(found) >= count) == (True, True), path


async def test_the_next_page_is_linked(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    for number in range(3):
        headers = {"Idempotency-Key": f"key-{number}"}
        assert (await operator.post("/v1/requests", json=body, headers=headers)).status_code == 201
    seen: list[str] = []
    url = "/v1/requests?limit=2&newest_first=true"
    while url:
        answer = await operator.get(url, headers=SHEET)
        _, found = rows(answer)
        seen += [row["request_id"] for row in found]
        url = "/v1/requests" + answer.links["next"]["url"] if answer.links else ""
    listed = (await operator.get("/v1/requests?newest_first=true")).json()["requests"]
    assert seen == [each["request"]["request_id"] for each in listed]


@pytest.mark.parametrize("accept", ["application/xml", "text/html", "text/csv;q=0"])
async def test_what_there_is_not_is_refused(operator: httpx2.AsyncClient, accept: str) -> None:
    for path in LISTS:
        answer = await operator.get(path, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (406, "application/problem+json"), path
        assert answer.json()["detail"] == f"expected Accept with application/json or text/csv, got {accept}"


async def test_what_is_no_list_is_json_alone(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    request_id = (await ask(operator, body)).json()["request"]["request_id"]
    answer = await operator.get(f"/v1/requests/{request_id}", headers=SHEET)
    assert (answer.status_code, answer.json()["type"]) == (406, "urn:gridsignal:problem:not-acceptable")
    written = await operator.post(f"/v1/requests/{request_id}/cancel", json={}, headers=SHEET)
    assert written.status_code == 406
