"""The protocol by hand, without the SDK: what a client in another language does, in the words of PROTOCOL.md.

It subscribes, keeps the last cursor, comes back with it after a break, answers each request with an offer and each
order with its acceptance. It does not keep an outbox: a receipt that is lost with the connection leaves it in doubt,
which is why the SDK has one. Its ids follow from what it answers, so that a restart repeats what was said.

    GRIDSIGNAL_URL=ws://127.0.0.1:8081 GRIDSIGNAL_TOKEN=... python raw_websocket.py
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

Json = dict[str, Any]


ids = itertools.count(3)
"""Each request of a client carries a number, and its answer the same."""


async def follow(url: str, token: str, say: Callable[[str], None] = print) -> None:
    """Runs until it is cancelled, or the gateway closes with a code that means: stay away."""
    cursor: str | None = None
    while True:
        try:
            async with connect(
                f"{url}/v1/stream",
                subprotocols=[Subprotocol("gridsignal.v1.json")],
                additional_headers={"Authorization": f"Bearer {token}"},
                compression=None,
            ) as socket:
                await subscribe(socket, cursor)
                async for text in socket:
                    frame = json.loads(text)
                    cursor = frame.get("cursor", cursor)  # moved before the message is used
                    if (answer := answer_to(frame, say)) is not None:
                        await socket.send(json.dumps(answer))
        except ConnectionClosed as closed:
            if 4500 <= (closed.rcvd.code if closed.rcvd else 1006) <= 4999:
                raise
        except InvalidStatus as refused:
            if refused.response.status_code < 500:
                raise  # the token lets nobody in, or this is no gateway
            say(f"no gateway yet: {refused}")
        except (OSError, InvalidHandshake) as error:
            say(f"no gateway: {error}")
        await asyncio.sleep(random.uniform(0, 0.5))  # noqa: S311 - jitter, not a secret


async def subscribe(socket: ClientConnection, cursor: str | None) -> None:
    """Hello, then one subscription from where the last connection ended."""
    await socket.send(json.dumps({"t": "hello", "id": 1, "client": "by-hand/1.0", "site": "fra-1"}))
    wanted: Json = {"t": "subscribe", "id": 2, "stream": "dispatch", "filter": {"zones": ["DE-LU"]}}
    await socket.send(json.dumps(wanted | ({"cursor": cursor} if cursor else {"snapshot": True})))


def answer_to(frame: Json, say: Callable[[str], None]) -> Json | None:
    """What to send for a frame; None for nothing. Unknown frames and fields are ignored."""
    match frame:
        case {"t": "signal", "type": "DispatchRequest", "body": request}:
            say(f"asked for {request['power_w']} W")
            return offer(request)
        case {"t": "signal", "type": "DispatchOrder", "body": {"state": "ISSUED" | "RECEIVED"} as order}:
            say(f"ordered {order['power_w']} W")
            return acceptance(order)
        case {"t": "signal", "type": "DispatchOrder", "body": {"state": state} as order}:
            say(f"order {order['order_id']} is {state}, {order['power_w']} W until {order.get('ends_at')}")
        case {"t": "received", "response_id": response_id}:
            say(f"the log has answer {response_id}: the site may start")
        case {"t": "received", "offer_id": offer_id}:
            say(f"the log has offer {offer_id}")
        case {"t": "refused", "code": code, "details": details}:
            say(f"refused: {code} {details}")
        case {"t": "subscribed", "recovery": recovery}:
            say(f"recovery {recovery}")
    return None


def offer(request: Json) -> Json:
    """Two megawatts for the whole period; zone, participant and site are the session's."""
    option = {
        "option": "o1",
        "power_w": 2_000_000,
        "starts_at": request["starts_at"],
        "ends_at": request["ends_at"],
        "price_per_mwh": "75.50",
        "notice_s": 0,
        "full_activation_s": request["full_activation_s"],
        "ramp_down_w_per_min": 2_000_000,
        "ramp_up_w_per_min": 2_000_000,
        "min_duration_s": 0,
        "max_duration_s": 86_400,
        "divisible": True,
        "min_power_w": 0,
    }
    body = {
        "revision": 1,
        "request_id": request["request_id"],
        "request_revision": request["revision"],
        "options": [option],
        "flexibility": {"kind": "SHED", "workload": "BATCH"},
        "expires_at": request["ends_at"],  # standby until the request is over
    }
    # the id follows from the request, so that a request that is read twice is answered once
    offer_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{request['request_id']}/{request['revision']}"))
    return {"t": "offer", "id": next(ids), "offer_id": offer_id, "body": body}


def acceptance(order: Json) -> Json:
    """All of the order; a site starts only once this is received."""
    body = {
        "request_id": order["request_id"],
        "order_id": order["order_id"],
        "revision": order["revision"],
        "response": "ACCEPTED",
        "actor": "by-hand",
        "reason_code": "",
        "reason": "",
        "at": datetime.now(UTC).isoformat(),
    }
    # likewise: an order that is read twice, or by two programs, is accepted once
    response_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{order['order_id']}/{order['revision']}/ACCEPTED"))
    return {"t": "respond", "id": next(ids), "response_id": response_id, "body": body}


if __name__ == "__main__":
    asyncio.run(follow(os.environ.get("GRIDSIGNAL_URL", "ws://127.0.0.1:8081"), os.environ["GRIDSIGNAL_TOKEN"]))
