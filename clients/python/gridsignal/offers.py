"""The terms of an offer that answers a request: what the caller does not say follows from the request.

A decision: records and numbers in, the body of an offer out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TypedDict

from pydantic import ValidationError

from gridsignal.errors import UsageError
from gridsignal_schemas.messages import (
    DailyHours,
    DispatchRequest,
    EnergyCertificate,
    Flexibility,
    FlexibilityKind,
    OfferOption,
    StandingTerms,
    Workload,
)
from gridsignal_schemas.values import MAX_POWER_W, rfc3339

SHED = Flexibility(kind=FlexibilityKind.SHED, workload=Workload.OTHER)
"""Work that goes without power, and comes back at no particular time."""


class Terms(TypedDict, total=False):
    """Fields of the one option that the caller sets himself; their meaning is OfferOption's."""

    option: str
    starts_at: datetime
    ends_at: datetime
    activation_fee: Decimal | str | int | None
    notice_s: int
    full_activation_s: int
    ramp_down_w_per_min: int
    ramp_up_w_per_min: int
    min_duration_s: int
    max_duration_s: int
    rest_s: int | None
    max_activations_per_day: int | None
    divisible: bool
    min_power_w: int
    levels_w: list[int] | None


LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Since when a standing offer may be called that says no start: one time, so that it reads the same when said again."""


class StandingOption(TypedDict, total=False):
    """Fields of the one option of a standing offer that the caller may set; their meaning is OfferOption's."""

    option: str
    starts_at: datetime
    activation_fee: Decimal | str | int | None
    notice_s: int
    ramp_down_w_per_min: int
    ramp_up_w_per_min: int
    min_duration_s: int
    rest_s: int | None
    max_activations_per_day: int | None
    divisible: bool
    min_power_w: int
    levels_w: list[int] | None


def money(value: Decimal | str | int, name: str) -> Decimal:
    """An exact amount; floats are refused, because 0.1 is not one."""
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise UsageError(f'expected {name} as text, int or Decimal, such as "89.90", got {value!r}')
    try:
        return Decimal(value)
    except InvalidOperation as error:
        raise UsageError(f'expected {name} as a number such as "89.90", got {value!r}') from error


def offer_body(
    request: DispatchRequest,
    option: OfferOption,
    *,
    offer_id: str,
    revision: int,
    flexibility: Flexibility,
    expires_at: datetime | None,
    site: str | None,
    certificates: Sequence[EnergyCertificate] = (),
) -> dict[str, Any]:
    """An offer on a request as the frame carries it: participant (and site, if None) are the session's."""
    body: dict[str, Any] = {
        "zone": request.zone,
        "offer_id": offer_id,
        "revision": revision,
        "request_id": request.request_id,
        "request_revision": request.revision,
        "options": [option.model_dump(mode="json", exclude_none=True)],
        "flexibility": flexibility.model_dump(mode="json", exclude_none=True),
        "expires_at": rfc3339(expires_at or request.ends_at),
    }
    if certificates:
        body["certificates"] = [each.model_dump(mode="json", exclude_none=True) for each in certificates]
    return body if site is None else body | {"site": site}


def standing_body(
    product: str,
    power_w: int,
    price_per_mwh: Decimal | str | int,
    terms: Mapping[str, Any],
    *,
    currency: str,
    hours: Sequence[DailyHours],
    offer_id: str,
    revision: int,
    flexibility: Flexibility,
    site: str | None,
) -> dict[str, Any]:
    """An offer that stands for a product, as the frame carries it: zone and participant are the session's."""
    full_activation_s, notice_s = terms["full_activation_s"], terms.get("notice_s", 0)
    ramp = _ramp_w_per_min(power_w, full_activation_s - notice_s, None)
    usual: dict[str, Any] = {
        "notice_s": notice_s,
        "ramp_down_w_per_min": ramp,
        "ramp_up_w_per_min": ramp,
        "min_power_w": 0,
        "min_duration_s": 0,
        "starts_at": LONG_AGO,
    }
    option = _option(power_w, price_per_mwh, usual | dict(terms))
    try:
        standing = StandingTerms(product=product, currency=currency, hours=list(hours))
    except ValidationError as error:
        raise UsageError(f"the offer's terms break the contract: {_reason(error)}") from error
    body: dict[str, Any] = {
        "offer_id": offer_id,
        "revision": revision,
        "options": [option.model_dump(mode="json", exclude_none=True)],
        "flexibility": flexibility.model_dump(mode="json", exclude_none=True),
        "expires_at": rfc3339(option.ends_at),
        "standing": standing.model_dump(mode="json", exclude_none=True),
    }
    return body if site is None else body | {"site": site}


def deadline_of(request: DispatchRequest | None, expires_at: datetime) -> datetime:
    """When an offer need not be sent any more: at gate closure or when it expires, whichever is earlier."""
    return min(expires_at, request.gate_closure_at) if request is not None else expires_at


def option_for(request: DispatchRequest, power_w: int, price_per_mwh: Decimal | str | int, terms: Terms) -> OfferOption:
    """One option over the request's window: divisible, with the notice and the ramps that reach it in time."""
    starts_at = terms.get("starts_at", request.starts_at)
    ends_at = terms.get("ends_at", request.ends_at)
    full_activation_s = terms.get("full_activation_s", request.full_activation_s)
    notice_s = terms.get("notice_s", _notice_s(request, power_w, full_activation_s))
    ramp = _ramp_w_per_min(power_w, full_activation_s - notice_s, request.max_ramp_w_per_min)
    filled: dict[str, Any] = {
        "starts_at": starts_at,
        "ends_at": ends_at,
        "notice_s": notice_s,
        "full_activation_s": full_activation_s,
        "ramp_down_w_per_min": ramp,
        "ramp_up_w_per_min": ramp,
        "min_duration_s": 0,
        "max_duration_s": max(0, (ends_at - starts_at) // timedelta(seconds=1)),
        "min_power_w": min(request.min_quantity_w, power_w),
    } | dict(terms)
    return _option(power_w, price_per_mwh, filled)


def _option(power_w: int, price_per_mwh: Decimal | str | int, said: dict[str, Any]) -> OfferOption:
    filled: dict[str, Any] = {"option": "o1", "divisible": True} | said
    if filled.get("activation_fee") is not None:
        filled["activation_fee"] = money(filled["activation_fee"], "activation_fee")
    try:
        return OfferOption(power_w=power_w, price_per_mwh=money(price_per_mwh, "price_per_mwh"), **filled)
    except ValidationError as error:
        raise UsageError(f"the offer's terms break the contract: {_reason(error)}") from error


def _notice_s(request: DispatchRequest, power_w: int, full_activation_s: int) -> int:
    # half of the time for the people and programs on site, half for the ramp; less if the operator's ramp is slower
    notice_s = min(request.max_notice_s, full_activation_s // 2)
    if request.max_ramp_w_per_min is None:
        return notice_s
    ramp_s = -(-power_w * 60 // request.max_ramp_w_per_min)
    return max(0, min(notice_s, full_activation_s - ramp_s))


def _ramp_w_per_min(power_w: int, ramp_s: int, most: int | None) -> int:
    needed = -(-power_w * 60 // ramp_s) if ramp_s > 0 else power_w * 60
    return max(1, min(needed, most or MAX_POWER_W, MAX_POWER_W))


def _reason(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
