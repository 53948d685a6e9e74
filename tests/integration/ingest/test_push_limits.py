"""What the push door takes at most: each bound says what was expected, what came, and what to do."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gridsignal_services.ingest.limits import IngestLimits
from gridsignal_services.ingest.pushed_files import bodies
from gridsignal_services.settings import ConfigError, ServerSettings
from tests.integration.cli.conftest import ran
from tests.integration.ingest.test_push_door import TODAY, prices
from tests.integration.ingest.test_through_the_door import door


def fault(refused: httpx2.Response) -> dict[str, Any]:
    (told,) = refused.json()["errors"]
    return dict(told)


async def test_a_body_or_a_curve_that_is_too_long_is_refused_with_its_length(tmp_path: Path) -> None:
    async with door(tmp_path, GRIDSIGNAL_INGEST_PUSH_VALUES="100") as (_, client):
        fits = await client.post("/v1/signals/prices", json=prices(resolution_s=900, prices_per_mwh=["1"] * 100))
        assert fits.status_code == 201
        refused = await client.post("/v1/signals/prices", json=prices(resolution_s=300, prices_per_mwh=["1"] * 101))
        assert (refused.status_code, fault(refused)["pointer"]) == (422, "/prices_per_mwh")
        assert fault(refused)["message"] == "expected at most 100 values at once, got 101: push a day at a time"
        large = await client.post("/v1/signals/prices", json=prices(prices_per_mwh=["123456.78"] * 8760))
        assert (large.status_code, "65536 bytes" in large.json()["detail"]) == (413, True)


async def test_one_series_more_than_an_organisation_may_have_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    async with door(tmp_path, GRIDSIGNAL_INGEST_PUSH_SERIES="2") as (_, client):
        for dataset in ("A", "B"):
            assert (await client.post("/v1/signals/prices", json=prices(dataset=dataset))).status_code == 201
        refused = await client.post("/v1/signals/prices", json=prices(dataset="C"))
        assert (refused.status_code, fault(refused)["code"]) == (422, "TOO_MANY_DATASETS")
        assert fault(refused)["message"] == "expected at most 2 series of an organisation, got C beside 2"
        changed = await client.post("/v1/signals/prices", json=prices(dataset="A", prices_per_mwh=["5"] * 24))
        assert changed.json()["news"] == "corrected"


async def test_who_pushes_too_fast_is_told_when_to_come_back(tmp_path: Path) -> None:
    slow = {"GRIDSIGNAL_INGEST_REQUESTS_PER_S": "0.01", "GRIDSIGNAL_INGEST_REQUEST_BURST": "1"}
    async with door(tmp_path, **slow) as (_, client):
        assert (await client.post("/v1/signals/prices", json=prices())).status_code == 201
        refused = await client.post("/v1/signals/prices", json=prices())
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 100


async def test_a_push_that_lost_values_to_its_market_s_bounds_is_told_which(tmp_path: Path) -> None:
    values = ["50"] * 24
    values[3], values[20] = "99999", "-99999"
    async with door(tmp_path) as (_, client):
        told = (await client.post("/v1/signals/prices", json=prices(prices_per_mwh=values))).json()
    assert (told["news"], [lost["pointer"] for lost in told["left_out"]]) == (
        "new",
        ["/prices_per_mwh/3", "/prices_per_mwh/20"],
    )
    assert told["left_out"][1]["message"].endswith("price per MWh, got -99999")


def test_a_year_in_one_json_body_is_cut_at_market_days(tmp_path: Path) -> None:
    year = prices(starts_at="2025-01-01T00:00:00+01:00", prices_per_mwh=[str(n) for n in range(8760)])
    found = bodies(json.dumps(year), {}, None)
    lengths = [len(body.content["prices_per_mwh"]) for body in found]
    assert (len(found), sum(lengths), {23, 24, 25}) == (365, 8760, set(lengths))
    assert [value for body in found for value in body.content["prices_per_mwh"]] == year["prices_per_mwh"]
    assert found[0].content["starts_at"] == "2024-12-31T23:00:00Z"
    assert bodies(json.dumps(prices()), {}, None)[0].content == prices()


async def test_the_command_names_what_was_left_out(tmp_path: Path) -> None:
    rows = [f"{TODAY + timedelta(hours=n):%Y-%m-%dT%H:%MZ},{99999 if n == 3 else 50}" for n in range(24)]
    (tmp_path / "prices.csv").write_text("\n".join(["starts_at,price_per_mwh", *rows]))
    words = ["push", str(tmp_path / "prices.csv"), "--zone", "BG", "--dataset", "X", "--currency", "EUR"]
    async with door(tmp_path) as (stack, client):
        there = {"GRIDSIGNAL_INGEST": stack.feeds_url, "GRIDSIGNAL_TOKEN": client.headers["authorization"][7:]}
        done = await asyncio.to_thread(ran, [*words, "--json"], **there)
    assert done.code == 1
    assert "left out: /prices_per_mwh/" in done.err
    assert "got 99999" in done.err


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_limit_that_is_none_is_named(value: str) -> None:
    settings = ServerSettings(limits={"GRIDSIGNAL_INGEST_PUSH_VALUES": value})
    with pytest.raises(ConfigError, match="GRIDSIGNAL_INGEST_PUSH_VALUES"):
        IngestLimits.of(settings, "GRIDSIGNAL_INGEST_")
