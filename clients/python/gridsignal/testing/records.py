"""What an operator asks and orders, with everything filled in that a test does not say. A decision: no clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from gridsignal.ids import uuid7
from gridsignal.testing.standing import Standing
from gridsignal_schemas.messages import Decision, DispatchOrder, DispatchRequest, FlexOffer, OfferDecision, SpotPrice
from gridsignal_schemas.rules.offers import decision_on


def a_request(now: datetime, zone: str, power_w: int, direction: str, in_s: int, **fields: Any) -> DispatchRequest:
    """A request that starts in so many seconds, and whose deadlines lie evenly before that."""
    starts_at = now + timedelta(seconds=in_s)
    filled: dict[str, Any] = {
        "zone": zone,
        "request_id": uuid7(),
        "revision": 1,
        "operator": "tso-fake",
        "product": "test",
        "purpose": "CONGESTION",
        "text": "a request of the fake grid",
        "direction": direction,
        "visibility": "PUBLIC",
        "audience": [],
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(minutes=45),
        "power_w": power_w,
        "min_quantity_w": min(power_w, 1_000_000),
        "currency": "EUR",
        "pricing": "PAY_AS_BID",
        "firmness": "VOLUNTARY",
        "max_notice_s": in_s // 4,
        "full_activation_s": in_s // 4,
        "gate_closure_at": now + timedelta(seconds=in_s / 4),
        "decision_deadline": now + timedelta(seconds=in_s / 2),
        "respond_within_s": in_s // 8,
        "clearing_mode": "AUTOMATIC",
        "run_mode": "LIVE",
    }
    return DispatchRequest(**filled | fields)


def spot_prices(
    prices_per_mwh: Sequence[str | int | None], *, starts_at: datetime, zone: str = "DE-LU", **fields: Any
) -> SpotPrice:
    """A curve of day-ahead prices in EUR/MWh, one for each quarter of an hour from `starts_at` on; None is a gap.

    For `FakeGrid.publish`; every field of a SpotPrice can be given. Of two curves of one time the one that was
    published later holds.
    """
    filled: dict[str, Any] = {
        "zone": zone,
        "product": "DAY_AHEAD",
        "dataset": "FAKE",
        "provider": "fake",
        "currency": "EUR",
        "starts_at": starts_at,
        "resolution_s": 900,
        "prices_per_mwh": [None if price is None else Decimal(price) for price in prices_per_mwh],
        "status": "FINAL",
        "flags": [],
        "observed_at": starts_at,
        "revision": 1,
    }
    return SpotPrice(**filled | fields)


def an_order(
    now: datetime, offer: FlexOffer, request: DispatchRequest | None, power_w: int | None, **fields: Any
) -> DispatchOrder:
    """An order on an offer's first option, of all its power where none is said."""
    option = offer.options[0]
    filled: dict[str, Any] = {
        "zone": offer.zone,
        "request_id": offer.request_id,
        "participant": offer.participant,
        "site": offer.site,
        "offer_id": offer.offer_id,
        "option": option.option,
        "order_id": uuid7(),
        "revision": 1,
        "quantity_kind": "DELTA",
        "power_w": power_w or option.power_w,
        "direction": request.direction if request else "LOAD_DECREASE",
        "starts_at": max(option.starts_at, request.starts_at) if request else option.starts_at,
        "ends_at": min(option.ends_at, request.ends_at) if request else option.ends_at,
        "price_per_mwh": option.price_per_mwh,
        "respond_by": now + timedelta(seconds=request.respond_within_s if request else 300),
        "on_comms_loss": "COMPLETE",
        "state": "ISSUED",
        "actor": "fake",
        "reason_code": "",
        "reason": "",
        "run_mode": request.run_mode if request else "LIVE",
    }
    return DispatchOrder(**filled | fields)


def a_decision(standing: Standing, decision: Decision, codes: Sequence[str] = (), reason: str = "") -> OfferDecision:
    """What a site is told of its offer."""
    option, power_w = standing.option, standing.awarded_w
    return decision_on(standing.offer, decision, codes, reason, option=option, power_w=power_w)
