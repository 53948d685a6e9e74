"""`gridsignal settle verify` and `run`: every line computed again from the log alone, and what would be due now."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridsignal.__main__ import main
from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import MissingPeriod, SettledInterval, Settlement
from gridsignal_schemas.values import text_of_decimal
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite_reading import log_in
from tests.builders import utc
from tests.integration.audit.settled_log import ZONE, a_settled_log
from tests.integration.audit.test_audit_commands import change
from tests.integration.audit.test_audit_commands import result as result_of_audit
from tests.integration.ledger.owner_stage import running
from tests.integration.ledger.test_settling import END, an_order_that_is_over, say

CODEC = Codec.from_lock()
PARTITION = partition_of(ZONE, TOPICS["dispatch"].partitions)


def settle(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = main(["settle", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out + said.err


def result(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    return json.loads(settle(capsys, *words, "--json")[1])


def settlements_in(directory: Path) -> list[tuple[int, Settlement]]:
    with log_in(directory) as log:
        read = [(each.offset, CODEC.decode(each.value)) for each in log.records("dispatch", PARTITION)]
    return [(offset, record) for offset, record in read if isinstance(record, Settlement)]


async def test_every_line_agrees_by_order_by_settlement_by_zone_and_of_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await a_settled_log(tmp_path / "log")
    here = ("--directory", tmp_path / "log")
    (_, first), (_, second) = settlements_in(tmp_path / "log")
    capsys.readouterr()
    for asked in ((first.order_id,), (first.settlement_id,), ("--zone", ZONE), ()):
        found = result(capsys, "verify", *asked, *here)
        assert (found["agrees"], [row["version"] for row in found["settlements"]]) == (True, [1, 2])
        assert settle(capsys, "verify", *asked, *here)[0] == 0
    by_order, by_its_own = (
        result_of_audit(capsys, "prove", "settlement", each, *here) for each in (first.order_id, first.settlement_id)
    )
    assert by_order["record"] == by_its_own["record"]
    said = settle(capsys, "verify", *here)[1]
    assert f"version 2 (CORRECTED): all 3 lines agree, {text_of_decimal(second.total)} EUR" in said
    code, said = settle(capsys, "verify", "nope", *here)
    assert (code, "there is no settlement of nope on this log, or none that counts" in said) == (1, True)
    assert settle(capsys, "verify", "--directory", tmp_path / "nowhere")[0] == 2


async def test_a_line_that_was_changed_is_shown_with_both_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await a_settled_log(tmp_path / "log")
    (offset, first), *_ = settlements_in(tmp_path / "log")
    capsys.readouterr()
    for at, line in enumerate(first.intervals):
        assert line.amount is not None
        lines, amount = list(first.intervals), text_of_decimal(line.amount)
        lines[at] = line.model_copy(update={"delivered_wh": 1, "amount": Decimal(1)})
        forged = CODEC.encode(first.model_copy(update={"intervals": lines}))
        change(tmp_path / "log", offset, f"value = x'{forged.hex()}'")
        row, *_ = result(capsys, "verify", "--directory", tmp_path / "log")["settlements"]
        assert not row["agrees"]
        assert [(each["field"], each["logged"], each["computed"]) for each in row["differs"]] == [
            ("delivered_wh", 1, line.delivered_wh),
            ("amount", "1", amount),
        ]
        code, said = settle(capsys, "verify", first.order_id, "--directory", tmp_path / "log")
        assert (code, f"amount: 1 on the log, {amount} computed" in said) == (1, True)


NO_FIGURES = MissingPeriod(starts_at=END - timedelta(minutes=5), ends_at=END, code="METER_MISSING")
WRONG: dict[str, Any] = {
    "baseline_wh": 1,
    "actual_wh": 1,
    "ordered_wh": 1,
    "delivered_wh": 1,
    "deficiency_wh": 1,
    "ramp_ok": True,
    "qualities": ["BAD"],
    "amount": Decimal(1),
}
"""Of a line."""


async def test_whatever_differs_is_shown_and_the_total_is_said_where_it_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await a_settled_log(tmp_path / "log")
    (offset, first), *_ = settlements_in(tmp_path / "log")
    assert WRONG.keys() == SettledInterval.model_fields.keys() - {"starts_at", "ends_at"}
    line, *others = first.intervals
    changes: dict[str, dict[str, Any]] = {
        name: {"intervals": [line.model_copy(update={name: value}), *others]} for name, value in WRONG.items()
    }
    changes |= {"missing": {"missing": [NO_FIGURES]}, "reason": {"reason": "x"}, "total": {"total": Decimal(7)}}
    changes |= {"activation_fee": {"activation_fee": Decimal(7)}, "currency": {"currency": "GBP"}}
    for name, change_of in changes.items():
        forged = CODEC.encode(first.model_copy(update=change_of))
        change(tmp_path / "log", offset, f"value = x'{forged.hex()}'")
        capsys.readouterr()
        row, *_ = result(capsys, "verify", "--directory", tmp_path / "log")["settlements"]
        assert [each["field"] for each in row["differs"]] == [name]
        assert ("its total is right" not in row["why"]) == (name == "total"), row["why"]
        said = settle(capsys, "verify", "--directory", tmp_path / "log")[1]
        assert f"{name}: " in said


async def test_a_preview_is_what_the_owner_writes_later_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("--directory", tmp_path / "log")
    async with running(tmp_path / "log", utc("16:00")) as stage:
        await an_order_that_is_over(stage)
        for quarter in range(3):
            await say(stage, quarter)
        capsys.readouterr()
        before = dict(stage.replica.positions)
        (row,) = result(capsys, "run", *here)["settlements"]
        assert result(capsys, "run", row["order_id"], "--zone", ZONE, *here)["settlements"] == [row]
        code, said = settle(capsys, "run", *here)
        assert (code, "version 1 would be PROVISIONAL" in said, "a preview: nothing was written" in said) == (0, 1, 1)
        assert dict(stage.replica.positions) == before
        stage.clock.move_to(END + timedelta(hours=1))
        await stage.until(lambda: any(isinstance(record, Settlement) for record, _ in stage.seen))
        written = next(record for record, _ in stage.seen if isinstance(record, Settlement))
    assert row["version_on_the_log"] is None
    shown, later = row["settlement"], json.loads(written.model_dump_json())
    for each in (shown, later):
        del each["inputs"]["root"]  # the timer's record lies between
    assert shown == later


async def test_what_has_no_preview_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(tmp_path / "log", utc("16:00")):
        pass
    capsys.readouterr()
    here = ("--directory", tmp_path / "log")
    assert settle(capsys, "run", *here) == (0, "no order waits for another version\n")
    code, said = settle(capsys, "run", "nope", *here)
    assert (code, "order nope is not over on this log" in said) == (1, True)
