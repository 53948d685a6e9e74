"""An hour as a CSV has it: what follows from measured columns, and what is wrong with a line."""

from __future__ import annotations

import re

import pytest

from gridsignal_services.regulation.sample_rows import MEASURED, WrongSample, samples
from gridsignal_services.regulation.scoring import Sample

HEAD = ",".join(("seconds", *MEASURED))


def test_the_base_point_comes_by_its_ramp_and_the_signal_by_the_share_of_the_band() -> None:
    lines = [HEAD, "0,100,100,3,5,20,0", "10,101,110,3,5,20,8", "20,99,90,3,5,20,-20", "30,99,90,600,5,20,20"]
    assert samples(lines) == [Sample(0, 0), Sample(2, 0.5), Sample(-5, -1), Sample(5, 9)]


def test_two_columns_that_are_worked_out_already_will_do() -> None:
    assert samples(["response_mw, seconds, expected_reg_mw", "1.5,0,2", "-1e-2,10,3"]) == [
        Sample(2, 1.5),
        Sample(3, -0.01),
    ]


def test_what_was_worked_out_elsewhere_must_agree() -> None:
    head = f"{HEAD},expected_reg_mw,response_mw"
    assert samples([head, "0,101,100,3,5,20,8,2.0000000001,1"]) == [Sample(2, 1)]
    fault = "line 2, column response_mw: expected 1 by the other columns, got 1.1"
    with pytest.raises(WrongSample, match=re.escape(fault)):
        samples([head, "0,101,100,3,5,20,8,2,1.1"])


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("0,x,100,3,5,20,8", "line 2, column agc_mw: expected a number such as -2.47, got 'x'"),
        ("0,,100,3,5,20,8", "line 2, column agc_mw: expected a number such as -2.47, got ''"),
        ("0,NaN,100,3,5,20,8", "line 2, column agc_mw: expected a number such as -2.47, got 'NaN'"),
        ("0,1,100,3,5,20", "line 2, column fleet_signal_mw: expected a number such as -2.47, got ''"),
        ("0,1,100,3,5,20,8,9", "line 2: expected as many cells as columns, got more"),
        ("0,1,100,-3,5,20,8", "line 2, column ramp_mw_per_min: expected a number of 0 or more, got -3"),
        ("0,1,100,3,-5,20,8", "line 2, column areg_mw: expected a number of 0 or more, got -5"),
        ("0,1,100,3,5,0,8", "line 2, column fleet_treg_mw: expected a number above 0, got 0"),
        (
            "0,1,100,3,5,20,8\n20,1,100,3,5,20,8",
            "line 3, column seconds: expected 10, 10 after the line before, got 20",
        ),
        ('0,1,100,3,5,20,"8', "line 2: expected a row of CSV, got one that can't be read"),
    ],
)
def test_a_wrong_line_is_named_with_its_column(line: str, fault: str) -> None:
    with pytest.raises(WrongSample, match=re.escape(fault)):
        samples([HEAD, *line.split("\n")])


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        ("", "line 1: expected the columns seconds, agc_mw"),
        ("seconds,agc_mw", "got seconds, agc_mw"),
        (HEAD + ",mood", "once at most, got 'mood'"),
        (HEAD + ",agc_mw", "once at most, got 'agc_mw'"),
    ],
)
def test_a_wrong_head_is_named(head: str, fault: str) -> None:
    with pytest.raises(WrongSample, match=re.escape(fault)):
        samples([head, "0,1,100,3,5,20,8"])


def test_a_file_of_hours_is_read_no_further_than_one() -> None:
    lines = (f"{second},1,2" for second in range(0, 4_000, 10))
    with pytest.raises(WrongSample, match=r"line 393: expected an hour and 5 minutes, 391 lines at most"):
        samples(["seconds,expected_reg_mw,response_mw", *lines])
