"""`gridsignal audit verify FOLDER`: a baseline from history follows from the log, whatever the registry says by now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gridsignal_schemas.messages import BaselineFixed, Quality
from gridsignal_schemas.values import MW
from gridsignal_services.audit.checking import Checked, Readings, check
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite_reading import log_in
from tests.builders import a_site_registration
from tests.builders import utc as at
from tests.integration.audit.test_audit_commands import PARTITION, done
from tests.integration.ledger.owner_stage import running
from tests.integration.ledger.test_baselines_fixed import TWO_DAYS, WINDOW, baselines, by, metered, two_days_of_history
from tests.integration.ledger.test_settling import END, HOUR, START, an_order_that_is_over, say, settlements

CODEC = Codec.from_lock()
DAY, WEEK = timedelta(days=1), timedelta(days=7)
Changed = Callable[[BaselineFixed], BaselineFixed]


async def a_settled_log(directory: Path) -> None:
    """A history with a bad day, which is left out; at its end the connection carries less than what was metered."""
    async with running(directory, at("16:00")) as stage:
        await two_days_of_history(stage)
        for since, until, import_w in ((START, END, 36 * MW), (*WINDOW, 30 * MW)):
            await metered(stage, since - WEEK - DAY, until - WEEK - DAY, import_w, seq=30)
        await metered(stage, START - WEEK, END - WEEK, 0, seq=40, quality=Quality.BAD)
        await an_order_that_is_over(stage, **by(TWO_DAYS))
        await baselines(stage)
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + HOUR)
        await settlements(stage, 1)
        await stage.submit(a_site_registration(revision=2, capacity_w=20 * MW, minimum_load_w=0), "service:dispatch")


def checked(directory: Path, change: Changed = lambda record: record) -> Checked:
    """What comes of the log with its baseline changed."""
    with log_in(directory) as log:
        dispatch, readings = (list(log.records(stream, PARTITION)) for stream in ("dispatch", "readings"))

    def changed(logged: LogRecord) -> LogRecord:
        record = CODEC.decode(logged.value)
        return replace(logged, value=CODEC.encode(change(record))) if isinstance(record, BaselineFixed) else logged

    return check(PARTITION, CODEC, lambda: map(changed, dispatch), readings=Readings(lambda: readings))


async def test_a_log_proves_its_baselines_and_settlements_though_the_connection_carries_less_by_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await a_settled_log(tmp_path)
    code, said = done(capsys, "verify", tmp_path)
    assert code == 0, said
    assert "1 settlement and 1 baseline computed again with the same result" in said


async def test_days_that_are_others_than_the_method_goes_by_are_named(tmp_path: Path) -> None:
    await a_settled_log(tmp_path)
    assert (checked(tmp_path).faults, checked(tmp_path).baselines) == ([], 1)

    other_day = checked(tmp_path, lambda record: record.model_copy(update={"days": ["2024-05-11", "2024-05-05"]}))
    none_left_out = checked(tmp_path, lambda record: record.model_copy(update={"left_out": []}))
    one_watt = checked(tmp_path, lambda record: record.model_copy(update={"power_w": [36 * MW, 36 * MW, 36 * MW + 1]}))
    elsewhere = checked(tmp_path, lambda record: record.model_copy(update={"time_zone": "Mars/Olympus"}))

    assert "site fra-1, goes by other days than its method has it" in other_day.faults[0]
    assert "goes by other days" in none_left_out.faults[0]
    assert "is another than its method has it" in one_watt.faults[0]
    assert "can't be fixed again: expected an IANA time zone, got 'Mars/Olympus'" in elsewhere.faults[0]


async def test_a_baseline_of_a_version_that_named_no_position_is_taken_as_it_is(tmp_path: Path) -> None:
    await a_settled_log(tmp_path)
    older = checked(tmp_path, lambda record: record.model_copy(update={"root": None, "left_out": None}))
    assert older.baselines == 0
    assert not [fault for fault in older.faults if "the baseline at" in fault]
