"""Settlement cases as a file has them: an order, a baseline and readings, at moments of one day."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from gridsignal_services.settlement.case_file import Case
from gridsignal_services.settlement.settled_case import SettledCase

Line = dict[str, Any]
DAY = "2024-05-12"


def period(hours: str) -> Line:
    """`18:00-18:15` of the day, in UTC."""
    since, until = hours.split("-")
    return {"starts_at": f"{DAY}T{since}:00Z", "ends_at": f"{DAY}T{until}:00Z"}


def order(hours: str, power_w: int, price: object = "100", order_id: str = "a", **more: object) -> Line:
    """An order of acme-ai."""
    told = {"order_id": order_id, "participant": "acme-ai", "power_w": power_w, "price_per_mwh": price}
    return told | period(hours) | more


def power(hours: str, power_w: int, **more: object) -> Line:
    """A stretch of a baseline."""
    return period(hours) | {"site": "fra-1", "power_w": power_w} | more


def reading(hours: str, import_w: int, **more: object) -> Line:
    """What a meter said."""
    return period(hours) | {"site": "fra-1", "meter": "m1", "import_w": import_w} | more


def a_case(orders: list[Line], baseline: list[Line], readings: list[Line], **more: object) -> Line:
    """In euros by the standard rule, unless it is said otherwise."""
    return {"currency": "EUR", "orders": orders, "baseline": baseline, "readings": readings} | more


def settled(case: Line) -> SettledCase:
    """What a case comes to."""
    return SettledCase(Case.parse(json.dumps(case).encode()))


def totals(case: Line) -> list[Decimal]:
    """Of each order."""
    return [each.total for each in settled(case).settled]


def the_rule(**parameters: object) -> Line:
    """A rule's parameters."""
    return {"name": "ours", "version": 1} | parameters


def uftp(actual_mw: int) -> Line:
    """UFTP 3.1's worked example: 15 minutes, 10 MW expected, 2 ordered at 28 EUR/MWh, a shortfall at 44."""
    mw = 1_000_000
    return a_case(
        [order("18:00-18:15", 2 * mw, 28, deficiency_price_per_mwh=44)],
        [power("18:00-18:15", 10 * mw)],
        [reading("18:00-18:15", actual_mw * mw)],
        rule="uftp",
    )


def india(**meters: tuple[int, int]) -> Line:
    """India's two half-hour slots: 150 and 120 kW offered; what each meter used in each, in kW."""
    slots = [("10:00-10:30", 150, 3.5), ("10:30-11:00", 120, 4.0)]
    return a_case(
        [
            order(hours, kw * 1000, price * 1000, f"slot-{number}", participant="seller", deficiency_price_per_mwh=1500)
            for number, (hours, kw, price) in enumerate(slots)
        ],
        [power("10:00-10:30", 150_000), power("10:30-11:00", 200_000)],
        [
            reading(hours, kw * 1000, meter=meter)
            for meter, used in meters.items()
            for (hours, *_), kw in zip(slots, used, strict=True)
        ],
        currency="INR",
        operator="buyer",
        rule="half-hour-in",
    )


def revenue_by_meter(hours: int, *moves: tuple[int, int]) -> Line:
    """India's revenue: each site's kW before and after, for some hours at 3.5 a kWh."""
    until = f"10:00-{10 + hours}:00"
    names = [f"site-{number}" for number in range(len(moves))]
    return a_case(
        [order(until, 1_000_000, 3500)],
        [power(until, before * 1000, site=name) for name, (before, _) in zip(names, moves, strict=True)],
        [reading(until, after * 1000, site=name) for name, (_, after) in zip(names, moves, strict=True)],
        currency="INR",
    )
