"""The same odd bodies through every door: each refuses them, and at the same place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from websockets import Subprotocol
from websockets.asyncio.client import connect

from gridsignal_services.access import SIGNAL_WRITE
from gridsignal_services.embedded import Stack
from tests.builders import a_flex_offer
from tests.patience import SOON_S

WHOLE = ""
"""The pointer to all of a body: it is no JSON of ours."""
NUMBER = "the number"
"""A field that takes an integer: each door has another."""
ODDITIES: dict[str, tuple[str, str]] = {
    "a key twice": ('"number": 7, "number": 7', NUMBER),
    "a key twice, once escaped": ('"number": 7, "escaped": 7', NUMBER),
    "a key twice, deep inside": ('"number": 7, "odd": [{"a": {"b": 1, "b": 1}}]', "/odd/0/a/b"),
    "NaN": ('"number": NaN', NUMBER),
    "Infinity": ('"number": Infinity', NUMBER),
    "-Infinity": ('"number": -Infinity', NUMBER),
    "an integer with a point": ('"number": 7.0', NUMBER),
    "an integer with an exponent": ('"number": 7e0', NUMBER),
    "beyond any float": ('"number": 1e400', NUMBER),
    "more digits than anybody needs": (f'"number": {"7" * 5000}', WHOLE),
    "an integer as text": ('"number": "7"', NUMBER),
    "a truth for a number": ('"number": true', NUMBER),
    "null for a number": ('"number": null', NUMBER),
    "an unknown field": ('"number": 7, "odd": 1', "/odd"),
    "32 levels below an unknown field": (f'"number": 7, "odd": {"[" * 30}{"]" * 30}', "/odd"),
    "more than 32 levels": (f'"number": 7, "odd": {"[" * 33}{"]" * 33}', WHOLE),
    "hundreds of levels": (f'"number": 7, "odd": {"[" * 900}{"]" * 900}', WHOLE),
    "half a letter": ('"number": 7, "odd": "\\ud800"', WHOLE),
    "a comma too many": ('"number": 7,', WHOLE),
    "a comment": ('"number": 7 /* seven */', WHOLE),
    "single quotes": ("'number': 7", WHOLE),
    "another text behind it": ('"number": 7}{', WHOLE),
}


def odd(body: dict[str, Any], number: str, written: str) -> str:
    """The body with a field written otherwise, and what comes with it."""
    rest = json.dumps({name: value for name, value in body.items() if name != number})
    escaped = f"\\u{ord(number[0]):04x}{number[1:]}"
    return f"{rest[:-1]}, {written.replace('escaped', escaped).replace('number', number)}}}"


async def posted(url: str, token: str, text: str) -> list[str]:
    headers = {"Authorization": f"Bearer {token}", "content-type": "application/json", "Idempotency-Key": "odd"}
    async with httpx2.AsyncClient(timeout=SOON_S) as client:
        answer = await client.post(url, content=text, headers=headers)
    assert answer.status_code in (400, 422), answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


async def over_rest(stack: Stack, written: str, field: str = "power_w") -> list[str]:
    body = {
        "zone": "DE-LU",
        "direction": "LOAD_DECREASE",
        "power_w": 12_000_000,
        "starts_at": "2030-05-12T18:00:00Z",
        "ends_at": "2030-05-12T18:45:00Z",
        "gate_closure_at": "2030-05-12T17:00:00Z",
        "decision_deadline": "2030-05-12T17:10:00Z",
    }
    token = stack.token("operator", "tso-north")
    return await posted(f"{stack.api_url}/v1/requests", token, odd(body, field, written))


async def pushed(stack: Stack, written: str, field: str = "resolution_s") -> list[str]:
    body = {
        "zone": "DE-LU",
        "product": "DAY_AHEAD",
        "dataset": "TEST",
        "currency": "EUR",
        "starts_at": "2024-05-12T00:00:00Z",
        "resolution_s": 3600,
        "prices_per_mwh": ["1"],
    }
    token = stack.issuer.mint("operator", "tso-north", "t", [SIGNAL_WRITE], 60, datetime.now(UTC))
    return await posted(f"{stack.feeds_url}/v1/signals/prices", token, odd(body, field, written))


async def over_websocket(stack: Stack, written: str, field: str = "revision") -> list[str]:
    offer = a_flex_offer(site="fra-1", participant="acme-ai")
    body = odd(offer.model_dump(mode="json"), field, written)
    headers = {"Authorization": f"Bearer {stack.token('participant', 'acme-ai')}"}
    protocols = [Subprotocol("gridsignal.v1.json")]
    async with connect(f"{stack.gateway_url}/v1/stream", additional_headers=headers, subprotocols=protocols) as socket:
        await socket.send('{"t": "hello", "id": 1, "client": "odd/1", "site": "fra-1"}')
        assert json.loads(await socket.recv())["t"] == "welcome"
        await socket.send(f'{{"t": "offer", "id": 2, "offer_id": "{offer.offer_id}", "body": {body}}}')
        answer = json.loads(await socket.recv())
    if answer["t"] == "error":
        assert answer["code"] == "bad_frame", answer
        return [WHOLE]
    assert (answer["t"], answer["code"]) == ("refused", "schema")
    return [detail["pointer"] for detail in answer["details"]]


@pytest.mark.parametrize(
    ("door", "number"), [(over_rest, "power_w"), (pushed, "resolution_s"), (over_websocket, "revision")]
)
async def test_what_is_odd_is_refused_at_its_place(stack: Stack, door: Any, number: str) -> None:
    found = {name: await door(stack, written) for name, (written, _) in ODDITIES.items()}
    at = {NUMBER: f"/{number}"}
    assert found == {name: [at.get(expected, expected)] for name, (_, expected) in ODDITIES.items()}


@pytest.mark.parametrize(
    ("door", "time"), [(over_rest, "starts_at"), (pushed, "starts_at"), (over_websocket, "expires_at")]
)
async def test_a_time_that_its_offset_takes_out_of_the_age_is_refused_at_its_place(
    stack: Stack, door: Any, time: str
) -> None:
    for text in ("2199-12-31T23:59:59-23:59", "1901-01-01T00:30:00+01:00", "0001-01-01T00:00:00+14:00"):
        assert await door(stack, f'"number": "{text}"', time) == [f"/{time}"]
