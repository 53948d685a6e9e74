"""Jobs from a file: both formats say the same, and what is wrong is told with its line, expected and got."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.job_file import MAX_JOBS, WrongJobs, jobs_of
from gridsignal.agent.jobs import Job, Level

START = datetime(2030, 5, 12, tzinfo=UTC)
TOML = """\
# tonight
[[jobs]]
job_id = "train-7"
power_w = 700_000
duration_s = 14_400
earliest = 2030-05-12T18:00:00Z
deadline = 2030-05-13T06:00:00Z
pausable = true

[[jobs]]
job_id = "eval"
power_w = 90_000
energy_wh = 45_000
earliest = 2030-05-12T18:00:00Z
deadline = 2030-05-12T20:00:00Z
"""
ids = st.text("abcxyz-_0123456789", min_size=1, max_size=12)


@st.composite
def some_jobs(draw: st.DrawFn) -> list[Job]:
    def one(job_id: str) -> Job:
        power_w = draw(st.integers(100, 10_000_000))
        lower = draw(st.lists(st.integers(1, power_w - 1), unique=True, max_size=3))
        duration_s = draw(st.integers(1, 86_400))
        earliest = START + timedelta(seconds=draw(st.integers(0, 86_400)))
        return Job(
            job_id=job_id,
            power_w=power_w,
            duration_s=duration_s,
            earliest=earliest,
            deadline=earliest + timedelta(seconds=duration_s + draw(st.integers(0, 86_400))),
            priority=draw(st.integers(-5, 5)),
            levels=tuple(Level(power_w=each, speed=0.5) for each in sorted(lower, reverse=True)),
            pausable=draw(st.booleans()),
            restart_s=draw(st.integers(0, 900)),
            checkpoint_j=draw(st.integers(0, 10**9)),
            movable_to=tuple(draw(st.lists(st.sampled_from(["FR", "DE-LU", "NO2"]), unique=True))),
        )

    return [one(job_id) for job_id in draw(st.lists(ids, unique=True, min_size=1, max_size=5))]


def as_toml(jobs: list[Job]) -> str:
    def value(given: object) -> str:
        if isinstance(given, bool):
            return str(given).lower()
        if isinstance(given, list):
            return "[" + ", ".join(map(value, given)) + "]"
        if isinstance(given, dict):
            return "{" + ", ".join(f"{key} = {value(each)}" for key, each in given.items()) + "}"
        return f'"{given}"' if isinstance(given, str) else str(given)

    rows = [job.model_dump(mode="json") for job in jobs]
    return "\n".join("[[jobs]]\n" + "\n".join(f"{key} = {value(row[key])}" for key in row) for row in rows)


def as_csv(jobs: list[Job]) -> str:
    def cell(given: object) -> str:
        if isinstance(given, list):
            return " ".join(
                f"{each['power_w']}:{each['speed']}" if isinstance(each, dict) else str(each) for each in given
            )
        return str(given)

    rows = [job.model_dump(mode="json") for job in jobs]
    return "\n".join([",".join(rows[0]), *(",".join(map(cell, row.values())) for row in rows)])


@given(some_jobs())
def test_a_file_of_either_format_says_the_jobs_that_were_written(jobs: list[Job]) -> None:
    assert jobs_of(as_toml(jobs).encode(), "jobs.toml") == jobs
    assert jobs_of(as_csv(jobs).encode(), "JOBS.CSV") == jobs


def test_an_energy_at_a_power_is_a_duration() -> None:
    train, evaluation = jobs_of(TOML.encode(), "tonight.toml")
    assert (train.energy_wh, evaluation.duration_s, evaluation.pausable) == (2_800_000, 1_800, False)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("700_000", '"700 kW"', "line 4: power_w: expected a valid integer, got '700 kW'"),
        ("energy_wh = 45_000", "energy = 45_000", "line 13: energy: expected no such field"),
        ("energy_wh = 45_000", "energy_wh = -4", "line 13: energy_wh: expected watt-hours such as 40000, got -4"),
        ("pausable = true", "pausable = 1", "line 8: pausable: expected a valid boolean, got 1"),
        ("2030-05-13T06:00:00Z", "2030-05-12T19:00:00Z", "line 2: job: expected a deadline at least 14400 s after"),
        ('"eval"', '"train-7"', "line 11: job_id: expected each job once, got 'train-7' twice"),
        ("2030-05-12T20:00:00Z", "2030-05-12T20:00:00", "line 15: deadline: expected a time with its offset"),
        ("power_w = 90_000", "power_w = ", "expected TOML, got something else: Invalid value (at line 12"),
        ("# tonight", "site = 1", "line 1: expected [[jobs]] tables alone, got 'site'"),
    ],
)
def test_what_is_wrong_in_toml_is_told_with_its_line(before: str, after: str, told: str) -> None:
    with pytest.raises(WrongJobs) as wrong:
        jobs_of(TOML.replace(before, after, 1).encode(), "tonight.toml")
    assert told in str(wrong.value)


HEAD = "job_id,power_w,duration_s,earliest,deadline,levels\n"
ROW = "a,1000,60,2030-05-12T18:00:00Z,2030-05-12T19:00:00Z,"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + ROW + "900", "line 2: levels: expected"),
        (HEAD + ROW + "1900:0.5", "line 2: job: expected levels of falling power below 1000 W, got 1900 W"),
        (HEAD + ROW + "\n" + ROW.replace("1000", "1e3"), "line 3: power_w: expected a valid integer"),
        (HEAD + ROW + ",7", "line 2: expected 6 cells, got 7"),
        ("job,power_w\n", "line 1: expected each of job_id, power_w"),
        (HEAD + 'a,"', "line 2: expected a row of CSV"),
        (HEAD + "\n".join([ROW] * (MAX_JOBS + 1)), f"line {MAX_JOBS + 2}: expected at most {MAX_JOBS} jobs, got more"),
    ],
)
def test_what_is_wrong_in_csv_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(WrongJobs) as wrong:
        jobs_of(text.encode(), "jobs.csv")
    assert told in str(wrong.value)


def test_a_file_of_another_kind_is_refused() -> None:
    for text, name, told in ((b"", "jobs.yaml", "ends in .toml or .csv"), (b"a\n\xff", "jobs.csv", "line 2: expected")):
        with pytest.raises(WrongJobs, match=told):
            jobs_of(text, name)
