"""The push door: `POST /v1/signals/prices`, `/carbon`, `/alerts` for operators and markets without a public feed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from gridsignal_protocol.bucket import Bucket
from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import GridAlert, Record, SpotPrice
from gridsignal_schemas.rules.access import zone_fault
from gridsignal_schemas.rules.series import Series
from gridsignal_schemas.values import rfc3339
from gridsignal_services.access import SIGNAL_WRITE, Principal
from gridsignal_services.clock import Clock, Time
from gridsignal_services.ingest.intake import IntakeBatch
from gridsignal_services.ingest.limits import IngestLimits
from gridsignal_services.ingest.providers import PROVIDERS
from gridsignal_services.ingest.publishing import Origin, Publishing
from gridsignal_services.ingest.pushed import AlertBody, CarbonBody, PricesBody, Pushed
from gridsignal_services.ingest.quarantine import QuarantinedRecord
from gridsignal_services.rest import problems
from gridsignal_services.rest.callers import Callers

Body = TypeVar("Body", PricesBody, CarbonBody, AlertBody)


_OF_A_PUSH = 50
"""What a push costs the gateways beside its values, in values."""


class PushDoor:
    """Who may push what: operators with signal:write, into their own zones.

    Bounded: a bucket for each operator of the registry. When full: 429 with Retry-After. Conflates: nothing.
    """

    def __init__(
        self, publishing: Publishing, callers: Callers, clock: Clock, limits: IngestLimits, time: Time
    ) -> None:
        self._publishing, self._callers, self._clock, self._limits = publishing, callers, clock, limits
        self._time = time
        self._values: dict[str, Bucket] = {}
        """By organisation, what it may push now."""

    async def take(self, request: Request, response: Response, shape: type[Body], signal: str) -> Pushed:
        """Publishes a body if it is news. Raises Problem 401, 403, 409, 422, 429 and LogUnavailable."""
        who = self._callers.principal(request, SIGNAL_WRITE)
        if who.role != "operator":
            raise problems.forbidden(SIGNAL_WRITE)
        self._pay(who.organisation, 0)
        body = await self._callers.body(request, shape, who)
        name, values = _values(body)
        self._pay(who.organisation, _OF_A_PUSH + len(values))
        self._must_be_theirs(who, body.zone)
        self._must_be_short(name, len(values))
        async with self._callers.turn(who) as work:
            now = self._clock.now()
            record = await work.away(body.record, who.organisation, now)
            self._must_have_room(who.organisation, record)
            self._must_not_be_over(record, now)
            origin = Origin(who.organisation, signal, principal=who.name)
            batch = await self._publishing.take([record], origin, work)
        response.status_code = 201 if batch.published else 200
        last = self._publishing.intake.revisions.last(record)
        return Pushed(news=_news(batch), revision=getattr(last, "revision", 1), left_out=_left_out(batch))

    def _pay(self, organisation: str, values: int) -> None:
        # asked and taken in one: others pushed while this body came
        now_s, limits = self._time.steady_s(), self._limits
        if (paid := self._values.get(organisation)) is None:
            paid = self._values[organisation] = Bucket(limits.push_values_per_s, limits.push_values_burst, now_s)
        if not paid.take(now_s, 0.0):
            most = f"expected at most {limits.push_values_per_s:g} values a second of an organisation, got more"
            raise problems.rate_limited(math.ceil(paid.wait_s), most)
        paid.take(now_s, values)

    def _must_be_short(self, name: str, count: int) -> None:
        if count > (most := self._limits.push_values):
            message = f"expected at most {most} values at once, got {count}: push a day at a time"
            raise problems.invalid([Detail(code="TOO_MANY_VALUES", pointer=f"/{name}", message=message)])

    def _must_be_theirs(self, who: Principal, zone: str) -> None:
        if foreign := zone_fault(zone, "/zone", self._callers.registry.entitlements(who)):
            raise problems.invalid([foreign])

    def _must_have_room(self, organisation: str, record: Record) -> None:
        intake = self._publishing.intake
        if organisation in PROVIDERS:
            raise problems.invalid(
                [Detail(code="PROVIDER_TAKEN", pointer="", message=f"{organisation} is the name of a public feed")]
            )
        if not isinstance(record, Series):
            return
        count, most = intake.kinds_of(organisation), self._limits.push_series
        if count >= most and not intake.knows_kind(record):
            message = f"expected at most {most} series of an organisation, got {record.dataset} beside {count}"
            raise problems.invalid([Detail(code="TOO_MANY_DATASETS", pointer="/dataset", message=message)])

    def _must_not_be_over(self, record: Record, now: datetime) -> None:
        """Of a new alert: what has ended before anybody hears of it asks for nothing."""
        if not isinstance(record, GridAlert) or record.ends_at is None or record.ends_at > now:
            return
        if record.ends_at > record.starts_at and self._publishing.intake.revisions.last(record) is None:
            message = f"expected an end after {rfc3339(now)}, which is now, got {rfc3339(record.ends_at)}"
            raise problems.invalid([Detail(code="ALREADY_OVER", pointer="/ends_at", message=message)])


def _news(batch: IntakeBatch) -> str:
    if batch.set_aside:
        raise problems.invalid(_details(batch.set_aside[0]))
    if batch.lower:
        message = (
            "expected a status not below what is published, got a lower one: "
            "what was corrected is changed by CORRECTED alone, what was measured by MEASURED"
        )
        raise problems.conflict([Detail(code="LOWER_STATUS", pointer="/status", message=message)])
    return batch.published[0][0].value if batch.published else "known"


def _values(content: Series | PricesBody | CarbonBody | AlertBody) -> tuple[str, Sequence[Decimal | None]]:
    """The values of a curve, and what they are called in its body; a notice has none."""
    match content:
        case SpotPrice() | PricesBody():
            return "prices_per_mwh", content.prices_per_mwh
        case AlertBody():
            return "", ()
        case _:
            return "grams_per_kwh", content.grams_per_kwh


def _left_out(batch: IntakeBatch) -> list[Detail]:
    """What of a curve was published as gaps."""
    return [detail for aside in batch.outliers for detail in _details(aside, most=None)]


_MOST_DETAILS = 20


def _details(aside: QuarantinedRecord, most: int | None = _MOST_DETAILS) -> list[Detail]:
    """Why a record was set aside: each value that is out of bounds, or a sentence about all of it."""
    name = _values(aside.record)[0] if isinstance(aside.record, Series) else ""
    found: list[Detail] = []
    for reason in aside.reasons:
        faults = [(f"/{name}/{index}", text) for index, text in reason.points[:most]] or [("", reason.text)]
        found += [Detail(code=reason.code.upper(), pointer=pointer, message=text) for pointer, text in faults]
    return found


def routes(door: PushDoor) -> APIRouter:
    """The router of everything below /v1/signals."""
    router = APIRouter(prefix="/v1/signals", tags=["signals"])

    @router.post("/prices", status_code=201, openapi_extra=_takes(PricesBody))
    async def prices(request: Request, response: Response) -> Pushed:
        """A price curve. The same again is known (200); other values are the next revision."""
        return await door.take(request, response, PricesBody, "prices")

    @router.post("/carbon", status_code=201, openapi_extra=_takes(CarbonBody))
    async def carbon(request: Request, response: Response) -> Pushed:
        """A curve of carbon intensity."""
        return await door.take(request, response, CarbonBody, "carbon")

    @router.post("/alerts", status_code=201, openapi_extra=_takes(AlertBody))
    async def alerts(request: Request, response: Response) -> Pushed:
        """A notice, or its end."""
        return await door.take(request, response, AlertBody, "alerts")

    return router


def _takes(shape: type[BaseModel]) -> dict[str, Any]:
    """The body's schema: it is read by hand, exactly, so FastAPI does not know it."""
    schema = shape.model_json_schema()
    shown = _in_place(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": shown}}}}


def _in_place(part: Any, definitions: dict[str, Any]) -> Any:
    # the enums of a body are small: they are shown where they stand
    if isinstance(part, dict):
        part = {**part, **definitions.get(str(part.get("$ref")).rpartition("/")[2], {})}
        return {key: _in_place(value, definitions) for key, value in part.items() if key != "$ref"}
    return [_in_place(value, definitions) for value in part] if isinstance(part, list) else part
