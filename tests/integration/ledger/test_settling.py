"""An owner settles orders on the embedded log: at the rule's times, once, from what meters said, whoever owns next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import Record, Settlement, SettlementStatus
from gridsignal_schemas.rules.lifecycle import RequestState
from gridsignal_schemas.values import MW
from gridsignal_services.bus import Log
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SoleCandidate
from gridsignal_services.ledger.tracked import TrackedOrder, TrackedSettlement
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.owning.owner import Owner
from gridsignal_services.registry import example_registry
from gridsignal_services.replica import Replica
from gridsignal_services.settlement.pinned import pinned
from gridsignal_services.settlement.rules import SettlementRule
from tests.builders import (
    OPERATOR,
    PARTICIPANT,
    REQUEST_ID,
    a_baseline_declaration,
    a_dispatch_request,
    a_flex_offer,
    a_meter_reading,
    a_site_registration,
    an_order_response,
    utc,
)
from tests.integration.ledger.owner_stage import ALL, GATE, Stage, running
from tests.journey.test_two_owners import Held
from tests.patience import SOON_S

HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)
RULE = pinned(
    SettlementRule(
        name="short",
        version=1,
        provisional_after_s=3600,
        missing_after_s=0,
        final_after_s=7200,
        dispute_window_s=3600,
        corrections_until_s=360_000,
    )
)
START, END = utc("18:00"), utc("18:45")
P, S = SettlementStatus.PROVISIONAL, SettlementStatus.FINAL


async def test_an_order_is_settled_provisionally_then_finally_and_silence_settles_its_request(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await an_order_that_is_over(stage)
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + HOUR)
        (first,) = await settlements(stage, 1)
        stage.clock.move_to(END + 2 * HOUR)
        _, second = await settlements(stage, 2)
        stage.clock.move_to(END + 3 * HOUR)
        await stage.until(lambda: stage.state(REQUEST_ID) is RequestState.SETTLED)

    assert (first.status, first.version, first.supersedes) == (P, 1, None)
    assert (second.status, second.version, second.supersedes) == (S, 2, 1)
    assert first.total == second.total == Decimal(810)
    assert [line.amount for line in first.intervals] == [Decimal(270)] * 3
    assert first.inputs.readings == 3
    assert not first.missing


async def test_what_nobody_metered_is_missing_and_the_rest_is_settled(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await an_order_that_is_over(stage)
        await say(stage, 0)
        await say(stage, 2)
        stage.clock.move_to(END + HOUR)
        (first,) = await settlements(stage, 1)

    assert first.total == Decimal(540)
    assert [(each.starts_at, each.ends_at) for each in first.missing] == [(START + QUARTER, START + 2 * QUARTER)]


async def test_a_later_reading_that_changes_an_interval_gives_another_version_and_one_that_changes_none_gives_none(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await an_order_that_is_over(stage)
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + 2 * HOUR)
        await settlements(stage, 1)
        await say(stage, 1, seq=500)  # the same once more
        await say(stage, 1, seq=501, import_w=34 * MW)
        third = (await settlements(stage, 2))[-1]

    assert third.status is SettlementStatus.CORRECTED
    assert third.total == Decimal(540 + 135 - 66)  # half of it delivered, half of it lacking at 44
    assert third.intervals[0].amount == Decimal(270)


async def test_what_is_said_while_a_correction_is_written_is_counted_by_the_next(tmp_path: Path) -> None:
    """All at one moment of the log's clock: when it was logged does not tell the two apart."""
    async with running(tmp_path, utc("16:00"), around=lambda log, _: Held(log, "Settlement")) as stage:
        held = stage.log
        assert isinstance(held, Held)
        held.released.set()
        await an_order_that_is_over(stage)
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + 2 * HOUR)
        await settlements(stage, 1)
        held.reached.clear()
        held.released.clear()
        await say(stage, 1, seq=501, import_w=34 * MW)
        async with asyncio.timeout(SOON_S):
            await held.reached.wait()
        await say(stage, 1, seq=502, import_w=40 * MW)
        await stage.meters.following.reach_end(range(TOPICS["readings"].partitions), SOON_S)
        held.released.set()
        _, second, third = await settlements(stage, 3)

    assert second.total == Decimal(540 + 135 - 66)
    assert third.total == Decimal(540 - 132)


async def test_a_reading_that_comes_while_nobody_owns_the_zone_is_found_by_the_next_owner(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await an_order_that_is_over(stage)
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + 2 * HOUR)
        await settlements(stage, 1)
    async with running(tmp_path, END + 2 * HOUR, owns=False) as stage:
        await say(stage, 0, seq=900, import_w=40 * MW)
    async with running(tmp_path, END + 2 * HOUR) as stage:
        *_, last = await settlements(stage, 2)

    assert last.status is SettlementStatus.CORRECTED
    assert last.total == Decimal(540 - 132)


async def test_an_owner_that_starts_again_repeats_no_version(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await an_order_that_is_over(stage)
        stage.clock.move_to(END + HOUR)
        await settlements(stage, 1)
    async with running(tmp_path, END + HOUR) as stage:
        stage.clock.move_to(END + 2 * HOUR)
        first, second = await settlements(stage, 2)

    assert (first.version, second.version) == (1, 2)


async def test_of_two_owners_that_settle_at_once_each_version_counts_once(tmp_path: Path) -> None:
    """Scenario 17, of settlements: the first has computed its version when the second takes over."""
    (another := tmp_path / "another").mkdir()
    async with running(tmp_path, utc("16:00"), around=lambda log, _: Held(log, "Settlement")) as stage:
        held = stage.log
        assert isinstance(held, Held)
        await an_order_that_is_over(stage)
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + HOUR)
        async with asyncio.timeout(SOON_S):
            await held.reached.wait()
        async with another_owner(stage, held.log, another):
            await settlements(stage, 1)
            held.released.set()
            await stage.until(lambda: len(outcomes(stage)) == 2)
            stage.clock.move_to(END + 2 * HOUR)
            await settlements(stage, 2)

    assert outcomes(stage)[:3] == [(1, True), (1, False), (2, True)]
    assert [version for version, is_accepted in outcomes(stage) if is_accepted] == [1, 2]


@asynccontextmanager
async def another_owner(stage: Stage, log: Log, directory: Path) -> AsyncIterator[None]:
    """Another process's owner of the same partitions, which shares nothing but the log."""
    replica = Replica(log, stage.codec, source="/another", read_back_s=SOON_S)
    meters = ReadingsReader(log, stage.codec, example_registry(), lambda: replica.grid, directory)
    owner = Owner(replica, stage.clock, SoleCandidate(ALL), None, meters)
    tasks = [asyncio.create_task(task) for task in (replica.run(), meters.following.run(), owner.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        meters.meters.close()


def outcomes(stage: Stage) -> list[tuple[int, bool]]:
    """Of each version on the log, whether it counted."""
    return [(record.version, outcome.accepted) for record, outcome in stage.seen if isinstance(record, Settlement)]


async def an_order_that_is_over(stage: Stage, **request: Any) -> None:
    """12 MW for three quarter hours at 90 EUR/MWh, from a site that draws 40 MW."""
    await stage.submit(a_site_registration(), "service:dispatch")
    await stage.submit(a_baseline_declaration(), f"participant:{PARTICIPANT}")
    await stage.submit(a_dispatch_request(**{"settlement": RULE} | request), f"operator:{OPERATOR}")
    await stage.submit(a_flex_offer(), f"participant:{PARTICIPANT}")
    stage.clock.move_to(GATE)
    await stage.until(lambda: bool(announced(stage)))
    order = announced(stage)[0].order
    response = an_order_response(order_id=order.order_id, request_id=order.request_id, revision=order.revision)
    await stage.submit(response, f"participant:{PARTICIPANT}")
    stage.clock.move_to(END)
    await stage.until(lambda: stage.state(REQUEST_ID) is RequestState.COMPLETED)


def announced(stage: Stage) -> list[TrackedOrder]:
    return [
        order
        for order in stage.replica.ledger_of("DE-LU").orders.values()
        if not stage.replica.ledger_of("DE-LU").book.announcements.owes("order", PARTICIPANT, order.order.order_id)
    ]


def tracked(stage: Stage) -> TrackedSettlement:
    (found,) = stage.replica.ledger_of("DE-LU").book.settlements.values()
    return found


async def say(stage: Stage, quarter: int, **changes: Any) -> None:
    starts_at = START + quarter * QUARTER
    reading = a_meter_reading(
        **{"starts_at": starts_at, "ends_at": starts_at + QUARTER, "import_w": 28 * MW, "seq": quarter} | changes
    )
    await publish(stage.log, stage.codec, reading, principal=f"participant:{PARTICIPANT}", source="/tests")


async def settlements(stage: Stage, number: int) -> list[Settlement]:
    """The first versions, in their order."""

    def found() -> list[Record]:
        return [record for record, outcome in stage.seen if isinstance(record, Settlement) and outcome.accepted]

    await stage.until(lambda: len(found()) >= number)
    return [record for record in found() if isinstance(record, Settlement)]
