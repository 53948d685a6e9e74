"""The day as one object for programs: everything its sums follow from, and the sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median, quantiles
from typing import Any

from gridsignal_schemas.messages import DispatchRequest, FlexOffer
from gridsignal_schemas.values import rfc3339, text_of_decimal
from gridsignal_services.demo import figures, sums
from gridsignal_services.demo.proof import Proof
from gridsignal_services.demo.run import Result
from gridsignal_services.demo.story import ZONE


def as_json(result: Result) -> dict[str, Any]:
    """The one object of `gridsignal demo --json`: power in W, energy in Wh, money as text, CO2 in kg, times in UTC."""
    return _sums(result) | _details(result.day)


def _sums(result: Result) -> dict[str, Any]:
    day, curve = result.day, result.day.prices[ZONE]
    known = [price for price in curve.prices_per_mwh if price is not None]
    orders = list(day.orders.values())
    paid, penalty = (sum((getattr(o, name) for o in orders), Decimal(0)) for name in ("paid", "penalty"))
    energy, bill, co2 = sums.energy_wh(day), sums.energy_bill(day), sums.co2_kg(day)
    return {
        "day": result.story.day,
        "zone": ZONE,
        "seed": result.seed,
        "currency": curve.currency,
        "prices": len(known),
        "price_min": text_of_decimal(min(known)),
        "price_max": text_of_decimal(max(known)),
        "awards": len(orders),
        "refusals": sum(bool(o.refused) for o in orders),
        "voided": sum(o.voided for o in orders),
        "reawards": sums.reawards(day),
        "asked_wh": sums.asked_wh(day),
        "offered_wh": sums.offered_wh(day),
        "awarded_wh": sum(o.awarded_wh for o in orders),
        "delivered_wh": sum(o.delivered_wh for o in orders),
        "payments": _money(paid),
        "penalties": _money(penalty),
        "settled": {
            "orders": len(day.settlements),
            "total": _money(sum((each.total for each in day.settlements.values()), Decimal(0))),
        },
        "proof": None if result.proof is None else _proof(result.proof),
        "energy_wh": {"with": int(energy.with_), "without": int(energy.without)},
        "energy_bill": {"with": _money(bill.with_), "without": _money(bill.without)},
        "net_cost": {"with": _money(bill.with_ - paid + penalty), "without": _money(bill.without)},
        "co2_kg": {"with": round(float(co2.with_), 1), "without": round(float(co2.without), 1)},
        "co2_unknown_wh": sums.moved_away_wh(day),
        "latency_ms": {
            "price_to_client": _latency(result.price_to_client_ms, "max"),
            "offer_to_receipt": _latency(result.offer_to_receipt_ms, "p99"),
        },
    }


def _details(day: figures.Day) -> dict[str, Any]:
    asked = sorted(day.requests, key=lambda request_id: day.requests[request_id].gate_closure_at)
    return {
        "curves": {
            zone: [
                {"starts_at": _utc(start), "ends_at": _utc(end), "price_per_mwh": _text(price)}
                for start, end, price in curve.intervals()
            ]
            for zone, curve in sorted(day.prices.items())
        },
        "carbon": {
            zone: [{"starts_at": _utc(start), "grams_per_kwh": _text(grams)} for start, grams in sorted(known.items())]
            for zone, known in sorted(day.carbon.items())
        },
        "requests": [_request(day, day.requests[request_id]) for request_id in asked],
        "offers": [_offer(offer) for offer in sorted(day.offers.values(), key=_bid)],
        "orders": [_order(day, order) for order in _in_merit_order(day)],
        "sites": {site.site: _site(site) for site in sorted(day.sites.values(), key=lambda site: site.site)},
        "moved_to_another_zone": _curve(day.moved_away_w),
    }


def _request(day: figures.Day, request: DispatchRequest) -> dict[str, Any]:
    return {
        "request_id": request.request_id,
        "name": request.product,
        "operator": request.operator,
        "purpose": str(request.purpose),
        "direction": str(request.direction),
        "power_w": request.power_w,
        "starts_at": _utc(request.starts_at),
        "ends_at": _utc(request.ends_at),
        "price_cap_per_mwh": _text(request.price_cap_per_mwh),
        "deficiency_price_per_mwh": _text(request.deficiency_price_per_mwh),
        "lacking_w": sums.lacking_w(day, request),
    }


def _offer(offer: FlexOffer) -> dict[str, Any]:
    option = offer.options[0]
    return {
        "offer_id": offer.offer_id,
        "request_id": offer.request_id,
        "site": offer.site,
        "option": option.option,
        "power_w": option.power_w,
        "starts_at": _utc(option.starts_at),
        "ends_at": _utc(option.ends_at),
        "price_per_mwh": _text(option.price_per_mwh),
    }


def _order(day: figures.Day, order: figures.Order) -> dict[str, Any]:
    issued = order.issued
    return {
        "order_id": issued.order_id,
        "request_id": issued.request_id,
        "offer_id": issued.offer_id,
        "site": issued.site,
        "direction": str(issued.direction),
        "power_w": issued.power_w,
        "accepted_w": order.accepted_w,
        "refused": order.refused or None,
        "voided": order.voided,
        "moves_to_another_zone": figures.moves_away(day, order),
        "price_per_mwh": _text(issued.price_per_mwh),
        "deficiency_price_per_mwh": _text(day.requests[issued.request_id].deficiency_price_per_mwh),
        "awarded_wh": order.awarded_wh,
        "delivered_wh": order.delivered_wh,
        "deficiency_wh": order.deficiency_wh,
        "paid": str(order.paid),
        "penalty": str(order.penalty),
        "quarters": [
            {"starts_at": _utc(each.starts_at), "delivered_w": each.delivered_w, "deficiency_w": each.deficiency_w}
            for each in order.intervals
        ],
    }


def _site(site: figures.SiteDay) -> dict[str, Any]:
    return {
        "zone": site.zone,
        "quarters": [
            {
                "starts_at": _utc(start),
                "baseline_w": baseline_w,
                "metered_w": site.metered_w[start],
                "ordered_w": site.ordered_w.get(start, 0),
                "handed_over_w": site.handed_w.get(start, 0),
            }
            for start, baseline_w in sorted(site.baseline_w.items())
        ],
    }


def _curve(power_w: Mapping[datetime, int]) -> list[dict[str, Any]]:
    return [{"starts_at": _utc(start), "power_w": power} for start, power in sorted(power_w.items())]


def _bid(offer: FlexOffer) -> tuple[datetime, Decimal]:
    return offer.options[0].starts_at, offer.options[0].price_per_mwh


def _in_merit_order(day: figures.Day) -> list[figures.Order]:
    return sorted(day.orders.values(), key=lambda order: _bid(figures.offer_of(day, order)))


def _utc(when: datetime) -> str:
    return rfc3339(when.astimezone(UTC))


def _text(value: Decimal | None) -> str | None:
    return None if value is None else text_of_decimal(value)


def _proof(proof: Proof) -> dict[str, Any]:
    return {"holds": proof.holds} | asdict(proof) | {"faults": list(proof.faults)}


def _money(amount: Decimal) -> str:
    return str(amount.quantize(Decimal("0.01")))


def _latency(measured_ms: Sequence[float], tail: str) -> dict[str, Any]:
    """n, p50 and the tail; below a hundred measurements the maximum stands for a percentile, and says so."""
    if not measured_ms:
        return {"n": 0, "p50": None, tail: None}
    figures = {"n": len(measured_ms), "p50": round(median(measured_ms), 2)}
    if tail == "p99" and len(measured_ms) >= 100:
        return figures | {"p99": round(quantiles(measured_ms, n=100)[98], 2)}
    worst = round(max(measured_ms), 2)
    return figures | ({"max": worst} if tail == "max" else {"p99": None, "max": worst})
