"""An emergency through the whole stack: sites stand by, one command calls them, and no rival hears what stands."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import gridsignal
from gridsignal import MW, DispatchOrder
from gridsignal_services.embedded import Stack
from tests.integration.cli.conftest import Ran, ran
from tests.integration.dispatch.conftest import Caller
from tests.patience import SOON_S

STAND = (
    "offer stand EMERGENCY_SHED --site fra-1 --power 5MW --price 300 --currency EUR --until +30d --most 1h"
    " --rest 1h --per-day 2 --notice 10s --json"
)
CALL = "request create --zone DE-LU --product EMERGENCY_SHED --down 4MW --for 30m --gate +40s --respond 60s --json"


async def test_one_command_calls_what_stands_by_within_seconds_and_a_cancel_takes_it_back(
    stack: Stack, caller: Caller
) -> None:
    token = stack.token("participant", "acme-ai")

    async def typed(words: str, token: str) -> Any:
        where = {"GRIDSIGNAL_API": stack.api_url, "GRIDSIGNAL_URL": stack.gateway_url, "GRIDSIGNAL_TOKEN": token}
        shown = await asyncio.to_thread(ran, words.split(), **where)
        assert shown.code == 0, shown.err
        return json.loads(shown.out)

    stood = await typed(STAND, token)
    assert (await typed(STAND, token))["offer_id"] == stood["offer_id"]  # with another end, and no second offer
    operator, rival = stack.token("operator", "tso-north"), caller("participant", "volt-colo")
    told: dict[str, Any] = {"token": token, "site": "fra-1", "wait_s": SOON_S}
    async with gridsignal.connect(stack.gateway_url, **told) as grid, asyncio.timeout(SOON_S):
        signals = grid.subscribe("dispatch", zones=["DE-LU"])
        asked = await typed(CALL, operator)
        async for signal in signals:
            if isinstance(signal, DispatchOrder):
                break
        request = asked["request"]
        assert (signal.request_id, signal.power_w, request["full_activation_s"]) == (request["request_id"], 4 * MW, 120)
        assert signal.starts_at - grid.now() < timedelta(minutes=5)
        await grid.accept(signal)
        standing = {status.offer.offer_id: status for status in await grid.offers()}
        assert sum(status.offer.standing is not None for status in standing.values()) == 1
        called = standing[signal.offer_id or ""].offer
        assert (called.called_from, standing[stood["offer_id"]].state) == (stood["offer_id"], "LIVE")

        desk = caller("operator", "tso-north")
        book = (await desk.get(f"/v1/requests/{request['request_id']}/book")).json()
        assert [(line["participant"], line["awarded_w"]) for line in book["offers"]] == [("acme-ai", 4 * MW)]
        for path in ("/v1/offers", "/v1/orders"):
            assert "acme-ai" not in (await rival.get(path)).text
        shown = (await desk.get("/v1/offers")).json()["offers"]
        assert [each["offer"]["offer_id"] for each in shown] == [signal.offer_id]

        await desk.post(f"/v1/requests/{request['request_id']}/cancel", json={})
        async for signal in signals:
            if isinstance(signal, DispatchOrder) and signal.state == "CANCELLED":
                break
        await grid.withdraw(stood["offer_id"])
        assert stood["offer_id"] not in {status.offer.offer_id for status in await grid.offers()}


async def test_a_program_that_starts_again_makes_no_second_offer(stack: Stack) -> None:
    terms: dict[str, Any] = {"currency": "EUR", "full_activation_s": 120, "max_duration_s": 3600}
    token, receipts = stack.token("participant", "acme-ai"), []
    for _ in range(2):
        async with gridsignal.connect(stack.gateway_url, token=token, site="fra-1") as grid, asyncio.timeout(SOON_S):
            terms.setdefault("ends_at", grid.now() + timedelta(days=30))
            receipts.append(await grid.stand_by("EMERGENCY_SHED", 5 * MW, "300", **terms))
            shown = [status.offer.offer_id for status in await grid.offers() if status.offer.standing is not None]
    assert receipts[0] == receipts[1]
    assert shown == [receipts[0].offer_id]


async def test_what_nobody_could_call_or_stands_otherwise_says_what_to_type(stack: Stack) -> None:
    where = {"GRIDSIGNAL_API": stack.api_url, "GRIDSIGNAL_URL": stack.gateway_url}
    where["GRIDSIGNAL_TOKEN"] = stack.token("participant", "acme-ai")

    async def typed(words: str) -> Ran:
        return await asyncio.to_thread(ran, words.split(), **where)

    unknown = await typed(STAND.replace("EMERGENCY_SHED", "EMERGENCY_SHEDD"))
    assert (unknown.code, unknown.out) == (2, "")
    assert "PRODUCT: expected one of " in unknown.err
    assert "(did you mean EMERGENCY_SHED?), got 'EMERGENCY_SHEDD'" in unknown.err
    euro = await typed(f"{STAND} --currency EURO")
    assert (euro.code, "expected a currency's three letters such as EUR, got 'EURO'" in euro.err) == (2, True)
    assert (await typed(STAND)).code == 0
    other = await typed(f"{STAND} --price 301")
    assert (other.code, other.out) == (1, "")
    assert "to change them add --revision 2" in other.err
    assert (await typed(f"{STAND} --price 301 --revision 2")).code == 0
    _, head, row = (await typed("offer list")).out.splitlines()
    assert row[head.index("product") :].split()[0] == "EMERGENCY_SHED"
    assert row[head.index("from") :].split()[0] == "-", "it stands from no moment on"
