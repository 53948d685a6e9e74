"""Jobs from a file, TOML or CSV: text in, jobs out; what is wrong is told with its line, what was expected and got.

TOML has a table `[[jobs]]` for each, CSV a head line and a row for each. The fields are those of a Job; instead of
`duration_s` a job may say `energy_wh`, and in CSV `levels` is `POWER:SPEED POWER:SPEED` and `movable_to` zones with
spaces between them.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from gridsignal.agent.jobs import Job
from gridsignal_schemas.rules.shapes import shape_fault

MAX_FILE = 8 * 1024 * 1024
"""Bytes of a file."""
MAX_JOBS = 10_000
_TABLE = re.compile(r"\s*\[\[\s*jobs\s*\]\]")
_KEY = re.compile(r"\s*\"?([A-Za-z0-9_]+)\"?\s*=")
_TRUTH = {"true": True, "false": False}
_WHOLE = ("power_w", "duration_s", "energy_wh", "priority", "checkpoint_s", "restart_s", "checkpoint_j", "restart_j")
_COLUMNS = (*Job.model_fields, "energy_wh")


class WrongJobs(ValueError):
    """A file that holds no jobs: each line of its text is a line of the file, what was expected and what was got."""


def jobs_of(text: bytes, name: str) -> list[Job]:
    """The jobs of a file; its name's end says whether it is .toml or .csv. Raises WrongJobs.

    At most MAX_FILE bytes and MAX_JOBS jobs: a longer file is refused.
    """
    if len(text) > MAX_FILE:
        raise WrongJobs(f"expected at most {MAX_FILE} bytes, got {len(text)}")
    try:
        told = text.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = text[: wrong.start].count(b"\n") + 1
        raise WrongJobs(f"line {line}: expected UTF-8 text, got a byte {text[wrong.start]:#x}") from None
    if name.lower().endswith(".csv"):
        return _jobs(_of_csv(told))
    if name.lower().endswith(".toml"):
        return _jobs(_of_toml(told))
    raise WrongJobs(f"line 1: expected a file whose name ends in .toml or .csv, got {name[-60:]!r}")


class _Row:
    """What one job's lines say, and on which line each key stands."""

    def __init__(self, values: Mapping[str, Any], line: int, lines: Mapping[str, int]) -> None:
        self.values, self.line, self.lines = values, line, lines

    def at(self, key: str) -> int:
        return self.lines.get(key, self.line)


def _jobs(rows: Iterator[_Row]) -> list[Job]:
    found: dict[str, Job] = {}
    faults = list[str]()
    for number, row in enumerate(rows):
        if number == MAX_JOBS:
            raise WrongJobs(f"line {row.line}: expected at most {MAX_JOBS} jobs, got more")
        try:
            job = Job.model_validate(_with_duration(row))
        except ValidationError as wrong:
            for fault in map(shape_fault, wrong.errors(include_url=False)):
                key = fault.pointer.split("/")[1] if fault.pointer else "job"
                faults.append(f"line {row.at(key)}: {key}: {fault.message}")
            continue
        except WrongJobs as wrong:
            faults.append(str(wrong))
            continue
        if job.job_id in found:
            faults.append(f"line {row.at('job_id')}: job_id: expected each job once, got {job.job_id!r} twice")
        found[job.job_id] = job
    if faults:
        raise WrongJobs("\n".join(faults))
    return list(found.values())


def _with_duration(row: _Row) -> dict[str, Any]:
    """The job's fields: an energy at a power is a duration."""
    values = dict(row.values)
    if "energy_wh" not in values:
        return values
    energy_wh, power_w = values.pop("energy_wh"), values.get("power_w")
    line = row.at("energy_wh")
    if "duration_s" in values:
        raise WrongJobs(f"line {line}: energy_wh: expected either energy_wh or duration_s, got both")
    if type(energy_wh) is not int or energy_wh < 1:
        raise WrongJobs(f"line {line}: energy_wh: expected watt-hours such as 40000, got {energy_wh!r:.60}")
    if type(power_w) is int and power_w > 0:
        values["duration_s"] = -(-energy_wh * 3_600 // power_w)
    else:
        values["duration_s"] = 1  # what is wrong with its power is told
    return values


def _of_toml(text: str) -> Iterator[_Row]:
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise WrongJobs(f"expected TOML, got something else: {broken}") from None
    tables = told.pop("jobs", [])
    places = list(_places(text))
    for key in told:
        line = next((n for n, each in enumerate(text.splitlines(), 1) if each.strip(" [").startswith(key)), 1)
        raise WrongJobs(f"line {line}: expected [[jobs]] tables alone, got {key[:60]!r}")
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables) or len(places) < len(tables):
        raise WrongJobs("line 1: expected a [[jobs]] table for each job, got jobs written in another way")
    for values, (line, lines) in zip(tables, places, strict=False):
        yield _Row(values, line, lines)


def _places(text: str) -> Iterator[tuple[int, dict[str, int]]]:
    """Of each `[[jobs]]`: its line, and those of its keys."""
    line, lines = 0, dict[str, int]()
    for number, each in enumerate(text.splitlines(), 1):
        if _TABLE.match(each):
            if line:
                yield line, lines
            line, lines = number, {}
        elif line and (key := _KEY.match(each)):
            lines.setdefault(key[1], number)
    if line:
        yield line, lines


def _of_csv(text: str) -> Iterator[_Row]:
    rows = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True, skipinitialspace=True)
    try:
        columns = [name.strip() for name in rows.fieldnames or ()]
        for name in columns:
            if name not in _COLUMNS or columns.count(name) > 1:
                raise WrongJobs(f"line 1: expected each of {', '.join(_COLUMNS)} once at most, got {name[:60]!r}")
        rows.fieldnames = columns
        for row in rows:
            line = rows.line_num
            if row.get("") is not None:
                raise WrongJobs(f"line {line}: expected {len(columns)} cells, got {len(columns) + len(row[''])}")
            yield _Row({key: _cell(key, cell.strip()) for key, cell in row.items() if cell and cell.strip()}, line, {})
    except csv.Error as broken:
        raise WrongJobs(f"line {rows.reader.line_num}: expected a row of CSV, got something else: {broken}") from None


def _cell(column: str, text: str) -> Any:
    """A cell's value; one that can't be read stays text, and the job's shape says what it expected."""
    if column in _WHOLE:
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else text
    if column == "pausable":
        return _TRUTH.get(text.lower(), text)
    if column == "movable_to":
        return text.split()
    if column == "levels":
        return [_level(each) for each in text.split()]
    return text


def _level(text: str) -> Any:
    found = re.fullmatch(r"([0-9]{1,18}):([0-9]{1,9}(?:\.[0-9]{1,9})?)", text)
    return {"power_w": int(found[1]), "speed": float(found[2])} if found else text
