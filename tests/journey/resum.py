"""The demo's sums, added up anew from the lists of its own JSON object: imports the standard library alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

Json = dict[str, Any]


def sums_of(figures: Json) -> Json:
    """The sums, from the lists alone."""
    orders = figures["orders"]
    paid, penalty = (sum(Decimal(order[name]) for order in orders) for name in ("paid", "penalty"))
    bill = {
        "with": _bill(figures, lambda quarter: quarter["metered_w"] - quarter["handed_over_w"]),
        "without": _bill(figures, lambda quarter: quarter["baseline_w"]),
    }
    moved = figures["moved_to_another_zone"]
    quarters = [quarter for _, quarter in _quarters(figures)]
    return {
        "awards": len(orders),
        "refusals": sum(order["refused"] is not None for order in orders),
        "voided": sum(order["voided"] for order in orders),
        "asked_wh": sum(map(_wh, figures["requests"])),
        "offered_wh": sum(map(_wh, figures["offers"])),
        "awarded_wh": sum(order["awarded_wh"] for order in orders),
        "delivered_wh": sum(q["delivered_w"] // 4 for order in orders for q in order["quarters"]),
        "payments": _cents(paid),
        "penalties": _cents(penalty),
        "energy_wh": {
            "with": sum(quarter["metered_w"] for quarter in quarters) // 4,
            "without": sum(quarter["baseline_w"] for quarter in quarters) // 4,
        },
        "energy_bill": {name: _cents(total) for name, total in bill.items()},
        "net_cost": {"with": _cents(bill["with"] - paid + penalty), "without": _cents(bill["without"])},
        "co2_kg": {
            "with": _kilos(figures, "metered_w", moved),
            "without": _kilos(figures, "baseline_w", []),
        },
        "co2_unknown_wh": sum(abs(step["power_w"]) for step in moved) // 4,
    }


def money_of(order: Json) -> tuple[str, str]:
    """What an order's quarters are worth, each to four places: paid, penalty."""
    sums = [
        sum(_amount(quarter[power], Decimal(order[price] or 0)) for quarter in order["quarters"])
        for power, price in (("delivered_w", "price_per_mwh"), ("deficiency_w", "deficiency_price_per_mwh"))
    ]
    return str(sums[0]), str(sums[1])


def mishaps_of(order: Json) -> Iterator[str]:
    """What went wrong with an order."""
    if order["refused"]:
        yield "refused"
    if order["voided"]:
        yield "voided"
    if order["accepted_w"] not in (None, order["power_w"]):
        yield "in part"
    if order["delivered_wh"] < 0.95 * order["awarded_wh"]:
        yield "short"


def _quarters(figures: Json) -> Iterator[tuple[str, Json]]:
    for site in figures["sites"].values():
        for quarter in site["quarters"]:
            yield site["zone"], quarter


def _bill(figures: Json, power_w: Any) -> Decimal:
    prices = {
        (zone, step["starts_at"]): Decimal(step["price_per_mwh"])
        for zone, steps in figures["curves"].items()
        for step in steps
    }
    return sum((_amount(power_w(q), prices[zone, _hour(q["starts_at"])]) for zone, q in _quarters(figures)), Decimal(0))


def _kilos(figures: Json, power: str, moved: Iterable[Json]) -> float:
    grams = {
        (zone, step["starts_at"]): float(step["grams_per_kwh"])
        for zone, steps in figures["carbon"].items()
        for step in steps
    }
    loads = [(zone, q["starts_at"], q[power]) for zone, q in _quarters(figures) if zone in figures["carbon"]]
    loads += [(figures["zone"], step["starts_at"], step["power_w"]) for step in moved]
    return round(sum(watts / 4_000_000 * grams[zone, _hour(at)] for zone, at, watts in loads), 1)


def _hour(starts_at: str) -> str:
    return datetime.fromisoformat(starts_at).replace(minute=0).isoformat().replace("+00:00", "Z")


def _wh(record: Json) -> int:
    starts, ends = (datetime.fromisoformat(record[name]) for name in ("starts_at", "ends_at"))
    return int(record["power_w"] * (ends - starts).total_seconds()) // 3600


def _amount(power_w: int, price: Decimal) -> Decimal:
    return (Decimal(power_w) * price / 4_000_000).quantize(Decimal("0.0001"))


def _cents(amount: Decimal | int) -> str:
    return str(Decimal(amount).quantize(Decimal("0.01")))
