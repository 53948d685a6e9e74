"""An owner fixes baselines from history when the gate closes, and settles by them, adjusted by the hours before."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from gridsignal_schemas.messages import BaselineFixed, SettlementStatus
from gridsignal_schemas.values import MW
from gridsignal_services.bus import Log
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.settlement.methods import METHODS, Method, changed
from gridsignal_services.settlement.pinned import pinned_method
from tests.builders import (
    PARTICIPANT,
    REQUEST_ID,
    a_baseline_declaration,
    a_dispatch_request,
    a_flex_offer,
    a_meter_reading,
    a_site_registration,
    utc,
)
from tests.integration.ledger.owner_stage import GATE, Stage, running
from tests.integration.ledger.test_settling import END, HOUR, START, an_order_that_is_over, say, settlements

TWO_DAYS = changed(METHODS["caiso-10-of-10"], {"x_non_working": 2, "y_non_working": 2, "least_non_working": 2})
"""The request is for a Sunday."""
WINDOW = (START - 4 * HOUR, START - HOUR)


async def test_a_baseline_is_fixed_from_history_and_adjusted_by_the_hours_before(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await two_days_of_history(stage)
        await an_order_that_is_over(stage, **by(TWO_DAYS))
        (fixed,) = await baselines(stage)
        await metered(stage, *WINDOW, 33 * MW, seq=90)
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + HOUR)
        (first,) = await settlements(stage, 1)

    assert fixed.power_w == [36 * MW] * 3
    assert (fixed.starts_at, fixed.resolution_s) == (START, 900)
    assert fixed.days == ["2024-05-11", "2024-05-05"]
    assert (fixed.window_starts_at, fixed.window_ends_at, fixed.window_w) == (*WINDOW, 30 * MW)
    assert (fixed.readings, fixed.reason) == (4, "")
    assert (fixed.time_zone, fixed.holidays) == ("Europe/Berlin", [])
    assert fixed.left_out == []
    assert fixed.method.sha256 == TWO_DAYS.sha256
    line = first.intervals[0]
    assert (line.baseline_wh, line.actual_wh, line.delivered_wh) == (39_600_000 // 4, 7 * MW, 2_900_000)
    assert first.total == 3 * (Decimal("2.9") * 90 - Decimal("0.1") * 44)
    assert first.inputs.readings == 4


async def test_a_later_reading_of_the_hours_before_corrects_the_adjustment(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await two_days_of_history(stage)
        await an_order_that_is_over(stage, **by(TWO_DAYS))
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + 2 * HOUR)
        await settlements(stage, 1)
        await metered(stage, *WINDOW, 33 * MW, seq=90)
        last = (await settlements(stage, 2))[-1]

    assert last.status is SettlementStatus.CORRECTED
    assert [line.baseline_wh for line in last.intervals] == [39_600_000 // 4] * 3


async def test_without_readings_of_the_window_the_history_counts_as_it_is(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await two_days_of_history(stage)
        await an_order_that_is_over(stage, **by(TWO_DAYS))
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + HOUR)
        (first,) = await settlements(stage, 1)

    assert [line.baseline_wh for line in first.intervals] == [9 * MW] * 3
    assert [line.delivered_wh for line in first.intervals] == [2 * MW] * 3


async def test_with_too_little_history_what_was_declared_holds_and_the_record_says_why(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await an_order_that_is_over(stage, **by(TWO_DAYS))
        (fixed,) = await baselines(stage)
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + HOUR)
        (first,) = await settlements(stage, 1)

    assert (fixed.power_w, fixed.days, fixed.window_w) == ([], [], None)
    assert fixed.reason.startswith("caiso-10-of-10 needs 2 weekend days or holidays with readings, no fewer, and")
    assert first.total == Decimal(810)


class Talking(AroundLog):
    """A log on which a meter says something of a week ago whenever somebody asks where its readings end."""

    def __init__(self, log: Log, codec: Codec) -> None:
        super().__init__(log)
        self._codec, self._seqs = codec, count(100)

    async def end_positions(self, stream: str) -> dict[int, int]:
        if stream == "readings":
            ago = timedelta(days=7)
            said = a_meter_reading(starts_at=START - ago, ends_at=END - ago, import_w=20 * MW, seq=next(self._seqs))
            await publish(self, self._codec, said, principal=f"participant:{PARTICIPANT}", source="/tests")
        return await super().end_positions(stream)


async def test_of_days_that_meters_never_stop_speaking_of_none_is_fixed_and_what_was_declared_holds(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, utc("16:00"), around=Talking) as stage:
        await two_days_of_history(stage)
        await an_order_that_is_over(stage, **by(TWO_DAYS))
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + HOUR)
        (first,) = await settlements(stage, 1)
        assert not [record for record, _ in stage.seen if isinstance(record, BaselineFixed)]

    assert first.total == Decimal(810)


async def test_what_a_site_is_called_for_is_no_more_than_its_history_leaves_it(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        for back in (1, 7):
            day = timedelta(days=back)
            await metered(stage, START - day, END - day, 20 * MW, seq=back)
            await metered(stage, WINDOW[0] - day, WINDOW[1] - day, 30 * MW, seq=10 + back)
        await stage.submit(a_site_registration(), "service:dispatch")
        await stage.submit(a_baseline_declaration(), f"participant:{PARTICIPANT}")
        await stage.submit(a_dispatch_request(**by(TWO_DAYS)), "operator:tso-north")
        await stage.submit(a_flex_offer(), f"participant:{PARTICIPANT}")
        stage.clock.move_to(GATE)
        request = stage.replica.ledger_of("DE-LU").requests[REQUEST_ID]
        await stage.until(lambda: bool(request.clearings))

    # 20 MW less the 12 that can't be shed are less than the 12 it offers, though it has declared 40
    assert not request.clearings[0].awards
    assert [each.code for each in request.clearings[0].rejected] == ["OVERCOMMITTED"]


async def test_an_owner_that_starts_again_fixes_no_baseline_twice(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await two_days_of_history(stage)
        await an_order_that_is_over(stage, **by(TWO_DAYS))
        before = await baselines(stage)
    async with running(tmp_path, END) as stage:
        stage.clock.move_to(END + HOUR)
        await settlements(stage, 1)
        assert await baselines(stage) == before


async def test_a_request_that_goes_by_declarations_has_none(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await an_order_that_is_over(stage, **by(METHODS["declared"]))
        stage.clock.move_to(END + HOUR)
        await settlements(stage, 1)
        assert not [record for record, _ in stage.seen if isinstance(record, BaselineFixed)]


def by(method: Method) -> dict[str, Any]:
    return {"baseline_method": pinned_method(method)}


async def two_days_of_history(stage: Stage) -> None:
    """Saturday and the Sunday before: 36 MW in the request's hours, 30 MW in the window."""
    for back in (1, 7):
        day = timedelta(days=back)
        await metered(stage, START - day, END - day, 36 * MW, seq=back)
        await metered(stage, WINDOW[0] - day, WINDOW[1] - day, 30 * MW, seq=10 + back)


async def metered(stage: Stage, starts_at: datetime, ends_at: datetime, import_w: int, seq: int, **more: Any) -> None:
    reading = a_meter_reading(starts_at=starts_at, ends_at=ends_at, import_w=import_w, seq=seq, **more)
    await publish(stage.log, stage.codec, reading, principal=f"participant:{PARTICIPANT}", source="/tests")


async def baselines(stage: Stage) -> list[BaselineFixed]:
    """The first that is accepted, and all others by then."""

    def found() -> list[BaselineFixed]:
        return [record for record, outcome in stage.seen if isinstance(record, BaselineFixed) and outcome.accepted]

    await stage.until(lambda: bool(found()))
    return found()
