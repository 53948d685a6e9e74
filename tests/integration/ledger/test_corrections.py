"""Readings that come long after an order was settled and has left memory correct it: once, whoever owns next."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from gridsignal.testing import ManualClock
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import Settlement, SettlementStatus
from gridsignal_schemas.rules.lifecycle import SettlementState
from gridsignal_schemas.values import MW
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply
from gridsignal_services.settlement.pinned import pinned
from gridsignal_services.settlement.rules import STANDARD, SettlementRule
from tests.builders import PARTICIPANT, a_baseline_declaration, utc
from tests.integration.audit.test_audit_commands import done
from tests.integration.ledger.owner_stage import Stage, acting, running
from tests.integration.ledger.test_settling import END, HOUR, an_order_that_is_over, say, settlements
from tests.journey.hand_stamped import HandStamped
from tests.patience import SOON_S

DAY = timedelta(days=1)
RULE = pinned(
    STANDARD.model_copy(update={"name": "quick", "missing_after_s": 0, "final_after_s": 7200, "dispute_window_s": 3600})
)
C = SettlementStatus.CORRECTED


async def settled_and_gone(stage: Stage) -> None:
    """Two versions, and silence; then its order leaves memory."""
    await an_order_that_is_over(stage, settlement=RULE)
    for quarter in range(3):
        await say(stage, quarter)
    for hours in (1, 2):
        stage.clock.move_to(END + hours * HOUR)
        await settlements(stage, hours)
    stage.clock.move_to(END + 3 * HOUR)
    await stage.until(lambda: states(stage) == [SettlementState.SETTLED])
    stage.clock.move_to(END + 2 * DAY)
    await something_else(stage)
    assert not stage.replica.ledger_of("DE-LU").orders


def states(stage: Stage) -> list[SettlementState]:
    """Of the settlements in memory."""
    return [each.state for each in stage.replica.ledger_of("DE-LU").book.settlements.values()]


async def something_else(stage: Stage) -> None:
    """Whatever comes next makes the ledger let go of what can go."""
    declared = a_baseline_declaration(starts_at=stage.clock.now(), power_w=[len(stage.seen)] * 96)
    await stage.submit(declared, f"participant:{PARTICIPANT}")


async def test_readings_of_years_ago_give_version_after_version_that_anybody_computes_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await settled_and_gone(stage)
        stage.clock.move_to(END + 200 * DAY)
        await say(stage, 1, seq=500, import_w=34 * MW)
        third = (await settlements(stage, 3))[-1]
        await say(stage, 1, seq=501, import_w=34 * MW)  # the same once more
        await say(stage, 2, seq=502, import_w=40 * MW)
        fourth = (await settlements(stage, 4))[-1]
        stage.clock.move_to(END + 201 * DAY)
        await stage.until(lambda: states(stage) == [SettlementState.SETTLED])
        await something_else(stage)
        assert not states(stage)
        stage.clock.move_to(END + 1097 * DAY)
        await say(stage, 2, seq=503)
        fifth = (await settlements(stage, 5))[-1]

    assert [(each.version, each.status, each.supersedes) for each in (third, fourth, fifth)] == [
        (3, C, 2),
        (4, C, 3),
        (5, C, 4),
    ]
    assert [each.total for each in (third, fourth, fifth)] == [
        Decimal(540 + 135 - 66),
        Decimal(270 + 135 - 66 - 132),
        Decimal(540 + 135 - 66),
    ]
    code, told = done(capsys, "verify", tmp_path)
    assert "5 settlements and 0 baselines computed again with the same result" in told
    assert code == 0, told


async def test_after_the_rule_s_window_a_reading_corrects_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await settled_and_gone(stage)
        stage.clock.move_to(END + 1099 * DAY)
        await something_else(stage)
        await say(stage, 1, seq=500, import_w=34 * MW)
        await asyncio.wait_for(at_rest(stage), SOON_S)
        assert len(await settlements(stage, 2)) == 2


async def at_rest(stage: Stage) -> None:
    """Once all that is on the log has been looked at."""
    await stage.meters.following.at_rest()
    for _ in iter(lambda: stage.owner.at_rest, True):
        await asyncio.sleep(0)


@pytest.mark.parametrize("checkpoints_every", [None, 5])
async def test_a_late_reading_is_found_after_a_restart_by_whoever_owns_next(
    tmp_path: Path, checkpoints_every: int | None
) -> None:
    async with running(tmp_path, utc("16:00"), checkpoints_every=checkpoints_every) as stage:
        await settled_and_gone(stage)
    later = END + 90 * DAY
    async with running(tmp_path, later, owns=False, checkpoints_every=checkpoints_every) as stage:
        await say(stage, 0, seq=900, import_w=40 * MW)
    async with running(tmp_path, later, checkpoints_every=checkpoints_every) as stage:
        third = await newest(stage, 3)
        stage.clock.move_to(later + DAY)
        await stage.until(lambda: states(stage) == [SettlementState.SETTLED])
        await something_else(stage)
        assert not states(stage)
    async with running(tmp_path, later + DAY, checkpoints_every=checkpoints_every) as stage:
        await say(stage, 0, seq=901)
        fourth = await newest(stage, 4)
        await asyncio.wait_for(at_rest(stage), SOON_S)
        versions = [record.version for record in said(stage)]

    assert (third.status, third.total) == (C, Decimal(540 - 132))
    assert (fourth.supersedes, fourth.total) == (3, Decimal(810))
    assert versions == sorted(set(versions))
    assert versions[-1] == 4


async def newest(stage: Stage, version: int) -> Settlement:
    await stage.until(lambda: any(each.version == version for each in said(stage)))
    return said(stage)[-1]


def said(stage: Stage) -> list[Settlement]:
    """What was accepted since this start, or reduced again."""
    return [record for record, outcome in stage.seen if isinstance(record, Settlement) and outcome.accepted]


# --- on brokers -----------------------------------------------------------------------------------------------------

AT_ONCE = pinned(
    SettlementRule(name="now", version=1, provisional_after_s=1, missing_after_s=0, final_after_s=1, dispute_window_s=0)
)


@asynccontextmanager
async def on_kafka(log: HandStamped, clock: ManualClock, directory: Path) -> AsyncIterator[Stage]:
    async with acting(log, Codec.from_lock(), clock, directory, kept=timedelta(0)) as stage:
        yield stage


async def test_on_kafka_an_order_that_left_is_corrected_and_again_after_a_restart(
    kafka: Brokers, tmp_path: Path
) -> None:
    prefix, clock = f"test-{uuid.uuid4().hex[:12]}.", ManualClock(utc("16:00"))
    async with administration(kafka) as admin:
        await apply(admin, prefix, replication=1)
        brokers = await KafkaLog.open(kafka, prefix=prefix)
        log = HandStamped(brokers, clock)
        try:
            async with on_kafka(log, clock, tmp_path / "one") as stage:
                await an_order_that_is_over(stage, settlement=AT_ONCE)
                clock.move_to(END + timedelta(seconds=1))
                await newest(stage, 1)
                await say(stage, 0, seq=1)
                await newest(stage, 2)
                await stage.until(lambda: states(stage) in ([], [SettlementState.SETTLED]))
                clock.move_to(END + HOUR)
                await something_else(stage)
                assert not stage.replica.ledger_of("DE-LU").orders
                await say(stage, 0, seq=2, import_w=40 * MW)
                third = await newest(stage, 3)
            async with on_kafka(log, clock, tmp_path / "two") as stage:
                await newest(stage, 3)
                await something_else(stage)
                await say(stage, 0, seq=3)
                fourth = await newest(stage, 4)
        finally:
            await brokers.aclose()
            await admin.delete_topics([prefix + topic.name for topic in TOPICS.values()])

    assert (third.status, third.supersedes, fourth.status, fourth.supersedes) == (C, 2, C, 3)
    assert third.total < 0 < fourth.total
