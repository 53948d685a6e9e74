"""What a data center's commands list: as a table, as JSON and as a sheet, all of the same."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest

from gridsignal import MW, FlexOffer
from gridsignal.cli.grid_time import VARIABLE
from gridsignal.testing import FakeGrid
from gridsignal_schemas.values import rfc3339
from tests.integration.typed import Typed, typing_at


@pytest.fixture
async def fake() -> AsyncIterator[FakeGrid]:
    async with FakeGrid() as standing:
        yield standing


@pytest.fixture
def typed(fake: FakeGrid, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    return typing_at({"url": fake.url, "api": fake.api, "token": fake.token}, monkeypatch, capsys)


async def test_offers_that_are_not_over_are_listed(fake: FakeGrid, typed: Typed) -> None:
    first, second, taken = (fake.ask(12 * MW).request_id for _ in range(3))
    for request_id in (first, second, taken):
        made = await typed("offer", "create", request_id, "--power", "3MW", "--price", "89.90")
        assert made.code == 0, made.err
    offers = [await fake.next(FlexOffer) for _ in range(3)]
    assert (await typed("offer", "withdraw", offers[2].offer_id)).code == 0
    table, listed, sheet = [await typed("offer", "list", *form) for form in ((), ("--json",), ("--csv",))]
    assert [each.code for each in (table, listed, sheet)] == [0, 0, 0]
    ids = [offer.offer_id for offer in offers[:2]]
    assert [(row["offer"]["offer_id"], row["state"]) for row in listed.rows()] == [(name, "LIVE") for name in ids]
    rows = list(csv.DictReader(StringIO(sheet.out)))
    assert [(row["offer_id"], row["state"], row["request_id"]) for row in rows] == [
        (ids[0], "LIVE", first),
        (ids[1], "LIVE", second),
    ]
    assert all(name in table.out for name in ids)
    assert all(cell in table.out for cell in ("89.9", "3 MW", "fra-1"))


async def test_the_same_words_with_an_id_are_the_same_offer_an_hour_later(
    fake: FakeGrid, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = fake.ask(12 * MW).request_id
    words = ("offer", "create", request_id, "--power", "3MW", "--price", "89.90", "--until", "+9h", "--offer-id", "o-1")
    first = await typed(*words, "--json")
    later = fake.now() + timedelta(hours=1)
    monkeypatch.setenv(VARIABLE, f"{later.isoformat()} 1 {fake.now().isoformat()}")  # of the commands alone
    again = await typed(*words, "--json")
    assert (first.code, again.code, again.rows()) == (0, 0, first.rows())
    other = await typed(*words, "--power", "4MW")
    assert (other.code, "conflict" in other.err) == (1, True)


async def test_no_offer_is_a_head_line(typed: Typed) -> None:
    sheet = await typed("offer", "list", "--csv")
    assert (sheet.code, sheet.out.count("\n"), "offer_id" in sheet.out) == (0, 1, True)


async def test_a_baseline_is_a_sheet_of_what_its_json_says(typed: Typed) -> None:
    assert (await typed("baseline", "declare", "--power", "36MW", "--days", "2")).code == 0
    now = datetime.now(UTC)
    period = ["--from", rfc3339(now), "--to", rfc3339(now + timedelta(days=1))]  # each command has a now of its own
    listed, sheet = [await typed("baseline", "show", *period, form) for form in ("--json", "--csv")]
    assert (listed.code, sheet.code) == (0, 0)
    assert listed.rows()
    rows = list(csv.DictReader(StringIO(sheet.out)))
    assert rows == [{name: str(value) for name, value in row.items()} for row in listed.rows()]
    assert (await typed("baseline", "show", "--csv", "--json")).code == 2
