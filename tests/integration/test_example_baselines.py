"""The shipped example stays one to try offers with, however long its folder has been closed."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from gridsignal_services import embedded
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import SteppedClock, micros
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.builders import a_baseline_declaration, a_dispatch_request, a_flex_offer, an_option, utc

DAYS, SHARE = 8, 0.6
OWN = a_baseline_declaration(site="muc-1", participant="volt-colo", power_w=[9_000_000] * 96, method="ours")


async def opened(directory: Path, now: datetime) -> list[str]:
    """What the stack says to an offer of this day, once it is up; muc-1 has declared a baseline of its own."""
    clock = SteppedClock(now)
    log = await SqliteLog.open(directory, append_time_us=lambda: micros(clock.now()))
    settings = ServerSettings(directory=directory, gateway_port=0, dispatch_port=0, ingest_port=0)
    try:
        async with embedded.running(
            log, directory, registry=example_registry(), clock=clock, settings=settings
        ) as stack:
            await stack.declare_flat_baselines(embedded.midnight(now), DAYS, SHARE)
            ledger = stack.replica.ledger_of("DE-LU")
            if ledger.baselines["muc-1"].method != OWN.method:
                await stack.replica.submit(OWN, "participant:volt-colo")
            assert ledger.baselines["muc-1"] == OWN
            late = now - utc("12:00")
            names = ("starts_at", "ends_at", "gate_closure_at", "decision_deadline")
            request = a_dispatch_request(
                request_id=f"r-{late.days}", **{name: getattr(a_dispatch_request(), name) + late for name in names}
            )
            assert (await stack.replica.submit(request, "operator:tso-north")).accepted
            option = an_option(starts_at=request.starts_at, ends_at=request.ends_at)
            shed = a_flex_offer().flexibility.model_copy(update={"kind": "SHED", "complete_by": None, "rebound": None})
            offer = a_flex_offer(
                offer_id=f"o-{late.days}",
                request_id=request.request_id,
                options=[option],
                flexibility=shed,
                expires_at=request.ends_at,
            )
            await stack.replica.submit(offer, "participant:acme-ai")
            return list(ledger.offers["acme-ai", offer.offer_id].codes)
    finally:
        await log.aclose()


async def test_offers_are_taken_on_the_first_day_and_weeks_later(tmp_path: Path) -> None:
    for days in (0, 3, 6, 40):
        assert await opened(tmp_path, utc("12:00") + timedelta(days=days)) == [], f"after {days} days"
