"""A case file: what is wrong with it is told with its place, all at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridsignal_services.case_files import CaseFault
from gridsignal_services.joint.case import MAX_CASE, Case

BID = {"zone": "A", "period": 1, "quantity_mw": 5, "price": 10}
PLACE, OTHER = {"zone": "A", "period": 1}, {"zone": "B", "period": 1}


@pytest.mark.parametrize(
    ("lists", "fault"),
    [
        (
            {"supply": [BID | {"quantity_mw": "5"}]},
            "/supply/0/quantity_mw: expected a number such as 40 or 12.5, got",
        ),
        ({"supply": [BID | {"quantity_mw": -1}]}, "/supply/0/quantity_mw: expected greater than or equal to 0, got -1"),
        ({"supply": [BID | {"period": True}]}, "/supply/0/period: expected a whole number, or a text such as"),
        ({"supply": [BID | {"period": 1.5}]}, "/supply/0/period: expected a whole number, or a text such as"),
        (
            {"supply": [BID, BID | {"period": "2"}]},
            "/supply/1/period: expected a whole number as in the",
        ),
        ({"supply": [BID | {"colour": 1}]}, "/supply/0/colour"),
        (
            {"links": [{"from": PLACE, "to": PLACE, "capacity_mw": 1, "cost": 1}]},
            "/links/0/to: expected another zone",
        ),
        ({"lines": [{"from": "A", "to": "A", "capacity_mw": 1}]}, "/lines/0/to: expected another zone than from's"),
        (
            {"supply": [BID | {"price": 10**400}]},
            "/supply/0/price: expected a number such as 40 or 12.5, got one of",
        ),
        ({"supply": [BID], "ramps": [{"zone": "a", "mw_per_period": 1}]}, "/ramps/0/zone: expected a zone that a bid"),
        ({"supply": [BID], "limits": [OTHER | {"load_mw": 1}]}, "/limits/0/zone: expected a zone that a bid, a link"),
        ({"ramps": [{"zone": "A", "mw_per_period": 1}] * 2}, "/ramps/1: expected one entry for A, got a second"),
        ({"limits": [OTHER | {"load_mw": 1}] * 2}, "/limits/1: expected one entry for ('B', 1), got a second"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(lists: dict[str, Any], fault: str) -> None:
    with pytest.raises(CaseFault) as wrong:
        Case.parse(json.dumps({"supply": [], "demand": []} | lists).encode())
    assert fault in str(wrong.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"{", "case: expected JSON"),
        (b'{"supply": [], "supply": [], "demand": []}', "supply"),
        (b"{}", "/supply"),
        (b" " * (MAX_CASE + 1), f"case: expected at most {MAX_CASE} bytes, got {MAX_CASE + 1}"),
    ],
)
def test_what_is_no_case_is_none(text: bytes, fault: str) -> None:
    with pytest.raises(CaseFault) as wrong:
        Case.parse(text)
    assert fault in str(wrong.value)


def test_a_line_is_in_every_period_of_its_zones() -> None:
    case = Case.parse(
        json.dumps(
            {"supply": [BID], "demand": [BID | {"period": 2}], "lines": [{"from": "A", "to": "B", "capacity_mw": 1}]}
        ).encode()
    )
    assert case.places == [("A", 1), ("A", 2), ("B", 1), ("B", 2)]
