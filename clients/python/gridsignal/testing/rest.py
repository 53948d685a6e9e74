"""The fake grid's REST door, as far as a data center's program asks it: what a site has declared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Response

from gridsignal.testing.world import World
from gridsignal_schemas.rules.baselines import counting, runs_of
from gridsignal_schemas.values import rfc3339

_BASELINES = "/v1/baselines"


def is_asked(target: str) -> bool:
    """Whether a request is for this door, and not for the gateway."""
    return urlsplit(target).path == _BASELINES


def answered(world: World, socket: ServerConnection, target: str) -> Response | None:
    """The answer to a GET whose token was good; None where it is the gateway that was asked."""
    if not is_asked(target):
        return None
    status, text = _answer(world, target)
    response = respond(socket, status, {}, text)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response


def respond(socket: ServerConnection, status: int, headers: Mapping[str, str], text: str) -> Response:
    """An answer in place of an upgrade."""
    response = socket.respond(HTTPStatus(status), text)
    for name, value in headers.items():
        response.headers[name] = value
    return response


def _answer(world: World, target: str) -> tuple[HTTPStatus, str]:
    asked = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    try:
        since, until = (datetime.fromisoformat(asked[name]) for name in ("from", "to"))
    except (KeyError, ValueError):
        return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, "expected from and to, times with their offset", "?from")
    site = asked.get("site", "")
    if site not in world.sites:
        return _problem(HTTPStatus.NOT_FOUND, "No such site, or you may not see it.")
    stretches = [
        {
            "starts_at": rfc3339(starts_at),
            "ends_at": rfc3339(ends_at),
            "power_w": power_w,
            "method": held.declared.baseline.method,
            "declared_at": rfc3339(held.declared.receipt.received_at),
        }
        for held in counting(world.ledger.promises.declared(site), since, until)
        for starts_at, ends_at, power_w in runs_of(held)
    ]
    return HTTPStatus.OK, json.dumps({"site": site, "stretches": stretches})


def _problem(status: HTTPStatus, detail: str, *pointers: str) -> tuple[HTTPStatus, str]:
    errors = [{"code": "PARAMETER", "pointer": pointer, "message": detail} for pointer in pointers]
    told: dict[str, Any] = {"status": status.value, "title": status.phrase, "detail": detail, "errors": errors}
    return status, json.dumps(told)
