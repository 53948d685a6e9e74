"""Gates close on time, however much the owner has to announce."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest

from gridsignal_schemas.messages import DispatchOrder, OfferDecision, Record, TimerFired
from gridsignal_services.bus import Appended, Log
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import append
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import micros
from gridsignal_services.owning.due import AT_ONCE
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


class Flooded(AroundLog):
    """Another log, on which a lost offer comes just before each rejection of one: what is owed never ends."""

    def __init__(self, log: Log, codec: Codec) -> None:
        super().__init__(log)
        self._codec, self._lost = codec, itertools.count()

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        record = self._codec.decode(value)
        if isinstance(record, OfferDecision) and record.request_id == "nowhere":
            await self.flood()
        return await super().append(stream, key, value, headers, partition=partition)

    async def flood(self) -> None:
        offer = an_offer("acme", "nowhere", "DE-LU", f"lost-{next(self._lost)}")
        await append(self.log, offer, self._codec.encode(offer), principal="participant:acme", source="/tests")


@pytest.mark.parametrize("at_once", [1, 15, AT_ONCE - 1, AT_ONCE, 2 * AT_ONCE])
async def test_an_order_does_not_wait_for_a_flood_of_rejected_offers(tmp_path: Path, at_once: int) -> None:
    logs: list[Flooded] = []

    def around(log: Log, codec: Codec) -> Log:
        logs.append(Flooded(log, codec))
        return logs[0]

    async with running(tmp_path, utc("16:00"), around=around) as stage:
        await stage.a_site("acme", "DE-LU")
        await stage.a_site("hyper", "DE-LU")
        await stage.submit(a_dispatch_request(request_id="heard", gate_closure_at=GATE), "operator:tso-north")
        await stage.submit(an_offer("hyper", "heard", "DE-LU", "cheap"), "participant:hyper")
        for _ in range(at_once):
            await logs[0].flood()
        stage.clock.move_to(GATE)
        await stage.until(lambda: any(isinstance(record, DispatchOrder) for record, _ in stage.seen))
        assert [record.participant for record, _ in stage.seen if isinstance(record, DispatchOrder)] == ["hyper"]
