"""What an order was in CO2, through the real doors: by what was known when it ended, and beside its settlement."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from gridsignal_schemas.messages import CarbonIntensity
from gridsignal_services.bus.publish import publish
from tests.builders import a_carbon_intensity, utc
from tests.integration.typed import typing_at
from tests.journey.conftest import World, stepped_world
from tests.journey.test_last_months_order import asked, delivered

PATH = "/v1/statements/2024-05"
MWH = 1_000_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with stepped_world(tmp_path) as opened:
        yield opened


async def told(world: World, grams: list[int], **changes: Any) -> None:
    """Hours from 18:00 on."""
    said = {"starts_at": utc("18:00"), "resolution_s": 3600, "grams_per_kwh": [Decimal(each) for each in grams]}
    series: CarbonIntensity = a_carbon_intensity(**said | changes)
    await publish(world.stack.log, world.stack.codec, series, principal="service:tests", source="tests")


def must_be_right(statement: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """By the figures of the settlement beside it; the order's average, and its marginal carbon."""
    (order,) = statement["orders"]
    known = [line for line in order["settlement"]["intervals"] if line["delivered_wh"] is not None]
    average, marginal = order["carbon"]
    delivered_wh, actual_wh = (sum(line[name] for line in known) for name in ("delivered_wh", "actual_wh"))
    assert (average["accounting"], average["known_at"]) == ("AVERAGE", "2024-05-12T18:45:00Z")
    assert average["emitted_grams"] == actual_wh * 400 // 1000
    assert average["avoided_grams"] == delivered_wh * 400 // 1000
    assert marginal["avoided_grams"] == delivered_wh * 700 // 1000
    assert (average["known_wh"], average["unknown_wh"]) == (delivered_wh, 0)
    assert average["intervals_unknown"] == len(order["settlement"]["intervals"]) - len(known) > 0
    assert [(each["status"], each["issued_at"]) for each in marginal["vintages"]] == [
        ("FORECAST", "2024-05-12T11:55:00Z")
    ]
    assert [total["avoided_grams"] for total in statement["carbon"]] == [
        average["avoided_grams"],
        marginal["avoided_grams"],
    ]
    return average, marginal


async def test_both_parties_read_what_an_order_was_in_co2(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await told(world, [400])
    await told(world, [700], accounting="MARGINAL", status="FORECAST", issued_at=utc("11:55"))
    async with world.desk() as desk:
        await asked(desk)
    order_id = await delivered(world)
    await told(world, [10], revision=2)  # weeks after its end
    async with (
        world.desk() as desk,
        world.desk("acme-ai", "participant") as site,
        world.desk("volt-colo", "participant") as rival,
    ):
        statement = (await desk.get(PATH)).json()
        assert (await site.get(PATH)).json() | {"of": ""} == statement | {"of": ""}
        assert (await rival.get(PATH)).json()["carbon"] == []
        sheet = await desk.get(PATH, headers={"Accept": "text/csv"})
        page = await desk.get(PATH, params={"format": "page"})

    average, marginal = must_be_right(statement)
    rows = [row for row in csv.DictReader(StringIO(sheet.text)) if row["kind"] == "CARBON"]
    assert [(row["accounting"], row["avoided_grams"], row["amount"]) for row in rows] == [
        ("AVERAGE", str(average["avoided_grams"]), ""),
        ("MARGINAL", str(marginal["avoided_grams"]), ""),
    ]
    assert f"{marginal['avoided_grams']} g avoided" in page.text
    token = world.stack.token("participant", "acme-ai")
    typed = typing_at({"url": world.stack.gateway_url, "api": world.stack.api_url, "token": token}, monkeypatch, capsys)
    shown = await typed("statement", "2024-05", "--order", order_id)
    assert (shown.code, "CO2, as known when the orders ended" in shown.out) == (0, True)
    assert f"{marginal['avoided_grams'] / 1000:.1f}" in shown.out


async def test_without_carbon_it_is_said_to_be_unknown(world: World) -> None:
    async with world.desk() as desk:
        await asked(desk)
        await delivered(world)
        statement = (await desk.get(PATH)).json()
    for each in statement["orders"][0]["carbon"]:
        assert (each["basis"], each["avoided_grams"], each["known_wh"]) == (None, None, 0)
        assert each["unknown_wh"] > 0
    assert {total["avoided_grams"] for total in statement["carbon"]} == {None}
