"""What a site says about orders, alerts, its baseline and its meters, as frames carry it.

A decision: the caller's words in, bodies out, checked against the contract before anything is stored or sent. Fields
that the session knows better (zone, participant) are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import ValidationError

from gridsignal.errors import UsageError
from gridsignal.ids import answer_id
from gridsignal_schemas.messages import (
    AlertAck,
    BaselineDeclaration,
    DispatchOrder,
    GridAlert,
    MeterReading,
    OrderResponse,
    Record,
    Settlement,
    SettlementDispute,
)

_UNKNOWN = "session"  # stands for what the gateway fills in, while the rest is checked
_R = TypeVar("_R", bound=Record)


def checked(kind: type[_R], fields: dict[str, Any]) -> _R:
    """The record of these fields. Raises UsageError that names each wrong one."""
    try:
        return kind(**fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise UsageError(f"the {kind.__name__} breaks the contract: {faults}") from error


def body_of(record: Record, *, without: Sequence[str] = ()) -> dict[str, Any]:
    """A record as frames carry it: null fields and those the session knows left out."""
    body: dict[str, Any] = record.model_dump(mode="json", exclude_none=True, exclude=set(without))
    return body


def response_body(
    order: DispatchOrder,
    response: str,
    *,
    actor: str | None,
    at: datetime,
    accepted_w: int | None = None,
    available_w: int | None = None,
    reason_code: str = "",
    reason: str = "",
) -> dict[str, Any]:
    """An OrderResponse to this revision of the order.

    Its id follows from what is said, so that a program that was restarted gives the same answer and no second one.
    """
    said = {
        "response": response,
        "accepted_w": accepted_w,
        "available_w": available_w,
        "reason_code": reason_code,
        "reason": reason,
    }
    fields = said | {
        "zone": order.zone,
        "request_id": order.request_id,
        "participant": order.participant,
        "site": order.site,
        "response_id": answer_id(order.order_id, order.revision, said),
        "order_id": order.order_id,
        "revision": order.revision,
        "actor": actor or f"participant:{order.participant}",
        "at": at,
    }
    return body_of(checked(OrderResponse, fields))


def ack_body(
    alert: GridAlert, state: str, *, actor: str | None, at: datetime, reason_code: str = "", reason: str = ""
) -> dict[str, Any]:
    """An AlertAck of this revision of the alert, by the session's site."""
    record = checked(
        AlertAck,
        {
            "zone": alert.zone,
            "participant": _UNKNOWN,
            "site": _UNKNOWN,
            "provider": alert.provider,
            "alert_id": alert.alert_id,
            "revision": alert.revision,
            "state": state,
            "actor": actor or "gridsignal",
            "reason_code": reason_code,
            "reason": reason,
            "at": at,
        },
    )
    return body_of(record, without=("participant", "site"))


def dispute_body(
    settlement: Settlement, reason_code: str, text: str, claimed: Decimal | str | int | None, actor: str
) -> dict[str, Any]:
    """A SettlementDispute of this version."""
    named = ("zone", "request_id", "participant", "site", "order_id", "settlement_id", "version")
    fields = {name: getattr(settlement, name) for name in named}
    fields |= {"reason_code": reason_code, "text": text, "actor": actor}
    fields |= {"claimed": None if claimed is None else Decimal(claimed)}
    return body_of(checked(SettlementDispute, fields))


def baseline_body(
    site: str, starts_at: datetime, power_w: Sequence[int], resolution_s: int, method: str
) -> dict[str, Any]:
    """A BaselineDeclaration of the session's site."""
    record = checked(
        BaselineDeclaration,
        {
            "zone": _UNKNOWN,
            "participant": _UNKNOWN,
            "site": site,
            "starts_at": starts_at,
            "resolution_s": resolution_s,
            "power_w": list(power_w),
            "method": method,
        },
    )
    return body_of(record, without=("zone", "participant"))


def reading_body(site: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A MeterReading of the session's site; `seq` counts intervals since 1970 unless the caller counts himself."""
    filled = {"zone": _UNKNOWN, "participant": _UNKNOWN, "site": site, "point": "CONNECTION", "export_w": 0}
    filled |= {"quality": "OK", "seq": 0} | fields
    record = checked(MeterReading, filled)
    if "seq" not in fields:
        record = record.model_copy(update={"seq": number_of(record.starts_at, record.ends_at)})
    return body_of(record, without=("zone", "participant"))


def number_of(starts_at: datetime, ends_at: datetime) -> int:
    """The number of an interval of this length since 1970."""
    return int(starts_at.timestamp()) // max(1, int((ends_at - starts_at).total_seconds()))
