"""The fake grid's REST door, as far as a data center's program asks it: what was published of prices and carbon, what a
site has declared and metered, where a request stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Response

from gridsignal.testing.world import World
from gridsignal_schemas.messages import MeterReading
from gridsignal_schemas.rules import vintages
from gridsignal_schemas.rules.baselines import counting, runs_of
from gridsignal_schemas.rules.lifecycle import shown
from gridsignal_schemas.rules.offers import can_see
from gridsignal_schemas.values import Timestamp, rfc3339

_PRICES, _CARBON = "/v1/prices", "/v1/carbon"
_BASELINES, _READINGS, _REQUESTS = "/v1/baselines", "/v1/readings", "/v1/requests/"
_OF_PERIODS = {path: timedelta(days=31, hours=1) for path in (_PRICES, _CARBON)}
_OF_PERIODS |= {path: timedelta(days=7, hours=1) for path in (_BASELINES, _READINGS)}
"""What is asked of a period, and how long that may be."""
_INSTANT = TypeAdapter(Timestamp)


def is_asked(target: str) -> bool:
    """Whether a request is for this door, and not for the gateway."""
    path = urlsplit(target).path
    return path in _OF_PERIODS or path.startswith(_REQUESTS)


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
    url = urlsplit(target)
    if url.path.startswith(_REQUESTS):
        return _request(world, url.path.removeprefix(_REQUESTS))
    asked = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    instants: dict[str, datetime] = {}
    wrong = []
    for name in ("from", "to", *({"as_of"} & asked.keys())):
        try:
            instants[name] = _INSTANT.validate_python(asked[name])
        except (KeyError, ValidationError):
            wrong.append(f"?{name}")
    if wrong:
        return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, "PARAMETER", "expected a time with its offset", *wrong)
    since, until = instants["from"], instants["to"]
    longest = _OF_PERIODS[url.path]
    if not since < until <= since + longest:
        expected = f"expected after from and at most {longest.days} days later"
        return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, "PERIOD", expected, "?to")
    if url.path in (_PRICES, _CARBON):
        return HTTPStatus.OK, _curves(world, url.path, asked.get("zone"), (since, until, instants.get("as_of")))
    site = asked.get("site", "")
    if site not in world.sites:
        return _problem(HTTPStatus.NOT_FOUND, "NOT_FOUND", "No such site, or you may not see it.", "")
    if url.path == _READINGS:
        return HTTPStatus.OK, json.dumps({"readings": _readings(world, site, since, until), "ignored": []})
    return HTTPStatus.OK, json.dumps({"site": site, "stretches": _stretches(world, site, since, until)})


def _curves(world: World, path: str, zone: str | None, asked: tuple[datetime, datetime, datetime | None]) -> str:
    """What was known of a zone, by the rules of the real door; nothing of one for which nothing was published."""
    since, until, moment = asked
    as_of = moment or world.now()
    logged = [known for known in world.series if known.series.zone == zone]
    curves = (vintages.prices if path == _PRICES else vintages.carbon)(logged, since, until, as_of)
    return json.dumps({"as_of": rfc3339(as_of), "curves": [curve.model_dump(mode="json") for curve in curves]})


def _request(world: World, request_id: str) -> tuple[HTTPStatus, str]:
    """As one sees it who only offers."""
    asked = world.ledger.asked.get(request_id)
    if asked is None or not can_see(asked.request, world.participant):
        return _problem(HTTPStatus.NOT_FOUND, "NOT_FOUND", "No such request, or you may not see it.", "")
    held = [each for each in world.ledger.orders.values() if each.order.request_id == request_id]
    orders, request = [each.order.order_id for each in held if not each.over], asked.request
    is_past = request.ends_at <= world.now()
    state = shown(asked.state, request.power_w, [(each.state, each.power_w) for each in held], is_past=is_past)
    view = {"request": request.model_dump(mode="json"), "state": state, "offers": 0, "orders": orders}
    return HTTPStatus.OK, json.dumps(view | {"waits_for_clearing": False})


def _stretches(world: World, site: str, since: datetime, until: datetime) -> list[dict[str, Any]]:
    return [
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


def _readings(world: World, site: str, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Of each meter and interval the reading with the highest number, the first of equals; in order of time."""
    held: dict[tuple[Any, ...], MeterReading] = {}
    for record in world.written:
        if not isinstance(record, MeterReading) or record.site != site:
            continue
        if since < record.ends_at and record.starts_at < until:
            place = (record.starts_at, record.ends_at, record.meter, record.point.value)
            if place not in held or record.seq > held[place].seq:
                held[place] = record
    return [held[place].model_dump(mode="json") for place in sorted(held)]


def _problem(status: HTTPStatus, code: str, detail: str, *pointers: str) -> tuple[HTTPStatus, str]:
    errors = [{"code": code, "pointer": pointer, "message": detail} for pointer in pointers]
    body: dict[str, Any] = {"status": status.value, "title": status.phrase, "detail": detail, "errors": errors}
    return status, json.dumps(body)
