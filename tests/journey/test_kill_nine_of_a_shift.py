"""kill -9 of whoever owns both zones between any two records of a shift: an order in each, or in neither, once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import DispatchOrder, Record
from gridsignal_schemas.values import MW
from gridsignal_services.audit.checking import check
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SoleCandidate, SqliteLog
from gridsignal_services.clock import WallClock, micros
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.owning.owner import Owner
from gridsignal_services.replica import Replica
from tests.builders import (
    a_baseline_declaration,
    a_dispatch_request,
    a_flex_offer,
    a_flexibility,
    a_site_registration,
    an_option,
)
from tests.journey.test_kill_nine import Up
from tests.journey.test_kill_nine_while_settling import DYING, killed
from tests.journey.travelling import everything
from tests.patience import LONG_S

ALL = frozenset(range(TOPICS["dispatch"].partitions))
HERE, THERE = (partition_of(zone, TOPICS["dispatch"].partitions) for zone in ("DE-LU", "FR"))
FLEET = "participant:hyper-infer"
MOMENTS = ("after ShiftReserve", "before ShiftReserved", "after ShiftReserved", "after ShiftConfirm")


class Found(NamedTuple):
    """What lies on the log in the end."""

    orders: list[DispatchOrder]
    """Those that were accepted."""
    crossing: list[str]
    """What the zones said to each other, as far as it was accepted."""
    faults: list[object]
    """Of either partition, gone through by somebody else."""


async def test_on_one_machine_a_killed_owner_leaves_both_orders_or_neither(tmp_path: Path) -> None:
    now, codec = datetime.now(UTC).replace(microsecond=0), Codec.from_lock()
    log = await SqliteLog.open(tmp_path, append_time_us=lambda: micros(now))  # all was said in time, however slowly
    await _offered(log, codec, now)
    await log.aclose()
    for moment in MOMENTS:
        await killed(Up(tmp_path, str(DYING), moment, "1").command)
    log = await SqliteLog.open(tmp_path)
    _is_one_shift(await _brought_to_an_end(log, codec))
    await log.aclose()


def _is_one_shift(found: Found) -> None:
    here, there = sorted(found.orders, key=lambda order: order.zone)
    assert (here.zone, there.zone, here.shift_id) == ("DE-LU", "FR", there.shift_id)
    assert (here.revision, there.revision) == (1, 1)
    assert sorted(found.crossing) == ["ShiftConfirm", "ShiftReserve", "ShiftReserved"]
    assert found.faults == []


async def _offered(log: Log, codec: Codec, now: datetime) -> None:
    """Berlin's work may move to Paris; the gate closes at once."""
    day = now.replace(hour=0, minute=0, second=0) - timedelta(days=1)
    for zone, site in (("DE-LU", "ber-1"), ("FR", "par-1")):
        whose = {"zone": zone, "site": site, "participant": "hyper-infer"}
        await _say(log, codec, a_site_registration(**whose), "service:dispatch")
        flat = a_baseline_declaration(**whose, starts_at=day, resolution_s=86_400, power_w=[40 * MW] * 4)
        await _say(log, codec, flat, FLEET)
    window = {"starts_at": now + timedelta(hours=1), "ends_at": now + timedelta(hours=1, minutes=45)}
    request = a_dispatch_request(
        **window,
        gate_closure_at=now + timedelta(seconds=1),
        decision_deadline=now + timedelta(minutes=30),
        respond_within_s=600,
    )
    await _say(log, codec, request, "operator:tso-north")
    work = a_flexibility(
        kind="SHIFT_SITE",
        workload="INFERENCE",
        complete_by=None,
        rebound=None,
        shift_to_zone="FR",
        shift_to_site="par-1",
        counterpart_power_w=13 * MW,
    )
    offer = a_flex_offer(
        participant="hyper-infer",
        site="ber-1",
        request_id=request.request_id,
        flexibility=work,
        options=[an_option(**window)],
        expires_at=window["ends_at"],
    )
    await _say(log, codec, offer, FLEET)


async def _say(log: Log, codec: Codec, record: Record, principal: str) -> None:
    await publish(log, codec, record, principal=principal, source="/tests")


async def _brought_to_an_end(log: Log, codec: Codec) -> Found:
    """The next owner does what is left to do."""
    replica = Replica(log, codec, source="tests")
    seen: list[tuple[Record, Outcome]] = []

    def hear(_: LogRecord, record: Record, outcome: Outcome) -> None:
        seen.append((record, outcome))

    replica.listen(hear)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(replica.run())]
        await replica.caught_up()
        running.append(tasks.create_task(Owner(replica, WallClock(), SoleCandidate(ALL)).run()))
        async with asyncio.timeout(LONG_S):
            while len(_orders(seen)) < 2:
                await replica.moved()
        for task in running:
            task.cancel()
    faults = list[object]()
    for partition in (HERE, THERE):
        logged = await everything(log, "dispatch", partition)
        faults += check(partition, codec, partial(iter, logged)).faults
    said = [record.record_name for record, outcome in seen if outcome.accepted]
    return Found(_orders(seen), [name for name in said if name.startswith("Shift")], faults)


def _orders(seen: list[tuple[Record, Outcome]]) -> list[DispatchOrder]:
    return [record for record, outcome in seen if isinstance(record, DispatchOrder) and outcome.accepted]
