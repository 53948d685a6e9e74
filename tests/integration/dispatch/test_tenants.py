"""Nobody sees over REST what is not theirs, and what is not theirs looks like what is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2

from gridsignal import MW
from gridsignal_services.embedded import Stack
from tests.integration.dispatch.conftest import Caller
from tests.integration.dispatch.test_asking import ask, offer

CANARY = "canary-4f1d"


async def test_a_rival_sees_neither_offers_nor_orders_nor_readings(
    stack: Stack, operator: httpx2.AsyncClient, body: dict[str, Any], tmp_path: Path, caller: Caller
) -> None:
    asked = (await ask(operator, body | {"text": "for all"})).json()["request"]["request_id"]
    offer_id = await offer(stack, tmp_path, "fra-1", "acme-ai", 12 * MW, "80.1234")
    book = (await operator.post(f"/v1/requests/{asked}/clear", json={"reason": CANARY})).json()
    order_id = book["offers"][0]["order_id"]
    rival = caller("participant", "hyper-infer")
    other_operator = caller("operator", "supplier-one")
    window = {"site": "fra-1", "from": body["starts_at"], "to": body["ends_at"]}
    for stranger in (rival, other_operator):
        said = [
            await stranger.get("/v1/offers"),
            await stranger.get("/v1/orders"),
            await stranger.get(f"/v1/orders/{order_id}"),
            await stranger.get(f"/v1/requests/{asked}/book"),
            await stranger.get("/v1/readings", params=window),
            await stranger.get(f"/v1/requests/{asked}"),
        ]
        text = " ".join(answer.text for answer in said)
        assert not [secret for secret in (offer_id, order_id, "80.1234", CANARY, "fra-1") if secret in text]
        assert said[2].content == (await stranger.get("/v1/orders/no-such-order")).content
        assert said[3].content == (await stranger.get("/v1/requests/no-such-request/book")).content
    assert "fra-1" not in (await rival.get("/v1/sites")).text
    sites = (await other_operator.get("/v1/sites")).text  # of their zones, with nothing of what they offer or whose
    assert not [secret for secret in (offer_id, order_id, "80.1234", "acme-ai") if secret in sites]


async def test_a_listed_request_does_not_exist_for_others(
    operator: httpx2.AsyncClient, body: dict[str, Any], caller: Caller
) -> None:
    listed = body | {"visibility": "LISTED", "audience": ["acme-ai"], "text": CANARY}
    path = (await ask(operator, listed)).headers["Location"]
    assert (await caller("participant", "acme-ai").get(path)).status_code == 200
    for stranger in (caller("participant", "volt-colo"), caller("operator", "supplier-one")):
        answer = await stranger.get(path)
        assert (answer.status_code, CANARY in answer.text) == (404, False)
        assert CANARY not in (await stranger.get("/v1/requests")).text


async def test_nobody_writes_to_somebody_elses_request(
    operator: httpx2.AsyncClient, body: dict[str, Any], caller: Caller
) -> None:
    path = (await ask(operator, body)).headers["Location"]
    stranger = caller("operator", "supplier-one")
    for answer in (
        await stranger.put(path, json=body),
        await stranger.post(f"{path}/cancel", json={}),
        await stranger.post(f"{path}/clear", json={}),
    ):
        assert answer.status_code == 404
    assert (await operator.get(path)).json()["state"] == "OPEN"
