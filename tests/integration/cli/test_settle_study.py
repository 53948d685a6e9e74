"""`gridsignal settle study` as it is typed: the field's worked figures, a table for people, wrong files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gridsignal.__main__ import main
from gridsignal_services.settlement.rules import SettlementRule, shipped_rule
from tests.settling_cases import (
    Line,
    a_case,
    india,
    order,
    period,
    power,
    reading,
    revenue_by_meter,
    the_rule,
    uftp,
)

Study = Callable[..., tuple[int, str, str]]
PAGE = (Path(__file__).parents[3] / "docs" / "settlement.md").read_text("utf-8")


def shown(heading: str) -> list[str]:
    """The JSON that a section of the page shows."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```json\n(.*?)\n```", section, re.DOTALL)


@pytest.fixture
def study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Study:
    def on_file(case: object, *words: str) -> tuple[int, str, str]:
        file = tmp_path / "case.json"
        file.write_text(case if isinstance(case, str) else json.dumps(case), "utf-8")
        code = main(["settle", "study", str(file), *words])
        out, err = capsys.readouterr()
        return code, out, err.replace(str(file), "case.json")

    return on_file


def answer(study: Study, case: Line) -> dict[str, Any]:
    code, out, err = study(case, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    assert sum(Decimal(flow["amount"]) for flow in found["flows"]) == 0
    return found


@pytest.mark.parametrize(("actual", "amount"), [(7, "14"), (8, "14"), (9, "-4"), (10, "-22"), (11, "-33")])
def test_the_worked_example_of_uftp(study: Study, actual: int, amount: str) -> None:
    found = answer(study, uftp(actual))
    assert found["orders"][0]["total"] == amount
    assert found["flows"][0] == {"party": "acme-ai", "amount": amount}


@pytest.mark.parametrize("meters", [{"m": (10, 95)}, {"north": (4, 90), "south": (6, 5)}])
def test_india_s_two_slots(study: Study, meters: dict[str, tuple[int, int]]) -> None:
    found = answer(study, india(**meters))
    assert [each["total"] for each in found["orders"]] == ["237.5", "198.75"]
    assert found["flows"] == [{"party": "buyer", "amount": "-436.25"}, {"party": "seller", "amount": "436.25"}]
    assert found["orders"][0]["intervals"] == [
        {
            "starts_at": "2024-05-12T10:00:00Z",
            "ends_at": "2024-05-12T10:30:00Z",
            "baseline_wh": 75_000,
            "actual_wh": 5000,
            "ordered_wh": 75_000,
            "delivered_wh": 70_000,
            "deficiency_wh": 5000,
            "amount": "237.5",
            "qualities": ["OK"],
        }
    ]


def test_india_s_revenue_by_meter(study: Study) -> None:
    for hours, moves, revenue in [
        (2, [(45, 20), (38, 15), (52, 25)], "525"),
        (2, [(30, 40), (50, 20)], "210"),
        (3, [(40, 20)], "210"),
    ]:
        assert answer(study, revenue_by_meter(hours, *moves))["orders"][0]["total"] == revenue


def test_a_quarter_without_a_reading_is_named_and_the_others_are_settled(study: Study) -> None:
    hour = "18:00-19:00"
    said = [reading("18:00-18:15", 60_000), reading("18:30-19:00", 60_000)]
    found = answer(study, a_case([order(hour, 40_000)], [power(hour, 100_000)], said))["orders"][0]
    assert found["missing"] == [period("18:15-18:30") | {"code": "METER_MISSING"}]
    assert [each["amount"] for each in found["intervals"]] == ["1", None, "1", "1"]
    assert found["total"] == "3"


def test_registers_corrections_and_repeats_count_once(study: Study) -> None:
    hour = "18:00-18:30"
    registers = [(("17:45-18:00"), 999_900, 1), ("18:00-18:15", 999_990, 2), ("18:15-18:30", 4990, 3)]
    lines = [
        {"site": "fra-1", "meter": "m1", "register_wh": wh, "quality": "OK", "seq": seq} | period(at)
        for at, wh, seq in registers
    ]
    lines += [lines[1], lines[1] | {"register_wh": 999_995, "seq": 9}]
    found = answer(study, a_case([order(hour, 40_000)], [power(hour, 40_000)], lines))["orders"][0]
    assert [each["actual_wh"] for each in found["intervals"]] == [95, 4995]
    assert [each["qualities"] for each in found["intervals"]] == [["OK"], ["ESTIMATED"]]


def test_the_page_s_case_comes_to_what_the_page_says(study: Study) -> None:
    case, expected = shown("The case file")
    assert answer(study, json.loads(case)) == json.loads(expected)


def test_the_page_s_rule_is_the_one_that_ships() -> None:
    (text,) = shown("Settlement")
    assert SettlementRule.parse(text) == shipped_rule("standard", 1)
    assert sha256(text.encode()).hexdigest() in PAGE


def test_people_get_a_table(study: Study) -> None:
    code, out, _ = study(india(m=(10, 95)))
    assert code == 0
    assert out == (
        "slot-0 of seller, Wh: 237.50 INR\n"
        "from                  to                    baseline  actual  ordered  delivered  short  amount  readings\n"
        "2024-05-12T10:00:00Z  2024-05-12T10:30:00Z  75000     5000    75000    70000      5000   237.50  OK\n"
        "\n"
        "slot-1 of seller, Wh: 198.75 INR\n"
        "from                  to                    baseline  actual  ordered  delivered  short  amount  readings\n"
        "2024-05-12T10:30:00Z  2024-05-12T11:00:00Z  100000    47500   60000    52500      7500   198.75  OK\n"
        "\n"
        "what each gets, or pays below zero\n"
        "party   amount\n"
        "buyer   -436.25 INR\n"
        "seller  436.25 INR\n"
    )


def test_a_dry_run_says_so(study: Study) -> None:
    hour = "18:00-19:00"
    case = a_case([order(hour, 1, run_mode="DRY_RUN", activation_fee=5)], [power(hour, 1)], [reading(hour, 0)])
    assert study(case)[1].startswith("a: a dry run, for which nothing is paid\n")
    assert answer(study, case)["orders"] == [
        {"order_id": "a", "intervals": [], "activation_fee": "0", "total": "0", "missing": []}
    ]


HOUR = "18:00-19:00"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"currency": "euro"}, "/currency: expected three capitals, such as EUR, got 'euro'"),
        ({"currencies": "EUR"}, "/currencies: expected no such field"),
        ({"rule": "standart"}, "/rule: expected one of firm 1, half-hour-gb 1, "),
        ({"rule": the_rule(interval_s=7)}, "/rule/interval_s: expected greater than or equal to 60, got 7"),
        ({"rule": 5}, "/rule: expected a rule's name, or an object of its parameters, got 5"),
        ({"rule": {"tolerance_share": 1.5}}, "/rule/tolerance_share: expected 0 to 1, got 1.5"),
        ({"orders": [order(HOUR, 1, activation_fee=-1)]}, "/orders/0/activation_fee: expected 0 to 1000000000, got -1"),
        ({"rule": {"grace": 1}}, "/rule/grace: expected no such field"),
        ({"orders": {}}, "/orders: expected a valid array, got an object"),
        ({"orders": [order(HOUR, -1)]}, "/orders/0/power_w: expected greater than or equal to 0, got -1"),
        ({"orders": [order(HOUR, 1, "much")]}, "/orders/0/price_per_mwh: expected a number such as 65.49"),
        ({"orders": [order(HOUR, 1, None)]}, "/orders/0/price_per_mwh: expected the order's price for PAY_AS_BID"),
        ({"orders": [order("19:00-18:00", 1)]}, "/orders/0/ends_at: expected a time after starts_at (2024-05-12T19"),
        ({"orders": [order(HOUR, 1), order(HOUR, 1)]}, "/orders/1/order_id: expected each order once, got 'a' again"),
        ({"orders": [order(HOUR, 1, site="ber-1")]}, "/orders/0/site: expected one of fra-1, got 'ber-1'"),
        (
            {
                "orders": [order(HOUR, 1), order(HOUR, 1, order_id="b", participant="volt")],
                "readings": [reading(HOUR, 1, site="ber-1")],
            },
            "/orders/0/site: expected one of fra-1, ber-1, got None",
        ),
        ({"orders": [order(HOUR, 1, meaning="MORE")]}, "/orders/0/meaning: expected "),
        (
            {"orders": [order(HOUR, 1, meaning="IMPORT_LIMIT", direction="LOAD_INCREASE")]},
            "/orders/0/direction: expected LOAD_DECREASE of an IMPORT_LIMIT, got LOAD_INCREASE",
        ),
        (
            {"orders": [order(HOUR, 1, pricing="PAY_AS_CLEARED")]},
            "/orders/0/clearing_price_per_mwh: expected the uniform price of PAY_AS_CLEARED, got nothing",
        ),
        ({"readings": [period(HOUR)]}, "/readings/0/site: expected a name, for others have one (fra-1), got nothing"),
        (
            {"readings": [{"site": "fra-1"} | period(HOUR)]},
            "/readings/0: expected import_w or register_wh of a good reading, got neither",
        ),
        ({"readings": [reading(HOUR, 1, quality="GOOD")]}, "/readings/0/quality: expected "),
        ({"readings": [reading("18:00-18:00", 1)]}, "/readings/0/ends_at: expected a time after starts_at"),
        ({"readings": [reading(HOUR, 1, starts_at="18:00")]}, "/readings/0/starts_at: expected an RFC 3339 time"),
        ({"baseline": [period(HOUR) | {"site": "fra-1"}]}, "/baseline/0/power_w: expected a value, got nothing"),
    ],
)
def test_a_wrong_file_is_told_where_and_what(study: Study, change: Line, message: str) -> None:
    code, out, err = study(a_case([order(HOUR, 1)], [power(HOUR, 1)], [reading(HOUR, 1)]) | change, "--json")
    assert (code, out) == (2, "")
    assert err.startswith(f"case.json: {message}")


def test_what_is_no_json_or_no_file_is_told(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert study("{") == (2, "", "case.json: /: expected JSON, got something else at line 1, column 2\n")
    assert main(["settle", "study", "nowhere.json"]) == 2
    assert "nowhere.json: No such file or directory" in capsys.readouterr().err
