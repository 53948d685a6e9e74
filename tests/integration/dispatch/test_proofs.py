"""What the door proves of a log, to whom, and when: heads count what others wrote, so they are shown late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

import gridsignal
from gridsignal_schemas.evidence import Evidence, Heads, Proof
from gridsignal_services import embedded
from gridsignal_services.access import OPERATIONS_READ
from gridsignal_services.access.signer import FILE, Signer
from gridsignal_services.audit.evidence import TrustedSigner, faults_between, faults_of
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import micros
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.integration.cli.conftest import ran
from tests.integration.dispatch.conftest import Day, MovedClock
from tests.patience import SOON_S, UNHURRIED


@pytest.fixture
async def day(tmp_path: Path) -> AsyncIterator[Day]:
    """With heads a second after what they cover."""
    clock = MovedClock()
    log = await SqliteLog.open(tmp_path, append_time_us=lambda: micros(clock.now()))
    ports = {"gateway_port": 0, "dispatch_port": 0, "ingest_port": 0}
    settings = ServerSettings(directory=tmp_path, heads_every_s=1, limits=UNHURRIED, **ports)
    starting = embedded.running(log, tmp_path, registry=example_registry(), clock=clock, settings=settings)
    try:
        async with starting as stack:
            await stack.declare_flat_baselines(embedded.midnight(clock.now()), 9, 0.6)
            headers = {"Authorization": f"Bearer {stack.token('operator', 'tso-north')}"}
            async with httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S) as operator:
                yield Day(stack, clock, operator, tmp_path)
    finally:
        await log.aclose()


async def asked(day: Day, token: str, path: str, **params: Any) -> tuple[int, Any]:
    """Over the one connection there is."""
    answer = await day.operator.get(path, params=params, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()


async def proved(day: Day, token: str, **named: Any) -> Proof:
    """What proves a record, once a head covers it: each look waits for a round trip."""
    async with asyncio.timeout(SOON_S):
        while (found := await asked(day, token, "/v1/proofs", **named))[0] != 200:
            assert found[0] == 429 or (found[0] == 404 and "covers" in found[1]["detail"]), found
    return Proof.model_validate_json(json.dumps(found[1]))


def holds(day: Day, evidence: Evidence) -> bool:
    signer = TrustedSigner(Signer.open(day.directory / FILE).public_key)
    return faults_of(evidence, [signer]) == []


async def test_each_sees_what_proves_its_own_records_a_day_later_and_who_runs_it_at_once(day: Day) -> None:
    order = await day.order()
    site, rival = day.stack.token("participant", "acme-ai"), day.stack.token("participant", "volt-colo")
    runs_it = day.stack.token("operator", "tso-north", OPERATIONS_READ)
    other = day.stack.token("operator", "supplier-one", OPERATIONS_READ)
    ids = {"order": order.order_id, "offer": order.offer_id, "request": order.request_id}

    for kind, name in ids.items():
        also = {"participant": "acme-ai"} if kind == "offer" else {}
        proof = await proved(day, runs_it, kind=kind, id=name, **also)
        assert proof.record[f"{kind}_id"] == name
        assert holds(day, proof.evidence)
        assert proof.evidence.record is not None
        place = {"zone": "DE-LU", "offset": proof.evidence.record.offset}
        assert (await proved(day, runs_it, **place)).record == proof.record
        code, early = await asked(day, site, "/v1/proofs", kind=kind, id=name)
        assert (code, early["detail"]) == (
            404,
            "No signed head that you may see covers this record yet: heads are shown 86400 s after they are signed.",
        )
        if kind != "request":
            for stranger in (rival, other):
                for named in ({"kind": kind, "id": name, **also}, place):
                    assert (await asked(day, stranger, "/v1/proofs", **named))[0] == 404
    assert await asked(day, site, "/v1/heads", zone="DE-LU") == (200, {"heads": []})

    await day.clock.move_to(day.clock.now() + timedelta(days=1, minutes=1))
    await day.until(f"/v1/orders/{order.order_id}/settlement", lambda seen: "settlement" in seen)
    settled = await proved(day, runs_it, kind="settlement", id=order.order_id)
    assert (settled.record_name, settled.record["order_id"]) == ("Settlement", order.order_id)
    assert holds(day, settled.evidence)
    mine = await proved(day, site, kind="offer", id=order.offer_id)
    assert holds(day, mine.evidence)
    assert mine.record["participant"] == "acme-ai"
    assert mine.evidence.record is not None
    place = {"zone": "DE-LU", "offset": mine.evidence.record.offset}
    code, refused = await asked(day, rival, "/v1/proofs", **place)
    assert (code, refused["detail"]) == (404, "No such record, or you may not see it.")


async def heads_of(day: Day, token: str, least: int) -> Any:
    """The heads of the zone, once there are so many: each look waits for a round trip."""
    async with asyncio.timeout(SOON_S):
        while (found := await asked(day, token, "/v1/heads", zone="DE-LU"))[0] != 200 or len(found[1]["heads"]) < least:
            assert found[0] in (200, 429), found
    return found[1]


async def another_request(day: Day) -> None:
    times = {"starts_at": 120, "ends_at": 180, "gate_closure_at": 80, "decision_deadline": 90}
    body = {"zone": "DE-LU", "direction": "LOAD_DECREASE", "power_w": gridsignal.MW}
    body |= {name: day.at(minutes) for name, minutes in times.items()}
    answer = await day.operator.post("/v1/requests", json=body, headers={"Idempotency-Key": "another"})
    assert answer.status_code == 201, answer.text


async def leads_to_no_single_record(day: Day, token: str, order_id: str, signed: list[int]) -> None:
    """Between two heads there are sizes, and the way to one of these would show the hash of the record there."""
    sizes = set(range(signed[-1] + 1, signed[0])) - set(signed)
    assert sizes
    for size in sizes:
        for path, named in (("/v1/heads", {"zone": "DE-LU"}), ("/v1/proofs", {"kind": "order", "id": order_id})):
            code, refused = await asked(day, token, path, **named, since=size)
            assert (code, refused["errors"][0]["code"]) == (422, "NOT_COVERED"), (path, size)


async def test_heads_extend_each_other_and_one_that_somebody_kept_also_for_programs(day: Day) -> None:
    order = await day.order()
    runs_it = day.stack.token("operator", "tso-north", OPERATIONS_READ)
    await heads_of(day, runs_it, 1)
    cancelled = await day.operator.post(f"/v1/orders/{order.order_id}/cancel", json={"reason": "the line is back"})
    assert cancelled.status_code == 200, cancelled.text
    await another_request(day)  # which the next one covers
    shown = await heads_of(day, runs_it, 2)
    heads = Heads.model_validate_json(json.dumps(shown)).heads
    for newer, older in pairwise(heads):
        assert holds(day, newer)
        assert faults_between(older.head, newer) == []
    oldest = heads[-1].head
    since = (await asked(day, runs_it, "/v1/heads", zone="DE-LU", limit=1, since=oldest.size))[1]
    (newest,) = Heads.model_validate_json(json.dumps(since)).heads
    assert faults_between(oldest, newest) == []
    code, refused = await asked(day, runs_it, "/v1/heads", zone="DE-LU", since=10**9)
    assert (code, refused["errors"][0]["code"]) == (422, "NOT_COVERED")
    for named in ({}, {"kind": "order"}, {"kind": "order", "id": "x", "offset": 3}, {"zone": "DE-LU"}):
        code, refused = await asked(day, runs_it, "/v1/proofs", **named)
        assert (code, refused["errors"][0]["code"]) == (422, "ONE_RECORD"), named

    revised = await proved(day, runs_it, kind="order", id=order.order_id)
    assert (revised.record["revision"], revised.record["state"]) == (2, "CANCELLED")
    await leads_to_no_single_record(day, runs_it, order.order_id, [each.head.size for each in heads])
    kept, proof = day.directory / "kept.json", day.directory / "order.json"
    for words in (
        f"audit head --api {day.stack.api_url} --zone DE-LU --out {kept}",
        f"audit prove order {order.order_id} --api {day.stack.api_url} --since {kept} --out {proof}",
        f"audit verify {kept} {proof} --key {newest.head.signed_by}",
    ):
        said = await asyncio.to_thread(ran, words.split(), GRIDSIGNAL_TOKEN=runs_it)
        assert said.code == 0, said.err
    assert "DispatchOrder" in said.out
    words = f"audit head --api {day.stack.api_url} --zone XX"
    said = await asyncio.to_thread(ran, words.split(), GRIDSIGNAL_TOKEN=runs_it)
    assert (said.code, said.err) == (
        2,
        "gridsignal: --zone: expected one of your zones (DE-LU, FR), got 'XX'\n",
    )
    async with gridsignal.connect(day.stack.gateway_url, token=runs_it, api=day.stack.api_url, wait_s=SOON_S) as grid:
        (told,) = await grid.heads("DE-LU", limit=1, since=oldest.size)
        assert faults_between(oldest, told) == []
        assert told.head.size >= newest.head.size
