"""The as-of reads: their periods, their bounds, and whose they are."""

from __future__ import annotations

from typing import Any

import pytest

from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import append_us, from_micros, micros
from gridsignal_services.dispatch.archive import Archive, TooMuch
from tests.builders import a_grid_clock, a_spot_price, utc
from tests.integration.dispatch.conftest import Caller

DAY = {"zone": "DE-LU", "from": "2024-05-12T00:00:00Z", "to": "2024-05-13T00:00:00Z"}


@pytest.mark.parametrize("path", ["/v1/prices", "/v1/carbon"])
@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"to": "2024-05-12T00:00:00Z"}, "?to"),
        ({"to": "2024-07-12T00:00:00Z"}, "?to"),
        ({"from": "2024-05-12T00:00:00"}, "?from"),
        ({"as_of": "yesterday"}, "?as_of"),
        ({"asof": "2024-05-12T00:00:00Z"}, "?asof"),
    ],
)
async def test_a_question_that_makes_no_sense_is_told_where(
    caller: Caller, path: str, changes: dict[str, str], pointer: str
) -> None:
    answer = await caller("participant", "acme-ai").get(path, params=DAY | changes)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_zone_that_is_not_yours_looks_like_one_that_does_not_exist(caller: Caller) -> None:
    colo = caller("participant", "volt-colo")
    foreign, nowhere = [await colo.get("/v1/prices", params=DAY | {"zone": zone}) for zone in ("FR", "ATLANTIS")]
    assert (foreign.status_code, foreign.text) == (422, nowhere.text.replace("ATLANTIS", "FR"))
    assert {error["code"] for error in foreign.json()["errors"]} == {"ZONE_UNKNOWN"}
    assert (await colo.get("/v1/prices", params=DAY)).json()["curves"] == []


async def test_the_archive_reads_no_more_than_it_may(tmp_path: Any) -> None:
    log, codec = await SqliteLog.open(tmp_path, append_time_us=lambda: micros(utc("12:00"))), Codec.from_lock()
    try:
        for revision in (1, 2, 3):
            await publish(log, codec, a_spot_price(revision=revision), principal="service:tests", source="tests")
        enough = await Archive(log, codec, max_records=3).published("prices", "DE-LU", utc("12:00"), utc("12:00"), None)
        assert [known.at for known in enough] == [utc("12:00")] * 3
        with pytest.raises(TooMuch):
            await Archive(log, codec, max_records=2).published("prices", "DE-LU", utc("12:00"), utc("12:00"), None)
    finally:
        await log.aclose()


def test_grid_time_goes_both_ways() -> None:
    grid = a_grid_clock()
    assert grid.at(from_micros(append_us(grid, utc("18:00")))) == utc("18:00")
