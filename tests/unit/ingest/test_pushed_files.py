"""Files that are pushed: CSV of either stamp, local times, JSON bodies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest

from gridsignal_schemas.strict_json import read
from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.left_out import LeftOutRows
from gridsignal_services.ingest.pushed import CarbonBody, PricesBody
from gridsignal_services.ingest.pushed_files import bodies, text_of
from gridsignal_services.ingest.pushed_json import Body, in_days
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


@pytest.mark.parametrize("spelt", ["85,5", "1.085,55", "-0,25"])
def test_a_point_is_no_decimal_one_beside_a_decimal_comma(spelt: str) -> None:
    """In such a file 1.234 is a thousand, in any other a little more than one."""
    rows = [f"2024-05-12T{hour:02}:00Z,{hour}" for hour in range(24)]
    told = LeftOutRows()
    found = bodies(csv(*rows[:-1], "2024-05-12T23:00Z,1.234"), GIVEN, None, told)
    assert (found[-1].content["prices_per_mwh"][-1], len(told)) == ("1.234", 0)
    with pytest.raises(Malformed, match=r"line 24: '1\.234' is thousands or decimals: line 6 has a decimal comma"):
        bodies(
            csv(*rows[:4], f'2024-05-12T04:00Z,"{spelt}"', *rows[5:-2], "2024-05-12T22:00Z,1.234"), GIVEN, None, told
        )


def test_each_row_lasts_as_long_as_it_says_itself() -> None:
    head = "starts_at,price_per_mwh,resolution_s"
    hours = [f"2024-05-12T{hour:02}:00Z,{hour},3600" for hour in range(4)]
    quarters = [f"2024-05-12T04:{minute:02}:00Z,5,900" for minute in (0, 15, 30, 45)]
    for rows in (hours + quarters, quarters + hours):
        told = LeftOutRows()
        found = sorted(
            bodies(csv(*rows, head=head), GIVEN, None, told), key=lambda body: str(body.content["starts_at"])
        )
        assert [(b.content["resolution_s"], b.content["prices_per_mwh"]) for b in found] == [
            (3600, ["0", "1", "2", "3"]),
            (900, ["5"] * 4),
        ]
        assert len(told) == 0
    twice = csv(*hours, "2024-05-12T03:00Z,9,900", "2024-05-12T03:15Z,9,900", head=head)
    found = bodies(twice, GIVEN, None, told)
    assert "two resolutions disagree at 2024-05-12T03:00:00Z" in str(told)
    assert ["9" in body.content["prices_per_mwh"] for body in found] == [False] * len(found)


def test_an_empty_value_and_a_missing_row_are_gaps() -> None:
    text = csv("2024-05-12T00:00Z,1", "2024-05-12T01:00Z,", "2024-05-12T02:00Z,-3", "2024-05-12T04:00Z,0")
    (body,) = bodies(text, GIVEN | {"resolution_s": "3600"}, None)
    assert body.content["prices_per_mwh"] == ["1", None, "-3", None, "0"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: f"{text}\n\n",
        lambda text: f"{text}  \n,\n , \n",
        lambda text: text.replace("starts_at,price_per_mwh", '"starts_at" , "price_per_mwh" '),
    ],
    ids=["CRLF", "CR", "empty lines", "empty rows", "quoted names with spaces"],
)
def test_a_file_as_spreadsheets_save_it_is_read(spoil: Callable[[str], str]) -> None:
    plain = csv("2024-05-12T00:00Z,1", "2024-05-12T01:00Z,2", "2024-05-12T02:00Z,-3")
    assert bodies(spoil(plain), GIVEN, None, LeftOutRows()) == bodies(plain, GIVEN, None)


def test_a_comma_at_the_end_of_each_line_is_called_a_column_without_a_name() -> None:
    with pytest.raises(Malformed, match="got one without a name"):
        bodies(csv("2024-05-12T00:00Z,1,", head="starts_at,price_per_mwh,"), GIVEN, None)


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
        ("[]", None, "expected at least one body"),
        ('{"zone": "FR", "zone": "DE-LU", "prices_per_mwh": []}', None, "/zone: expected the key once"),
        ('[{"zone": "FR", "prices_per_mwh": [1, NaN]}]', None, "/0/prices_per_mwh/1: expected a number, got NaN"),
        ('{"prices_per_mwh": [], "grams_per_kwh": []}', None, "got prices_per_mwh, grams_per_kwh"),
        ('{"zone": "FR", "prices_per_mwh": []}\n{}', None, "one JSON body or a list of them"),
        ("sep=;\n" + csv(), None, "line 1: expected the names of the columns, got 'sep=;'"),
        ("# a comment\n" + csv(), None, "line 1: expected the names"),
        (
            csv("2024-05-12T00:00,1", "2024-05-12T01:00Z,1"),
            BERLIN,
            "line 3: expected an offset in every time or in none",
        ),
        (csv('2024-05-12T00:00Z,"1', '2024-05-12T01:00Z,1"'), None, "a quote that is not closed"),
    ],
)
def test_a_file_that_can_t_be_read_says_where(text: str, timezone: ZoneInfo | None, complaint: str) -> None:
    with pytest.raises(Malformed, match=complaint):
        bodies(text, GIVEN, timezone)


def a_day(*changes: tuple[int, str]) -> str:
    """24 rows of an hour; some of them other than usual, by their number from 0 on."""
    rows = [f"2024-05-12T{hour:02}:00Z,{hour}.5" for hour in range(24)]
    for row, line in changes:
        rows[row] = line
    return csv(*rows)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("2024-05-12T05:00Z,n/e", "line 7: expected a number"),
        ('2024-05-12T05:00Z,"2,415"', "line 7: expected a number with a decimal point"),
        ("2024-05-12T05:00Z,2,415", "line 7: expected 2 columns, got 3"),
        ("2024-05-12T05:00Z", "line 7: expected 2 columns, got none for price_per_mwh"),
        ("5 o'clock,5.5", "line 7: expected a time"),
        ("2024-05-12T04:00Z,99", "two values for 2024-05-12T04:00:00"),
    ],
)
def test_one_bad_line_is_a_gap_that_is_told_and_the_rest_is_read(line: str, complaint: str) -> None:
    left_out = LeftOutRows()
    (body,) = bodies(a_day((5, line)), GIVEN, ZoneInfo("UTC"), left_out)
    values = body.content["prices_per_mwh"]
    assert (len(values), values[5], values[6], values[3]) == (24, None, "6.5", "3.5")
    assert len(left_out) == 1 and complaint in left_out.texts[0]  # noqa: PT018 - one fact


def test_a_file_of_which_much_can_t_be_read_is_refused_with_its_first_line() -> None:
    text = a_day(*((row, f'2024-05-12T{row:02}:00Z,"2,41{row % 10}"') for row in range(3, 7)))
    with pytest.raises(Malformed, match=r"line 5: expected a number .* got '2,413' \(4 of 24\)"):
        bodies(text, GIVEN, None, LeftOutRows())


def test_local_times_that_are_none_or_two_refuse_the_file_however_few() -> None:
    rows = [f"2024-10-27T{n // 4:02}:{n % 4 * 15:02},1" for n in range(96)]
    with pytest.raises(Malformed, match="line 10: expected an offset"):
        bodies(csv(*rows), GIVEN, BERLIN, LeftOutRows())


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolon"), ("\t", "tab"), ("|", "vertical bar")])
def test_another_separator_is_called_by_its_name(mark: str, name: str) -> None:
    with pytest.raises(Malformed, match=f"the {name} as separator"):
        bodies(a_day().replace(",", mark).replace(".", ","), GIVEN, None)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("a,b".encode("utf-16"), "UTF-16"),
        ("starts_at,price\n\u4e2d".encode("gbk"), "UTF-8 text, got something else in line 2"),
        (b"\x1f\x8b\x08", "gzip"),
        ("a,b".encode("utf-16-le"), "UTF-16"),
        ("a,b".encode("utf-16-be"), "UTF-16"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook"),
        (b"PK\x03\x04\x14\x00[Content_Types].xml", "an Excel workbook"),
        (b"PK\x03\x04\x14\x00prices.csv", "a zip archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd file"),
        (b"<html><title>Log in</title>", "web page titled 'Log in'"),
        (b"", "nothing"),
    ],
)
def test_a_file_that_is_no_text_of_ours_is_called_by_its_name(content: bytes, named: str) -> None:
    with pytest.raises(Malformed, match=named):
        text_of(content)
    assert text_of("\ufeffstarts_at".encode()) == "starts_at"


def test_one_body_of_a_list_that_is_none_is_told_and_the_others_are_pushed() -> None:
    left_out = LeftOutRows()
    found = bodies(json.dumps([{"alert_id": "1"}, 5, {"zone": "FR"}]), {}, None, left_out)
    assert [body.signal for body in found] == ["alerts"]
    assert [text.split(":")[0] for text in left_out] == ["body 2", "body 3"]


@pytest.mark.parametrize("step", ["1h", "3600.5", "0", "-900", "1e3", "86401", "\uff19\uff10\uff10"])
def test_a_resolution_is_whole_seconds(step: str) -> None:
    with pytest.raises(
        Malformed, match=f"SHANDONG-DA.*expected resolution_s as whole seconds .* got '{re.escape(step)}'"
    ):
        bodies(a_day(), GIVEN | {"resolution_s": step}, None, LeftOutRows())


def test_a_resolution_that_the_stamps_deny_is_refused() -> None:
    with pytest.raises(Malformed, match="expected stamps at steps of 7200 s, got 12 of 24 elsewhere"):
        bodies(a_day(), GIVEN | {"resolution_s": "7200"}, None, LeftOutRows())


@pytest.mark.parametrize(("column", "other"), [("zone", "FR"), ("currency", "EUR"), ("dataset", "Y")])
def test_a_row_that_went_astray_into_another_series_costs_itself_and_is_named(column: str, other: str) -> None:
    rows = [f"{other if hour == 5 else GIVEN[column]},2024-05-12T{hour:02}:00Z,{hour}" for hour in range(24)]
    left_out = LeftOutRows()
    (body,) = bodies(csv(*rows, head=f"{column},starts_at,price_per_mwh"), GIVEN, ZoneInfo("UTC"), left_out)
    assert body.content["prices_per_mwh"][4:7] == ["4", None, "6"]
    assert len(left_out) == 1 and f"{other} " in left_out.texts[0]  # noqa: PT018 - one fact


def test_a_minus_as_typesetters_write_it_is_one() -> None:
    (body,) = bodies(a_day((5, "2024-05-12T05:00Z,\u22125.5")), GIVEN, ZoneInfo("UTC"))
    assert body.content["prices_per_mwh"][5] == "-5.5"


def a_year(**changes: object) -> Body:
    usual = {"zone": "DE-LU", "starts_at": "2025-01-01T00:00:00+01:00", "resolution_s": 3600}
    return Body("prices", {**usual, "prices_per_mwh": [str(n) for n in range(8760)], **changes})


def test_a_long_body_is_cut_at_its_market_s_midnights() -> None:
    days = in_days(a_year())
    lengths = [len(day.content["prices_per_mwh"]) for day in days]
    assert (len(days), sum(lengths), {23, 24, 25}) == (365, 8760, set(lengths))
    assert [value for day in days for value in day.content["prices_per_mwh"]] == a_year().content["prices_per_mwh"]
    assert [day.content["starts_at"] for day in days[:2]] == ["2024-12-31T23:00:00Z", "2025-01-01T23:00:00Z"]


@pytest.mark.parametrize(
    "changes",
    [
        {"starts_at": "2025-01-01T00:00:00"},
        {"starts_at": "2025-01-01T00:10:00Z"},
        {"starts_at": 5},
        {"resolution_s": 0},
        {"resolution_s": "3600"},
        {"resolution_s": 10**12},
        {"zone": None},
        {"prices_per_mwh": "many"},
    ],
)
def test_a_body_that_is_out_of_shape_is_left_to_the_door(changes: dict[str, object]) -> None:
    assert in_days(a_year(**changes)) == [a_year(**changes)]
    assert in_days(Body("alerts", {"alert_id": "1"})) == [Body("alerts", {"alert_id": "1"})]
