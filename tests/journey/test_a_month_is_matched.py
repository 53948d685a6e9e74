"""A month's consumption is matched through the real doors: by certificates, by the hour, by the zone's carbon."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import gridsignal
from gridsignal import MW, EnergyCertificate
from gridsignal_services.bus.publish import publish
from tests.builders import a_carbon_intensity, utc
from tests.integration.typed import typing_at
from tests.journey.conftest import World, stepped_world

PATH = "/v1/reports/matching/2024-05"
MWH = 1_000_000
HOURS = 11 * 24 + 14
"""Of May that are over at noon of the 12th, by Berlin's clock."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with stepped_world(tmp_path) as opened:
        yield opened


async def a_morning(world: World) -> None:
    """fra-1 draws 24 MW from 10:00 to 12:00; certificates cover 20 MWh of the first hour."""
    hourly = {"starts_at": utc("10:00"), "resolution_s": 3600, "grams_per_kwh": [Decimal(250), Decimal(100)]}
    series = a_carbon_intensity(**hourly)
    await publish(world.stack.log, world.stack.codec, series, principal="service:tests", source="tests")
    async with world.site("acme-ai", "fra-1") as grid:
        for quarter in range(8):
            starts_at = utc("10:00") + timedelta(minutes=15 * quarter)
            named = [EnergyCertificate(certificate_id="gc-7", energy_wh=20 * MWH, source="WIND")] * (quarter < 4)
            await grid.meter(
                meter="main",
                starts_at=starts_at,
                ends_at=starts_at + timedelta(minutes=15),
                import_w=24 * MW,
                certificates=named or None,
            )
    async with world.desk("acme-ai", "participant") as desk:
        while (await desk.get(PATH)).json()["totals"]["consumed_wh"] != 48 * MWH:
            await world.reach(world.clock.now() + timedelta(milliseconds=1))


async def test_a_participant_reads_what_its_month_was_matched_by(world: World) -> None:
    await a_morning(world)
    async with world.desk("acme-ai", "participant") as desk:
        report = (await desk.get(PATH, params={"site": "fra-1"})).json()
        sheet = await desk.get(PATH, params={"site": "fra-1"}, headers={"Accept": "text/csv"})
        page = await desk.get(PATH, params={"format": "page"})
        readings = {"site": "fra-1", "from": "2024-05-12T10:00:00Z", "to": "2024-05-12T12:00:00Z"}
        listed = await desk.get("/v1/readings", params=readings, headers={"Accept": "text/csv"})

    totals = report["totals"]
    assert (totals["hours"], totals["hours_missing"], totals["hours_uncovered"]) == (HOURS, HOURS - 2, 2)
    assert (totals["consumed_wh"], totals["matched_wh"], totals["matched_share"]) == (48 * MWH, 20 * MWH, "0.4166")
    average, marginal = report["carbon"]
    assert (average["grams"], average["uncovered_grams"]) == (8_400_000, 3_400_000)
    assert (average["known_at"], marginal["basis"], marginal["unknown_wh"]) == (report["as_of"], None, 48 * MWH)
    first, second = report["sites"][0]["hours"][-2:]
    assert (first["certificates"], first["uncovered_wh"], first["average"]["grams"]) == (["gc-7"], 4 * MWH, 6_000_000)
    assert (second["certificates"], second["matched_wh"], second["marginal"]) == ([], 0, None)
    assert report["sites"][0]["hours"][0]["missing"] == "METER_MISSING"
    assert [vintage["revision"] for vintage in first["average"]["vintages"]] == [1]

    rows = list(csv.DictReader(StringIO(sheet.text)))
    assert (len(rows), rows[-2]["average_grams"], rows[-1]["marginal_grams"]) == (HOURS, "6000000", "")
    assert "gc-7" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "WIND" in next(csv.DictReader(StringIO(listed.text)))["certificates"]


async def test_the_sdk_and_the_command_say_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await a_morning(world)
    async with world.site("acme-ai", "fra-1", api=world.stack.api_url) as grid:
        report = await grid.matching("2024-05", site="fra-1")
        with pytest.raises(gridsignal.NotPermitted):
            await grid.matching("2024-05", site="muc-1")
        with pytest.raises(gridsignal.UsageError):
            await grid.matching("May")
    token = world.stack.token("participant", "acme-ai")
    typed = typing_at({"url": world.stack.gateway_url, "api": world.stack.api_url, "token": token}, monkeypatch, capsys)
    asked = ("report", "matching", "--month", "2024-05", "--site", "fra-1")
    (shown,) = (await typed(*asked, "--json")).rows()
    assert shown["totals"] == report.totals.model_dump(mode="json")
    told = await typed(*asked)
    assert told.code == 0
    (gap,) = (line for line in told.out.splitlines() if "METER_MISSING" in line)
    assert "2024-05-01 00:00+0200  2024-05-12 12:00+0200" in gap
    for text in ("48.000", "20.000", "METER_MISSING", "none known"):
        assert text in told.out
    assert len((await typed(*asked, "--csv")).out.splitlines()) == HOURS + 1
    written = await typed(*asked, "--page", str(tmp_path / "may.html"))
    assert (written.code, "<svg" in (tmp_path / "may.html").read_text("utf-8")) == (0, True)
    for month, why in (
        ("2024-13", "expected a month such as 2024-05"),
        ("2024-06", "--month: expected a month that has begun"),
    ):
        wrong = await typed("report", "matching", "--month", month)
        assert (wrong.code, why in wrong.err) == (2, True), wrong.err


async def test_nobody_else_learns_of_it(world: World) -> None:
    await a_morning(world)
    async with world.desk("volt-colo", "participant") as rival, world.desk() as operator:
        theirs = await rival.get(PATH)
        assert all(site["totals"]["consumed_wh"] == 0 for site in theirs.json()["sites"])
        assert ("gc-7" in theirs.text, "fra-1" in theirs.text) == (False, False)
        assert (await rival.get(PATH, params={"site": "fra-1"})).status_code == 404
        assert (await operator.get(PATH)).status_code == 403


@pytest.mark.parametrize(
    ("path", "params", "status", "pointer"),
    [
        ("2024-13", {}, 422, "?month"),
        ("2024-06", {}, 422, "?month"),
        ("2020-12", {}, 422, "?month"),
        ("2024-05", {"zone": "XX"}, 422, "?zone"),
        ("2024-05", {"site": "fra-1", "zone": "FR"}, 422, "?zone"),
        ("2024-05", {"from": "2024-05-01"}, 422, "?from"),
        ("2024-05", {"site": "nowhere"}, 404, None),
    ],
)
async def test_what_can_not_be_answered_says_why(
    world: World, path: str, params: dict[str, Any], status: int, pointer: str | None
) -> None:
    async with world.desk("acme-ai", "participant") as desk:
        answer = await desk.get(f"/v1/reports/matching/{path}", params=params)
    assert answer.status_code == status, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ([] if pointer is None else [pointer])
