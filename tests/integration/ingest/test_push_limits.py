"""What the push door takes at most: each bound says what was expected, what came, and what to do."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gridsignal_schemas.messages import SpotPrice
from gridsignal_services.access import SIGNAL_WRITE
from gridsignal_services.embedded import Stack
from gridsignal_services.ingest.limits import IngestLimits
from gridsignal_services.settings import ConfigError, ServerSettings
from gridsignal_services.testing import ManualClock, time_of
from tests.integration.cli.conftest import Ran, ran
from tests.integration.ingest.test_push_door import TODAY, alert, prices
from tests.integration.ingest.test_replay import records, values_on
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
    clock = ManualClock(datetime.now(UTC))
    told = []
    async with door(tmp_path, time=time_of(clock), **slow) as (_, client):
        for wait_ms in (0, 0, 99_001, 998, 1):
            clock.move_to(clock.now() + timedelta(milliseconds=wait_ms))
            answer = await client.post("/v1/signals/prices", json=prices())
            told.append((answer.status_code, answer.headers.get("retry-after")))
    assert told == [(201, None), (429, "100"), (429, "1"), (429, "1"), (200, None)]


@pytest.mark.parametrize("most", [100, 3000])
async def test_who_pushes_more_values_than_it_may_waits_taken_or_not_and_nobody_else_does(
    tmp_path: Path, most: int
) -> None:
    few = {"GRIDSIGNAL_INGEST_PUSH_VALUES_PER_S": "1", "GRIDSIGNAL_INGEST_PUSH_VALUES_BURST": "2000"}
    clock = ManualClock(datetime.now(UTC))
    async with door(tmp_path, time=time_of(clock), GRIDSIGNAL_INGEST_PUSH_VALUES=str(most), **few) as (stack, client):
        long = prices(resolution_s=300, starts_at=(TODAY - timedelta(days=7)).isoformat())
        first = await client.post("/v1/signals/prices", json=long | {"prices_per_mwh": ["1"] * 2000})
        assert first.status_code == (422 if most == 100 else 201)
        refused = await client.post("/v1/signals/alerts", json=alert())
        assert (refused.status_code, "1 values a second" in refused.json()["detail"]) == (429, True)
        assert refused.headers["retry-after"] == "51"  # 2050 were paid of 2000
        token = stack.issuer.mint("operator", "supplier-one", "t", [SIGNAL_WRITE], 60, clock.now())
        other = {"authorization": f"Bearer {token}"}
        taken = await client.post("/v1/signals/prices", json=prices(dataset="OTHER"), headers=other)
        assert taken.status_code == 201
        clock.move_to(clock.now() + timedelta(seconds=49.999))
        assert (await client.post("/v1/signals/alerts", json=alert())).status_code == 429
        clock.move_to(clock.now() + timedelta(seconds=1.001))
        assert (await client.post("/v1/signals/alerts", json=alert())).status_code == 201


async def test_who_asks_many_times_at_once_overdraws_no_more_than_who_asks_in_turn(tmp_path: Path) -> None:
    few = {"GRIDSIGNAL_INGEST_PUSH_VALUES_PER_S": "1", "GRIDSIGNAL_INGEST_PUSH_VALUES_BURST": "2000"}
    long = prices(resolution_s=300, starts_at=(TODAY - timedelta(days=7)).isoformat(), prices_per_mwh=["1"] * 2000)
    together = asyncio.Barrier(6)

    async def body(number: int) -> AsyncIterator[bytes]:
        text = json.dumps(long | {"dataset": f"D{number}"}).encode()
        yield text[:100]
        await together.wait()
        yield text[100:]

    async with door(tmp_path, time=time_of(ManualClock(datetime.now(UTC))), **few) as (_, client):
        there = {"content-type": "application/json"}
        pushes = [client.post("/v1/signals/prices", content=body(n), headers=there) for n in range(together.parties)]
        answers = await asyncio.gather(*pushes)
    assert sorted(answer.status_code for answer in answers) == [201, *[429] * 5]
    waits = [int(answer.headers["retry-after"]) for answer in answers if answer.status_code == 429]
    assert waits == [51] * 5, "what is refused is not owed"


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


async def test_a_push_that_is_set_aside_names_the_values_that_are_out_of_bounds(tmp_path: Path) -> None:
    async with door(tmp_path) as (_, client):
        refused = await client.post("/v1/signals/prices", json=prices(prices_per_mwh=["50", "99999", None, "-99999"]))
    faults = refused.json()["errors"]
    assert (refused.status_code, [fault["code"] for fault in faults]) == (422, ["OUT_OF_BOUNDS"] * 2)
    assert [fault["pointer"] for fault in faults] == ["/prices_per_mwh/1", "/prices_per_mwh/3"]


async def pushed(stack: Stack, client: httpx2.AsyncClient, file: Path, *words: str) -> Ran:
    there = {"GRIDSIGNAL_INGEST": stack.feeds_url, "GRIDSIGNAL_TOKEN": client.headers["authorization"][7:]}
    return await asyncio.to_thread(ran, ["push", str(file), "--json", *words], **there)


async def test_the_command_pushes_day_by_day_what_the_door_finds_too_long(tmp_path: Path) -> None:
    """Too many values for this door, and too many bytes for any."""
    month, short = [str(n) for n in range(31 * 24)], prices(dataset="Y")
    since = (TODAY - timedelta(days=30)).isoformat()
    heavy = prices(starts_at=since, dataset="Z", resolution_s=300, prices_per_mwh=["123.4567"] * (30 * 288))
    (tmp_path / "prices.json").write_text(json.dumps([prices(starts_at=since, prices_per_mwh=month), short, heavy]))
    async with door(tmp_path, GRIDSIGNAL_INGEST_PUSH_VALUES="300") as (stack, client):
        done = await pushed(stack, client, tmp_path / "prices.json")
        told = [r for r in records(await values_on(stack.log, "prices")) if isinstance(r, SpotPrice)]
    assert (done.code, done.err) == (0, "")
    assert len(done.rows()) > 60
    values = {name: [v for r in told if r.dataset == name for v in r.prices_per_mwh] for name in ("TEST", "Y", "Z")}
    assert {name: len(found) for name, found in values.items()} == {"TEST": 31 * 24, "Y": 24, "Z": 30 * 288}
    assert sorted(values["TEST"]) == list(range(31 * 24))


async def test_what_is_too_long_for_the_door_however_it_is_cut_is_told_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(json.dumps([prices(), prices(dataset="Y", prices_per_mwh=["1"] * 2)]))
    async with door(tmp_path, GRIDSIGNAL_INGEST_PUSH_VALUES="3") as (stack, client):
        done = await pushed(stack, client, file)
    assert (done.code, len(done.rows())) == (1, 2)  # the hour after the market's midnight fits
    assert "expected at most 3 values at once, got 2" in done.err
    assert "split it into several bodies" in done.err


async def test_the_command_waits_for_a_busy_door_as_it_asks_and_not_for_ever(tmp_path: Path) -> None:
    (tmp_path / "prices.json").write_text(json.dumps([prices(dataset=name) for name in "ABC"]))
    slow = {"GRIDSIGNAL_INGEST_REQUESTS_PER_S": "0.2", "GRIDSIGNAL_INGEST_REQUEST_BURST": "1"}
    async with door(tmp_path, **slow) as (stack, client):
        done = await pushed(stack, client, tmp_path / "prices.json")
    assert (done.code, [row["news"] for row in done.rows()]) == (0, ["new"] * 3)
    assert re.search("the door is busy: going on in [1-5] s, [12] to push", done.err)
    never = {"GRIDSIGNAL_INGEST_REQUESTS_PER_S": "0.01", "GRIDSIGNAL_INGEST_REQUEST_BURST": "1"}
    async with door(tmp_path / "never", **never) as (stack, client):
        done = await pushed(stack, client, tmp_path / "prices.json", "--wait", "2s")
    assert (done.code, len(done.rows())) == (3, 1)
    assert "--wait allows 2 s in all" in done.err


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
