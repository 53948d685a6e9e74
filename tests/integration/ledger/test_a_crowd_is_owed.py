"""Gates close on time, however much the owner has to announce."""

from __future__ import annotations

from pathlib import Path

from gridsignal_schemas.messages import OfferDecision, Record, TimerFired
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import append
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import micros
from gridsignal_services.dispatch.timers import AT_ONCE
from tests.builders import a_baseline_declaration, a_dispatch_request, a_site_registration, utc
from tests.integration.ledger.owner_stage import GATE, an_offer, running


async def test_a_gate_does_not_wait_for_thousands_of_rejected_offers(tmp_path: Path) -> None:
    codec = Codec.from_lock()
    said: list[tuple[Record, str]] = [
        (a_site_registration(site="acme-1", participant="acme"), "service:dispatch"),
        (a_baseline_declaration(site="acme-1", participant="acme"), "participant:acme"),
        (a_dispatch_request(), "operator:tso-north"),
    ]
    said += [(an_offer("acme", "nowhere", "DE-LU", f"lost-{n}"), "participant:acme") for n in range(4 * AT_ONCE)]
    log = await SqliteLog.open(tmp_path, append_time_us=lambda: micros(utc("16:00")))
    for record, principal in said:
        await append(log, record, codec.encode(record), principal=principal, source="/tests")
    await log.aclose()
    async with running(tmp_path, GATE) as stage:
        await stage.until(lambda: any(isinstance(record, TimerFired) for record, _ in stage.seen))
        closed = next(at for at, (record, _) in enumerate(stage.seen) if isinstance(record, TimerFired))
        announced = sum(isinstance(record, OfferDecision) for record, _ in stage.seen[:closed])
    assert announced == 0
