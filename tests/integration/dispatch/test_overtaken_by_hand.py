"""A person who clears a request is not put off by those who take back what is awarded while it is being logged."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from gridsignal_schemas.messages import Clearing, FlexOffer
from gridsignal_schemas.values import MW
from gridsignal_services import embedded
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import WallClock
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.builders import a_flex_offer, an_option
from tests.integration.ledger.test_a_clearing_under_way import Overtaking
from tests.patience import SOON_S


def an_offer(body: dict[str, Any], request_id: str, who: str, site: str, name: str) -> FlexOffer:
    starts_at, ends_at = (datetime.fromisoformat(body[at]) for at in ("starts_at", "ends_at"))
    option = an_option(power_w=MW, min_power_w=0, starts_at=starts_at, ends_at=ends_at)
    fields = {"request_id": request_id, "request_revision": 1, "expires_at": ends_at, "options": [option]}
    return a_flex_offer(offer_id=name, participant=who, site=site, **fields)


async def test_a_clearing_by_hand_leaves_out_who_overtook_four(tmp_path: Path, body: dict[str, Any]) -> None:
    file, codec = await SqliteLog.open(tmp_path), Codec.from_lock()
    log = Overtaking(file, codec, "acme-ai")
    settings = ServerSettings(directory=tmp_path, gateway_port=0, dispatch_port=0, ingest_port=0)
    try:
        async with embedded.running(
            log, tmp_path, registry=example_registry(), clock=WallClock(), settings=settings
        ) as stack:
            await stack.declare_flat_baselines(embedded.midnight(datetime.now(UTC)), 9, 0.6)
            headers = {"Authorization": f"Bearer {stack.token('operator', 'tso-north')}", "Idempotency-Key": "k1"}
            async with httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S) as operator:
                asked = (await operator.post("/v1/requests", json=body)).json()["request"]["request_id"]
                offers = [an_offer(body, asked, "acme-ai", "fra-1", f"acme-{number}") for number in range(8)]
                for offer in [*offers, an_offer(body, asked, "hyper-infer", "ber-1", "hyper")]:
                    said = await stack.replica.submit(offer, f"participant:{offer.participant}")
                    assert not said.faults
                seen: list[bool] = []
                stack.replica.listen(
                    lambda _, record, outcome: seen.append(outcome.accepted) if isinstance(record, Clearing) else None
                )
                cleared = await operator.post(f"/v1/requests/{asked}/clear", json={"reason": "enough"})
    finally:
        await file.aclose()
    assert cleared.status_code == 200
    states = {line["offer_id"]: (line["state"], line["codes"]) for line in cleared.json()["offers"]}
    assert seen == [False, False, False, False, True]
    assert states["hyper"] == ("TENTATIVE", [])
    assert states["acme-4"] == ("STANDBY", ["NOT_CONSIDERED"])
    assert log.overtaken == ["acme-0", "acme-1", "acme-2", "acme-3"]
