"""What a client in any language writes: a frame that can't be meant is answered alike by both gateways."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import a_dispatch_request, a_flex_offer, a_meter_reading, an_order_response
from tests.integration.client_stage import Stage
from tests.integration.gateway_stand import open_client

OFFER = a_flex_offer().model_dump(mode="json", exclude_none=True)
READING = a_meter_reading().model_dump(mode="json", exclude_none=True)
ANSWER = an_order_response().model_dump(mode="json", exclude_none=True)
FRAMES: dict[str, tuple[str, str | None, dict[str, Any], str, set[str]]] = {
    "somebody else's offer": ("offer", "fra-1", OFFER | {"participant": "volt-colo"}, "forbidden", {"/participant"}),
    "another site": ("offer", "fra-1", OFFER | {"site": "ber-1"}, "forbidden", {"/site"}),
    "another zone": ("offer", "fra-1", OFFER | {"zone": "FR"}, "schema", {"/zone"}),
    "another name": ("offer", "fra-1", OFFER | {"offer_id": "another"}, "schema", {"/offer_id"}),
    "a field too many": ("offer", "fra-1", OFFER | {"colour": "red"}, "schema", {"/colour"}),
    "no option": ("offer", "fra-1", OFFER | {"options": []}, "schema", {"/options"}),
    "a time without a zone": (
        "offer",
        "fra-1",
        OFFER | {"expires_at": "2024-05-12T18:30:00"},
        "schema",
        {"/expires_at"},
    ),
    "a reading below zero": ("reading", "fra-1", READING | {"import_w": -1}, "schema", {"/import_w"}),
    "half a watt": ("reading", "fra-1", READING | {"import_w": 0.5}, "schema", {"/import_w"}),
    "an answer to nothing": ("respond", "fra-1", ANSWER, "order_unknown", {"/order_id"}),
    "a withdrawal of nothing": ("withdraw", "fra-1", {}, "offer_unknown", {"/offer_id"}),
    "a connection without a site": ("offer", None, OFFER, "forbidden", {""}),
}
NAMES = {
    "offer": {"offer_id": OFFER["offer_id"]},
    "withdraw": {"offer_id": "no-such-offer"},
    "respond": {"response_id": ANSWER["response_id"]},
    "reading": {},
}


SAID_OF_ITS_REQUEST: dict[str, dict[str, Any]] = {
    "nothing": {},
    "its own": {"request_id": OFFER["request_id"]},
    "another": {"request_id": "another"},
    "none that there is": {"request_id": "no-such-request"},
}


@pytest.mark.parametrize("request_named", SAID_OF_ITS_REQUEST)
async def test_a_withdrawal_takes_back_the_offer_that_it_names_whatever_request_it_names(
    stage: Stage, request_named: str
) -> None:
    """An offer has one identity, and a receipt is the same for ever: whoever repeats may say less, or other things."""
    url, named = f"ws://127.0.0.1:{stage.relay.port}/v1/stream", {"offer_id": OFFER["offer_id"]}
    await stage.ask(a_dispatch_request())
    await stage.ask(a_dispatch_request(request_id="another"))
    async with open_client(url, stage.token()) as client:
        await client.hello(site="fra-1")
        assert (await client.ask("offer", body=OFFER, **named))["t"] == "received"
        first = await client.ask("withdraw", body=SAID_OF_ITS_REQUEST[request_named], **named)
        again = [await client.ask("withdraw", body=body, **named) for body in SAID_OF_ITS_REQUEST.values()]
        standing = (await client.ask("query", offer_ids=[OFFER["offer_id"]]))["offers"][OFFER["offer_id"]]
        stranger = await client.ask("withdraw", offer_id="no-such-offer", body={"request_id": OFFER["request_id"]})
    assert (first["t"], first["duplicate"]) == ("received", False)
    assert [(each["t"], each["duplicate"], each["receipt"]) for each in again] == [
        ("received", True, first["receipt"])
    ] * len(again)
    assert standing["state"] == "WITHDRAWN"
    assert (stranger["t"], stranger["code"]) == ("refused", "offer_unknown")


@pytest.mark.parametrize("what", FRAMES)
async def test_a_frame_that_can_not_be_meant_is_refused_with_its_code_and_place(stage: Stage, what: str) -> None:
    kind, site, body, code, places = FRAMES[what]
    url = f"ws://127.0.0.1:{stage.relay.port}/v1/stream"
    await stage.ask(a_dispatch_request())
    async with open_client(url, stage.token()) as client:
        await client.hello(site=site)
        answer = await client.ask(kind, body=body, **NAMES[kind])
    assert (answer["t"], answer.get("code")) == ("refused", code), answer
    assert {detail.get("pointer") or "" for detail in answer["details"]} == places
