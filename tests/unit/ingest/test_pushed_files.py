"""Files that are pushed: CSV of either stamp, local times, JSON bodies."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest

from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.pushed import CarbonBody, PricesBody
from gridsignal_services.ingest.pushed_files import Body, bodies
from gridsignal_services.strict_json import read
from tests.builders import utc

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
GIVEN = {"zone": "CN-SD", "dataset": "SHANDONG-DA", "currency": "CNY"}


def csv(*lines: str, head: str = "starts_at,price_per_mwh") -> str:
    return "\n".join([head, *lines]) + "\n"


def prices(body: Body) -> PricesBody:
    assert body.signal == "prices"
    return read(PricesBody, json.dumps(body.content).encode())


def a_chinese_day() -> str:
    ends = [f"2026-01-05 {n // 4:02}:{n % 4 * 15:02}" for n in range(1, 97)]
    return csv(*(f"{end},{n}.5" for n, end in enumerate(ends)), head="ends_at,price_per_mwh")


def test_96_points_stamped_by_their_ends_until_24_00_are_one_day() -> None:
    (body,) = bodies(a_chinese_day(), GIVEN, SHANGHAI)
    record = prices(body)
    assert (record.starts_at, record.resolution_s) == (utc("2026-01-04T16:00"), 900)
    assert len(record.prices_per_mwh) == 96
    assert (record.zone, record.currency, record.product, record.status) == ("CN-SD", "CNY", "DAY_AHEAD", "FINAL")


def test_rows_of_several_zones_and_days_are_a_body_for_each() -> None:
    head = "zone,dataset,currency,starts_at,price_per_mwh"
    rows = [
        f"{zone},X,EUR,2024-05-{day}T{h:02}:00+02:00,{h}" for zone in ("A", "B") for day in (11, 12) for h in range(24)
    ]
    found = bodies(csv(*rows, head=head), {}, BERLIN)
    assert [body.name for body in found] == [
        f"{zone} X {start}" for zone in "AB" for start in ("2024-05-10T22:00:00Z", "2024-05-11T22:00:00Z")
    ]


def test_an_empty_value_and_a_missing_row_are_gaps() -> None:
    text = csv("2024-05-12T00:00Z,1", "2024-05-12T01:00Z,", "2024-05-12T02:00Z,-3", "2024-05-12T04:00Z,0")
    (body,) = bodies(text, GIVEN | {"resolution_s": "3600"}, None)
    assert body.content["prices_per_mwh"] == ["1", None, "-3", None, "0"]


def test_carbon_needs_its_basis() -> None:
    text = csv("2024-05-12T00:00Z,320.5", "2024-05-12T01:00Z,310", head="starts_at,grams_per_kwh")
    (body,) = bodies(text, {"zone": "CN-SD", "dataset": "X", "scope": "DIRECT"}, None)
    assert read(CarbonBody, json.dumps(body.content).encode()).accounting == "AVERAGE"
    with pytest.raises(Malformed, match="line 2: expected a scope"):
        bodies(text, {"zone": "CN-SD", "dataset": "X"}, None)


def test_json_is_a_body_or_a_list_of_them() -> None:
    one = {"zone": "FR", "prices_per_mwh": []}
    assert bodies(json.dumps(one), {}, None) == [Body("prices", one)]
    assert [body.signal for body in bodies(json.dumps([one, {"alert_id": "1"}]), {}, None)] == ["prices", "alerts"]


@pytest.mark.parametrize(
    ("text", "timezone", "complaint"),
    [
        ("", None, "expected the columns"),
        (csv(head="a,b"), None, "expected the columns"),
        (csv(head="starts_at,ends_at,price_per_mwh"), None, "one of starts_at and ends_at"),
        (csv("x,1,2", head="starts_at,price_per_mwh,colour"), None, "colour"),
        (csv(), None, "at least one row"),
        (csv("2024-05-12T00:00,1"), None, "line 2: expected a time with its offset"),
        (csv("yesterday,1"), SHANGHAI, "line 2: expected a time such as"),
        (csv("2024-05-12T00:00Z,dear"), None, "line 2: expected a number"),
        (csv("2024-10-27T02:30,1"), BERLIN, "line 2: expected an offset"),
        (csv("2024-03-31T02:30,1"), BERLIN, "line 2: expected an offset"),
        (csv("2024-05-12T00:00Z,1"), None, "at least two stamps"),
        (csv("2024-05-12T00:00Z,1", "2024-05-12T00:00Z,2", "2024-05-12T01:00Z,2"), None, "two values"),
        ("[{}]", None, "expected prices_per_mwh"),
        ("[1]", None, "each body"),
        ("{", None, "expected JSON"),
    ],
)
def test_a_file_that_can_t_be_read_says_where(text: str, timezone: ZoneInfo | None, complaint: str) -> None:
    with pytest.raises(Malformed, match=complaint):
        bodies(text, GIVEN, timezone)
