"""The running owner of two zones: work moves between them, with nobody but the log between the two partitions."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridsignal_schemas.messages import DispatchOrder, OrderState, Record
from gridsignal_schemas.values import MW
from gridsignal_services.checkpoints.lines import ledger_of, pieces_of, written
from tests.builders import (
    a_baseline_declaration,
    a_dispatch_request,
    a_flex_offer,
    a_flexibility,
    a_shift_reserve,
    a_site_registration,
    an_option,
    an_order_response,
    utc,
)
from tests.integration.ledger.owner_stage import GATE, Stage, running

REQUEST = a_dispatch_request()


async def _ask(stage: Stage, there_w: int) -> None:
    await stage.a_site("acme", "DE-LU")
    await stage.submit(a_site_registration(site="acme-2", participant="acme", zone="FR"), "service:dispatch")
    declared = a_baseline_declaration(site="acme-2", participant="acme", zone="FR", power_w=[there_w] * 96)
    await stage.submit(declared, "participant:acme")
    await stage.submit(REQUEST, "operator:tso-north")
    moved = a_flexibility(
        kind="SHIFT_SITE",
        complete_by=None,
        rebound=None,
        shift_to_zone="FR",
        shift_to_site="acme-2",
        counterpart_power_w=12 * MW,
    )
    fields = {"participant": "acme", "site": "acme-1", "flexibility": moved, "options": [an_option()]}
    await stage.submit(a_flex_offer(request_id=REQUEST.request_id, **fields), "participant:acme")
    stage.clock.move_to(GATE)


def _told(stage: Stage) -> list[DispatchOrder]:
    return [record for record, outcome in stage.seen if isinstance(record, DispatchOrder) and outcome.accepted]


def _yes(order: DispatchOrder) -> Record:
    addressed = {name: getattr(order, name) for name in ("zone", "order_id", "request_id", "revision", "site")}
    return an_order_response(**addressed, participant="acme", response_id=order.zone)


async def test_owners_move_work_from_one_zone_to_the_other_and_write_nothing_twice(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await _ask(stage, there_w=40 * MW)
        await stage.until(lambda: len(_told(stage)) == 2)
        for order in _told(stage):
            await stage.submit(_yes(order), "participant:acme")
        for ledger in stage.replica.ledgers.values():
            again = ledger_of(ledger.partition, ledger.position, written(pieces_of(ledger)))
            assert again.book == ledger.book, "a checkpoint has all of it"
        stage.clock.move_to(utc("18:46"))
        orders = [stage.replica.ledger_of(each.zone).orders[each.order_id] for each in _told(stage)]
        await stage.until(lambda: all(each.state is OrderState.COMPLETED for each in orders))
        crossing = [record.record_name for record, _ in stage.seen if record.record_name.startswith("Shift")]
    assert crossing == ["ShiftReserve", "ShiftReserved", "ShiftConfirm"]


async def test_a_zone_without_room_says_so_once(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await _ask(stage, there_w=50 * MW)
        offer = stage.replica.ledger_of("DE-LU").offers["acme", a_flex_offer().offer_id]
        await stage.until(lambda: offer.codes == ("OVERCOMMITTED",))
        stage.clock.move_to(utc("17:11"))
        await stage.until(lambda: stage.state(REQUEST.request_id).value == "UNMET")
        crossing = [record.record_name for record, _ in stage.seen if record.record_name.startswith("Shift")]
    assert (crossing, _told(stage)) == (["ShiftReserve", "ShiftReserved"], [])


@pytest.mark.parametrize("principal", ["participant:acme", "operator:tso-north", "service:ingest"])
async def test_nobody_else_says_that_a_shift_is_to_be_held(tmp_path: Path, principal: str) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        outcome = await stage.replica.submit(a_shift_reserve(), principal)
        assert outcome.code == "NOT_OWED"
