"""The day as one object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from statistics import median, quantiles
from typing import Any

from gridsignal_schemas.values import text_of_decimal
from gridsignal_services.demo import figures
from gridsignal_services.demo.run import Result
from gridsignal_services.demo.story import ZONE


def as_json(result: Result) -> dict[str, Any]:
    """The one object of `gridsignal demo --json`: energy in Wh, money as text, CO2 in kg, latencies in wall ms."""
    day, curve = result.day, result.day.prices[ZONE]
    known = [price for price in curve.prices_per_mwh if price is not None]
    orders = list(day.orders.values())
    paid, penalty = (sum((getattr(o, name) for o in orders), Decimal(0)) for name in ("paid", "penalty"))
    energy, cost, co2 = figures.energy_wh(day), figures.energy_cost(day), figures.co2_kg(day)
    return {
        "day": result.story.day,
        "zone": ZONE,
        "seed": result.seed,
        "prices": len(known),
        "price_min": text_of_decimal(min(known)),
        "price_max": text_of_decimal(max(known)),
        "requests": len(day.requests),
        "offers": len(day.offers),
        "awards": len(orders),
        "refusals": sum(bool(o.refused) for o in orders),
        "voided": sum(o.voided for o in orders),
        "reawards": figures.reawards(day),
        "asked_wh": figures.asked_wh(day),
        "offered_wh": figures.offered_wh(day),
        "awarded_wh": sum(o.awarded_wh for o in orders),
        "delivered_wh": sum(o.delivered_wh for o in orders),
        "cost": {"amount": _money(paid), "currency": curve.currency},
        "penalties": {"amount": _money(penalty), "currency": curve.currency},
        "energy_wh": {"with": int(energy.with_), "without": int(energy.without)},
        "energy_cost": {"with": _money(cost.with_), "without": _money(cost.without), "currency": curve.currency},
        "co2_kg": {"with": round(float(co2.with_), 1), "without": round(float(co2.without), 1)},
        "co2_unknown_wh": figures.moved_away_wh(day),
        "latency_ms": {
            "price_to_client": _latency(result.price_to_client_ms, "max"),
            "offer_to_receipt": _latency(result.offer_to_receipt_ms, "p99"),
        },
    }


def _money(amount: Decimal) -> str:
    return str(amount.quantize(Decimal("0.01")))


def _latency(measured_ms: Sequence[float], tail: str) -> dict[str, Any]:
    """n, p50 and the tail; below a hundred measurements the maximum stands for a percentile, and says so."""
    if not measured_ms:
        return {"n": 0, "p50": None, tail: None}
    told = {"n": len(measured_ms), "p50": round(median(measured_ms), 2)}
    if tail == "p99" and len(measured_ms) >= 100:
        return told | {"p99": round(quantiles(measured_ms, n=100)[98], 2)}
    worst = round(max(measured_ms), 2)
    return told | ({"max": worst} if tail == "max" else {"p99": None, "max": worst})
