"""A list as a sheet: a record's fields and what is said of it, and no formula that somebody else has written."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO
from itertools import permutations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gridsignal_schemas.sheets import Sheet, flattened


def test_a_record_and_what_is_said_of_it_stand_side_by_side() -> None:
    order = {"id": "a", "state": "ISSUED", "to": ["x", "y"]}
    row = {"order": order, "state": "ACTIVE", "wh": None, "steps": [{"a": 1}]}
    told = flattened(row, "order", without=("steps",))
    assert told == {"id": "a", "order_state": "ISSUED", "to": "x y", "state": "ACTIVE", "wh": ""}


ORDERS = ({"history": [], "metered": []}, {"history": [{"at": "now"}], "metered": [{"gap": "NO_READING"}]})
SITES = ({"external_ids": {}}, {"external_ids": {"name": "Frankfurt", "eic": "11W"}}, {"external_ids": {"mrid": "7"}})


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ([{"order": {"to": []}} | row for row in ORDERS], {"record": "order", "without": ("history", "metered")}),
        ([{"site": "fra-1"} | row for row in SITES], {}),
    ],
    ids=["orders", "sites"],
)
def test_the_columns_are_the_same_whatever_a_row_holds(rows: list[dict[str, object]], options: Any) -> None:
    made = Sheet("", (), options.get("record", ""), without=frozenset(options.get("without", ())))
    for ordered in permutations(rows):
        sheet = list(csv.reader(StringIO(made.text(ordered))))
        assert sheet == [
            list(flattened(rows[0], **options)),
            *(list(flattened(r, **options).values()) for r in ordered),
        ]


def test_names_and_what_they_name_share_a_cell() -> None:
    assert flattened(SITES[1]) == {"external_ids": "name=Frankfurt eic=11W"}


plain = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", min_size=1)


@given(st.recursive(plain, lambda held: st.lists(held, min_size=1) | st.dictionaries(st.text("ab"), held, min_size=1)))
@example([{"option": "all", "levels_w": None, "divisible": True}])
def test_a_cell_says_what_json_says(value: Any) -> None:
    """Word for word what is plain, and what holds more as JSON: nothing as this program would print it."""
    cell = flattened({"cell": value})["cell"]
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if any(isinstance(each, dict | list) for each in held):
        assert json.loads(cell) == value
    else:
        assert not re.search("True|False|None", cell)


@pytest.mark.parametrize("text", ["=1+1", "+49", "-cmd", "@SUM(A1)", "\uff1d1+1", "-"])
def test_what_a_spreadsheet_would_compute_is_text(text: str) -> None:
    assert flattened({"text": text})["text"] == f"'{text}"


@given(st.lists(st.text("=-+@;,\t\n\"' a1\uff1d"), min_size=1, max_size=3))
@example(["tutorial;=1+1"])
@example(['tutorial;"=1+1"'])
@example(["tutorial\t=1", "\t=1"])
@example(["two lines,\n=1+1"])
def test_nor_where_the_spreadsheet_splits_a_line_elsewhere(texts: list[str]) -> None:
    sheet = Sheet("", ()).text([{"id": "a"} | {f"text_{at}": text for at, text in enumerate(texts)}])
    for delimiter in ",;\t":
        for cells in csv.reader(StringIO(sheet, newline=""), delimiter=delimiter):
            computed = [cell for cell in cells if re.match("[=+@\uff1d-]", cell) and not re.fullmatch("-[0-9]+", cell)]
            assert computed == []


@pytest.mark.parametrize("value", ["-5.25", "evening peak", -3, 12_000_000, "2030-05-12T18:00:00Z"])
def test_everything_else_stays_as_it_is(value: object) -> None:
    assert flattened({"value": value})["value"] == str(value)


def test_a_column_that_only_a_later_row_has_is_shown() -> None:
    assert Sheet("", ()).text([{"id": "a"}, {"id": "b", "paid": "5.00"}]) == "id,paid\na,\nb,5.00\n"


def test_parts_are_rows_with_what_is_said_of_them_all() -> None:
    sheet = Sheet("", ("zone", "at", "price"), parts="points", without=frozenset({"points"}))
    curves = [{"zone": "FR", "points": [{"at": "1", "price": "-5"}, {"at": "2", "price": None}]}]
    assert sheet.text(curves) == "zone,at,price\nFR,1,-5\nFR,2,\n"
    assert sheet.text([]) == "zone,at,price\n"
