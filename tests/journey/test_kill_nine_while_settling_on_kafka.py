"""kill -9 of a settling owner on Kafka: whoever owns the zone next goes on, and each order is settled once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import Record, Settlement
from gridsignal_schemas.values import MW
from gridsignal_services.audit.checking import Readings, check
from gridsignal_services.bus import Log
from gridsignal_services.bus.cluster import opened
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.kafka_topics import Brokers
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SoleCandidate
from gridsignal_services.clock import WallClock
from gridsignal_services.owning.owner import Owner
from gridsignal_services.replica import Replica
from gridsignal_services.settings import ServerSettings
from gridsignal_services.settlement.pinned import pinned
from gridsignal_services.settlement.rules import SettlementRule
from tests.builders import (
    a_baseline_declaration,
    a_dispatch_request,
    a_flex_offer,
    a_flexibility,
    a_meter_reading,
    a_site_registration,
    an_option,
    an_order_response,
)
from tests.journey.fleet import Fleet
from tests.journey.test_kill_nine_while_settling import DYING, killed
from tests.journey.travelling import PARTITION, everything
from tests.patience import LONG_S

pytestmark = [pytest.mark.services, pytest.mark.slow]
AT_ONCE = pinned(SettlementRule(name="at-once", version=1, provisional_after_s=0, final_after_s=0, missing_after_s=0))
"""Of an order that is over the final version is due."""
EACH = 12 * MW
SITES = {"fra-1": "acme-ai", "muc-1": "volt-colo"}


async def test_who_owns_the_zone_after_a_settling_owner_was_killed_settles_the_rest(
    kafka: Brokers, schema_registry: str, tmp_path: Path
) -> None:
    async with Fleet.sailing(tmp_path, kafka, schema_registry, replication=1, names=()) as fleet:
        settings = ServerSettings(kafka=fleet.servers, schema_registry=schema_registry, topic_prefix=fleet.prefix)
        async with opened(settings) as (log, codec):
            await _deliver(log, codec)
            for _ in SITES:  # one after the other
                await _dies(fleet, schema_registry)
            dispatch, readings = await everything(log, "dispatch"), await everything(log, "readings")
            found = check(PARTITION, codec, lambda: dispatch, readings=Readings(lambda: readings))
            settlements = [
                record for logged in dispatch if isinstance(record := codec.decode(logged.value), Settlement)
            ]

    assert found.faults == []
    assert found.settlements == len(settlements) == len(SITES)
    assert {each.site: each.total for each in settlements} == dict.fromkeys(SITES, Decimal("0.9"))  # 10 kWh at 90


async def _dies(fleet: Fleet, registry: str) -> None:
    """A dispatch process that owns all zones, until it has written one settlement."""
    place = ["--directory", str(fleet.directory), "--port", "0", "--ops-port", "0", "--prefix", fleet.prefix]
    cluster = ["--kafka", fleet.servers, "--schema-registry", registry]
    await killed([sys.executable, str(DYING), "after Settlement", "1", "serve", "dispatch", *place, *cluster])


async def _deliver(log: Log, codec: Codec) -> None:
    """Each site is ordered 12 MW for three seconds, and delivers; an owner that reads no meters settles nothing."""
    replica = Replica(log, codec, source="tests")
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(replica.run())]
        await replica.caught_up()
        owner = Owner(replica, WallClock(), SoleCandidate(frozenset(range(TOPICS["dispatch"].partitions))))
        running.append(tasks.create_task(owner.run()))
        await _until_over(replica)
        for order in [tracked.order for tracked in replica.ledger_of("DE-LU").orders.values()]:
            told = {name: getattr(order, name) for name in ("site", "participant", "starts_at", "ends_at")}
            reading = a_meter_reading(import_w=40 * MW - EACH, **told)
            await publish(log, codec, reading, principal=f"participant:{order.participant}", source="/tests")
        for task in running:
            task.cancel()


async def _until_over(replica: Replica) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    window = {"starts_at": now + timedelta(seconds=29), "ends_at": now + timedelta(seconds=32)}
    for site, whose in SITES.items():
        registered = a_site_registration(site=site, participant=whose)
        day = now.replace(hour=0, minute=0, second=0) - timedelta(days=1)
        declared = a_baseline_declaration(
            site=site, participant=whose, starts_at=day, resolution_s=86_400, power_w=[40 * MW] * 4
        )
        await _says(replica, registered, "service:tests")
        await _says(replica, declared, f"participant:{whose}")
    request = a_dispatch_request(
        **window,
        power_w=EACH * len(SITES),
        gate_closure_at=now + timedelta(seconds=10),
        decision_deadline=now + timedelta(seconds=18),
        respond_within_s=10,
        full_activation_s=1,
        settlement=AT_ONCE,
    )
    await _says(replica, request, "operator:tso-north")
    await _offer(replica, request.request_id, window)
    ledger = replica.ledger_of("DE-LU")
    await _until(replica, lambda: len(ledger.orders) == len(SITES))
    for order in [tracked.order for tracked in ledger.orders.values()]:
        addressed = {
            name: getattr(order, name) for name in ("order_id", "request_id", "revision", "site", "participant")
        }
        response = an_order_response(**addressed, response_id=f"yes-{order.site}")
        await _says(replica, response, f"participant:{order.participant}")
    await _until(replica, lambda: len(ledger.book.settlements) == len(SITES))


async def _offer(replica: Replica, request_id: str, window: dict[str, datetime]) -> None:
    """Each site offers twelve megawatts."""
    for site, whose in SITES.items():
        option = an_option(
            **window,
            min_power_w=0,
            min_duration_s=0,
            notice_s=0,
            full_activation_s=1,
            ramp_down_w_per_min=60 * EACH,
            ramp_up_w_per_min=60 * EACH,
        )
        shed = a_flexibility(kind="SHED", complete_by=None, rebound=None)
        offer = a_flex_offer(
            offer_id=site,
            site=site,
            participant=whose,
            request_id=request_id,
            options=[option],
            expires_at=window["ends_at"],
            flexibility=shed,
        )
        await _says(replica, offer, f"participant:{whose}")


async def _says(replica: Replica, record: Record, principal: str) -> None:
    outcome = await replica.submit(record, principal)
    assert (outcome.accepted, outcome.faults) == (True, ())


async def _until(replica: Replica, is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not is_so():
            await replica.moved()
