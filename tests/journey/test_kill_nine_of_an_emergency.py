"""kill -9 of the owner between any two records of an emergency: each site that is called has one order, once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import Clearing, DispatchOrder, FlexOffer, Record, StandingTerms
from gridsignal_schemas.rules.products import ProductTerms
from gridsignal_schemas.values import MW
from gridsignal_services.audit.checking import check
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SoleCandidate, SqliteLog
from gridsignal_services.clock import WallClock
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.owning.owner import Owner
from gridsignal_services.replica import Replica
from tests.builders import (
    a_baseline_declaration,
    a_dispatch_request,
    a_flex_offer,
    a_request_cancellation,
    a_site_registration,
    an_option,
)
from tests.integration.cli.conftest import ran
from tests.journey.test_kill_nine import Up
from tests.journey.test_kill_nine_while_settling import DYING, killed
from tests.journey.travelling import everything
from tests.patience import LONG_S

HERE = partition_of("DE-LU", TOPICS["dispatch"].partitions)
OPERATOR = "operator:tso-north"
PATIENT = ProductTerms.of({"name": "EMERGENCY_SHED", "version": 2, "from_standing": True, "direction": "LOAD_DECREASE"})
"""As the one that ships, for a site that has time to answer until the last owner is up."""
MOMENTS = ("after Clearing", "after DispatchOrder")
Seen = list[tuple[Record, Outcome]]


async def test_a_killed_owner_orders_each_site_that_stands_by_once_and_a_cancel_ends_all(tmp_path: Path) -> None:
    log, codec = await SqliteLog.open(tmp_path), Codec.from_lock()
    request_id = await _asked(log, codec)
    await log.aclose()
    for moment in MOMENTS:
        await killed(Up(tmp_path, str(DYING), moment, "1").command)
    log = await SqliteLog.open(tmp_path)
    seen = await _brought_to_an_end(log, codec, request_id)
    logged = await everything(log, "dispatch", HERE)
    assert check(HERE, codec, partial(iter, logged)).faults == []
    await log.aclose()

    assert len([record for record, outcome in seen if isinstance(record, Clearing) and outcome.accepted]) == 1
    told = [(order.participant, order.power_w, order.revision, str(order.state)) for order in _orders(seen)]
    assert sorted(told) == [
        ("acme-ai", 4 * MW, 1, "ISSUED"),
        ("acme-ai", 4 * MW, 2, "CANCELLED"),
        ("hyper-infer", 6 * MW, 1, "ISSUED"),
        ("hyper-infer", 6 * MW, 2, "CANCELLED"),
    ]
    offer_id = next(order.offer_id for order in _orders(seen) if order.participant == "acme-ai")
    assert offer_id is not None, "an order that a clearing makes names its offer"
    explained = ran(["audit", "explain", offer_id, "--directory", str(tmp_path)])
    assert (explained.code, "acme-ai/" + offer_id + ": 4 MW awarded" in explained.out) == (0, True), explained.err


async def _asked(log: Log, codec: Codec) -> str:
    """Two sites stand by, and ten megawatts are wanted at once."""
    now = datetime.now(UTC).replace(microsecond=0)
    day = now.replace(hour=0, minute=0, second=0) - timedelta(days=1)
    for who, site, price in (("hyper-infer", "ber-1", "80"), ("acme-ai", "fra-1", "90")):
        whose = {"zone": "DE-LU", "site": site, "participant": who}
        await _say(log, codec, a_site_registration(**whose), "service:dispatch")
        flat = a_baseline_declaration(**whose, starts_at=day, resolution_s=86_400, power_w=[40 * MW] * 4)
        await _say(log, codec, flat, f"participant:{who}")
        await _say(log, codec, _stands(whose, price, now), f"participant:{who}")
    request = a_dispatch_request(
        product="EMERGENCY_SHED",
        product_terms=PATIENT.pinned,
        power_w=10 * MW,
        min_quantity_w=0,
        gate_closure_at=now + timedelta(minutes=4),
        decision_deadline=now + timedelta(minutes=5),
        respond_within_s=1200,
        starts_at=now + timedelta(hours=1),
        ends_at=now + timedelta(hours=1, minutes=45),
    )
    await _say(log, codec, request, OPERATOR)
    return request.request_id


def _stands(whose: dict[str, str], price: str, now: datetime) -> FlexOffer:
    option = an_option(
        power_w=6 * MW, min_power_w=0, price_per_mwh=price, starts_at=now, ends_at=now + timedelta(days=30)
    )
    return a_flex_offer(
        **whose,
        request_id=None,
        request_revision=None,
        offer_id=f"{whose['site']}-stands",
        flexibility={"kind": "SHED", "workload": "OTHER"},
        options=[option],
        expires_at=now + timedelta(days=30),
        standing=StandingTerms(product="EMERGENCY_SHED", currency="EUR"),
    )


async def _say(log: Log, codec: Codec, record: Record, principal: str) -> None:
    await publish(log, codec, record, principal=principal, source="/tests")


async def _brought_to_an_end(log: Log, codec: Codec, request_id: str) -> Seen:
    """The next owner does what is left to do; then the operator takes all of it back."""
    replica = Replica(log, codec, source="tests")
    seen: Seen = []

    def hear(_: LogRecord, record: Record, outcome: Outcome) -> None:
        seen.append((record, outcome))

    replica.listen(hear)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(replica.run())]
        await replica.caught_up()
        running.append(tasks.create_task(Owner(replica, WallClock(), SoleCandidate(frozenset({HERE}))).run()))
        async with asyncio.timeout(LONG_S):
            while len(_orders(seen)) < 2:
                await replica.moved()
            await _say(log, codec, a_request_cancellation(request_id=request_id), OPERATOR)
            while len(_orders(seen)) < 4:
                await replica.moved()
        for task in running:
            task.cancel()
    return seen


def _orders(seen: Seen) -> list[DispatchOrder]:
    return [record for record, outcome in seen if isinstance(record, DispatchOrder) and outcome.accepted]
