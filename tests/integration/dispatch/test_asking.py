"""An operator asks, reads the book, clears, awards, takes back: over real HTTP, on a real log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2

import gridsignal
from gridsignal import MW, DispatchOrder, DispatchRequest
from gridsignal_services.embedded import Stack
from tests.integration.dispatch.conftest import Caller


async def ask(operator: httpx2.AsyncClient, body: dict[str, Any], key: str = "k1") -> httpx2.Response:
    return await operator.post("/v1/requests", json=body, headers={"Idempotency-Key": key})


async def offer(stack: Stack, tmp_path: Path, site: str, participant: str, power_w: int, price: str) -> str:
    """One offer through the SDK; its id."""
    token = stack.token("participant", participant)
    box = tmp_path / f"{site}.outbox"
    async with gridsignal.connect(stack.gateway_url, token=token, site=site, outbox=box) as grid:
        async for signal in grid.subscribe("dispatch"):
            if isinstance(signal, DispatchRequest):
                receipt = await grid.offer(signal, power_w=power_w, price_per_mwh=price)
                return str(receipt.offer_id)
    raise AssertionError("the stream ended")


async def test_a_request_is_asked_once_whatever_the_network_does(
    operator: httpx2.AsyncClient, body: dict[str, Any]
) -> None:
    first, again = await ask(operator, body), await ask(operator, body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.headers["Location"] == f"/v1/requests/{first.json()['request']['request_id']}"


async def test_the_same_key_with_another_body_is_a_conflict(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    await ask(operator, body)
    other = await ask(operator, body | {"power_w": 13_000_000})
    assert other.status_code == 409
    assert other.json()["errors"][0]["code"] == "CONFLICT"
    assert other.headers["content-type"] == "application/problem+json"


async def test_a_key_whose_request_was_amended_since_is_not_told_what_it_never_asked(
    operator: httpx2.AsyncClient, body: dict[str, Any]
) -> None:
    first = await ask(operator, body)
    path, amended = first.headers["Location"], body | {"power_w": 10_000_000}
    assert (await operator.put(path, json=amended, headers={"If-Match": '"1"'})).status_code == 200
    assert (await ask(operator, body)).status_code == 200
    other = await ask(operator, body | {"power_w": 13_000_000})
    (error,) = other.json()["errors"]
    assert (other.status_code, error["pointer"], other.headers["Location"]) == (409, "Idempotency-Key", path)
    assert error["message"].endswith("; its request was amended since (revision 2)")
    assert "10000000" not in other.text


async def test_an_amendment_is_the_next_revision(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    asked = (await ask(operator, body)).json()["request"]
    path = f"/v1/requests/{asked['request_id']}"
    amended = await operator.put(path, json=body | {"power_w": 10_000_000}, headers={"If-Match": '"1"'})
    assert (amended.status_code, amended.json()["request"]["revision"]) == (200, 2)
    stale = await operator.put(path, json=body, headers={"If-Match": '"1"'})
    assert stale.status_code == 412


async def test_the_book_tells_why_an_offer_lost(
    stack: Stack, operator: httpx2.AsyncClient, body: dict[str, Any], tmp_path: Path
) -> None:
    request_id = (await ask(operator, body)).json()["request"]["request_id"]
    cheap = await offer(stack, tmp_path, "fra-1", "acme-ai", 12 * MW, "80")
    dear = await offer(stack, tmp_path, "ber-1", "hyper-infer", 6 * MW, "95")
    book = (await operator.post(f"/v1/requests/{request_id}/clear", json={"reason": "enough"})).json()
    lines = {line["offer_id"]: line for line in book["offers"]}
    assert (lines[cheap]["state"], lines[cheap]["awarded_w"]) == ("TENTATIVE", 12 * MW)
    assert (lines[dear]["state"], lines[dear]["codes"]) == ("STANDBY", ["OUTBID"])
    assert "cheaper" in lines[dear]["reason"]


async def test_an_award_by_hand_goes_past_the_merit_order_with_its_reason(
    stack: Stack, operator: httpx2.AsyncClient, body: dict[str, Any], tmp_path: Path
) -> None:
    request_id = (await ask(operator, body)).json()["request"]["request_id"]
    await offer(stack, tmp_path, "fra-1", "acme-ai", 12 * MW, "80")
    dear = await offer(stack, tmp_path, "ber-1", "hyper-infer", 6 * MW, "95")
    pick = {"participant": "hyper-infer", "offer_id": dear, "option": "o1", "power_w": 6 * MW}
    answer = await operator.post(f"/v1/requests/{request_id}/award", json={"picks": [pick], "reason": "grid topology"})
    book = answer.json()
    assert answer.status_code == 200
    assert [award["offer_id"] for award in book["clearings"][0]["awards"]] == [dear]
    assert book["clearings"][0]["reason"] == "grid topology"
    too_much = pick | {"power_w": 7 * MW}
    again = await operator.post(f"/v1/requests/{request_id}/award", json={"picks": [too_much], "reason": "more"})
    assert again.status_code in (400, 422)


async def test_an_accepted_order_is_extended_released_and_shown(
    stack: Stack, operator: httpx2.AsyncClient, body: dict[str, Any], tmp_path: Path
) -> None:
    request_id = (await ask(operator, body)).json()["request"]["request_id"]
    await offer(stack, tmp_path, "fra-1", "acme-ai", 12 * MW, "80")
    await operator.post(f"/v1/requests/{request_id}/clear", json={})
    token = stack.token("participant", "acme-ai")
    box = tmp_path / "answer.outbox"
    async with gridsignal.connect(stack.gateway_url, token=token, site="fra-1", outbox=box) as grid:
        async for signal in grid.subscribe("dispatch"):
            if isinstance(signal, DispatchOrder):
                await grid.accept(signal)
                break
    (view,) = (await operator.get("/v1/orders", params={"request_id": request_id})).json()["orders"]
    assert (view["state"], view["accepted_w"]) == ("ACCEPTED", 12 * MW)
    path = f"/v1/orders/{view['order']['order_id']}"
    later = await operator.post(f"{path}/extend", json={"ends_at": "2099-01-01T00:00:00Z"})
    assert (later.status_code, later.json()["errors"][0]["code"]) == (422, "NOT_AS_OFFERED")
    released = await operator.post(
        f"{path}/release", json={"reason": "over", "ends_at": body["starts_at"][:-3] + "30Z"}
    )
    assert released.status_code in (200, 409)


async def test_a_cancelled_request_releases_everybody(
    stack: Stack, operator: httpx2.AsyncClient, body: dict[str, Any], tmp_path: Path, caller: Caller
) -> None:
    request_id = (await ask(operator, body)).json()["request"]["request_id"]
    await offer(stack, tmp_path, "fra-1", "acme-ai", 12 * MW, "80")
    cancelled = await operator.post(f"/v1/requests/{request_id}/cancel", json={"reason": "the line is back"})
    assert cancelled.json()["state"] == "CANCELLED"
    again = await operator.post(f"/v1/requests/{request_id}/cancel", json={})
    assert again.status_code == 200
    (mine,) = (await caller("participant", "acme-ai").get("/v1/offers")).json()["offers"]
    assert mine["state"] == "RELEASED"


async def test_a_read_waits_for_the_position_of_a_write(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    asked = await ask(operator, body)
    position = asked.headers["Gridsignal-Position"]
    path = asked.headers["Location"]
    assert (await operator.get(path, headers={"Gridsignal-Position": position})).status_code == 200
    forged = await operator.get(path, headers={"Gridsignal-Position": "A" * 38})
    assert (forged.status_code, forged.json()["errors"][0]["code"]) == (400, "POSITION")
