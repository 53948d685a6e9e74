"""What a request must satisfy: one code for each rule, all failures at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    ClearingMode,
    Direction,
    DispatchRequest,
    Firmness,
    Pricing,
    Purpose,
    RunMode,
    Visibility,
)
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.values import rfc3339, text_of_decimal

LONGEST_PERIOD = timedelta(days=31)
FARTHEST_START = timedelta(days=400)


_TERMS = (
    "zone",
    "operator",
    "direction",
    "currency",
    "pricing",
    "deficiency_price_per_mwh",
    "firmness",
    "run_mode",
    "settlement",
    "baseline_method",
    "product_terms",
)


def request_faults(request: DispatchRequest, now: datetime) -> list[Detail]:
    """Everything that is wrong with a request at this grid time; empty when nothing is."""
    return [*_unknown_symbols(request), *_quantity_faults(request), *_deadline_faults(request, now)]


def revision_faults(before: DispatchRequest | None, request: DispatchRequest) -> list[Detail]:
    """Why this is not the next revision of a request, or not the first where there was none before.

    What an offer was made for can't be changed under it: that is another request.
    """
    changed = [name for name in _TERMS if before is not None and getattr(before, name) != getattr(request, name)]
    if changed:
        return [
            fault("NOT_CHANGEABLE", f"/{name}", f"expected {getattr(before, name)} as in the first revision")
            for name in changed
        ]
    expected = 1 if before is None else before.revision + 1
    if request.revision != expected:
        return [fault("REVISION", "/revision", f"expected {expected}, got {request.revision}")]
    if request.revision > LIMITS.revisions_of_request:
        most = LIMITS.revisions_of_request
        return [fault("REVISIONS", "/revision", f"expected at most {most}, got {request.revision}")]
    return []


def _unknown_symbols(request: DispatchRequest) -> Iterator[Detail]:
    required = {
        "direction": Direction.UNKNOWN,
        "purpose": Purpose.UNKNOWN,
        "visibility": Visibility.UNKNOWN,
        "pricing": Pricing.UNKNOWN,
        "firmness": Firmness.UNKNOWN,
        "clearing_mode": ClearingMode.UNKNOWN,
        "run_mode": RunMode.UNKNOWN,
    }
    for name, unknown in required.items():
        if getattr(request, name) is unknown:
            yield fault("UNKNOWN_SYMBOL", f"/{name}", "expected a symbol this version knows, got UNKNOWN")


def _quantity_faults(request: DispatchRequest) -> Iterator[Detail]:
    if request.min_quantity_w > request.power_w:
        expected = f"expected at most power_w ({request.power_w}), got {request.min_quantity_w}"
        yield fault("MIN_QUANTITY", "/min_quantity_w", expected)
    if request.step_w is not None and request.power_w % request.step_w:
        expected = f"expected a divisor of power_w ({request.power_w}), got {request.step_w}"
        yield fault("STEP", "/step_w", expected)
    for name in ("price_cap_per_mwh", "deficiency_price_per_mwh"):
        price = getattr(request, name)
        if price is not None and abs(price) > LIMITS.price_per_mwh:
            expected = f"expected {-LIMITS.price_per_mwh} to {LIMITS.price_per_mwh}, got {text_of_decimal(price)}"
            yield fault("PRICE", f"/{name}", expected)
    if request.pricing is Pricing.REGULATED and request.price_cap_per_mwh is None:
        yield fault("PRICE_CAP", "/price_cap_per_mwh", "expected the regulated price, got none")


def _deadline_faults(request: DispatchRequest, now: datetime) -> Iterator[Detail]:
    gate, decision = request.gate_closure_at, request.decision_deadline
    if gate <= now:
        yield fault("GATE_CLOSURE", "/gate_closure_at", f"expected a time after {rfc3339(now)}, got {rfc3339(gate)}")
    if decision <= gate:
        expected = f"expected a time after gate_closure_at ({rfc3339(gate)}), got {rfc3339(decision)}"
        yield fault("DECISION_DEADLINE", "/decision_deadline", expected)
    earliest = decision + timedelta(seconds=request.respond_within_s + request.full_activation_s)
    if request.starts_at < earliest:
        expected = (
            "expected decision_deadline + respond_within_s + full_activation_s"
            f" ({rfc3339(earliest)}) or later, got {rfc3339(request.starts_at)}"
        )
        yield fault("START", "/starts_at", expected)
    if request.ends_at <= request.starts_at:
        expected = f"expected a time after starts_at ({rfc3339(request.starts_at)}), got {rfc3339(request.ends_at)}"
        yield fault("END", "/ends_at", expected)
    if request.ends_at - request.starts_at > LONGEST_PERIOD:
        yield fault("END", "/ends_at", f"expected at most {LONGEST_PERIOD.days} days after starts_at")
    if request.starts_at - now > FARTHEST_START:
        yield fault("START", "/starts_at", f"expected at most {FARTHEST_START.days} days ahead")
