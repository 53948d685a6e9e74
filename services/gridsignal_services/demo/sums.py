"""What the day's figures add up to. Like them, it counts nothing but the log's records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from gridsignal_schemas.messages import ClearingTrigger, DispatchRequest
from gridsignal_services.demo.figures import Day, amount


@dataclass(frozen=True, slots=True)
class With:
    """A figure with the orders, and as it would have been without."""

    with_: Decimal
    without: Decimal


def energy_wh(day: Day) -> With:
    """All sites' energy."""
    sums = [sum(sum(curve.values()) for curve in curves) for curves in _curves(day)]
    return With(*(Decimal(total * day.interval_s // 3600) for total in sums))


def _curves(day: Day) -> tuple[list[dict[datetime, int]], list[dict[datetime, int]]]:
    return [site.metered_w for site in day.sites.values()], [site.baseline_w for site in day.sites.values()]


def energy_bill(day: Day) -> With:
    """All sites' energy at their zones' day-ahead prices, without what orders delivered: that is paid by the order."""
    totals = [Decimal(0), Decimal(0)]
    for site in day.sites.values():
        for start, baseline_w in site.baseline_w.items():
            price = day.prices[site.zone].at(start) or Decimal(0)
            totals[0] += amount(site.billed_w(start), day.interval_s, price)
            totals[1] += amount(baseline_w, day.interval_s, price)
    return With(*totals)


def co2_kg(day: Day) -> With:
    """Average life-cycle CO2 of the zones whose figures are known.

    Like with like: load that orders moved to a zone without figures stays out of both sums.
    """
    totals = [Decimal(0), Decimal(0)]
    for site in day.sites.values():
        grams = day.carbon.get(site.zone)
        if not grams:
            continue
        for index, curve in enumerate((site.metered_w, site.baseline_w)):
            totals[index] += sum((_kg(day, power, grams[_hour(start)]) for start, power in curve.items()), Decimal(0))
    for start, power in day.moved_away_w.items():
        totals[0] += _kg(day, power, day.carbon[_home(day)][_hour(start)])
    return With(*totals)


def _kg(day: Day, power_w: int, grams_per_kwh: Decimal) -> Decimal:
    return Decimal(power_w) * day.interval_s / 3600 / 1000 * grams_per_kwh / 1000


def _hour(start: datetime) -> datetime:
    return start.replace(minute=0)


def _home(day: Day) -> str:
    """The zone the requests are in."""
    return next(iter(day.requests.values())).zone


def moved_away_wh(day: Day) -> int:
    """Energy that orders moved between zones, whose CO2 is unknown."""
    return sum(abs(power) for power in day.moved_away_w.values()) * day.interval_s // 3600


def reawards(day: Day) -> int:
    """Orders that went to the next in merit order because an earlier one fell short."""
    return sum(len(clearing.awards) for clearing in day.clearings if clearing.trigger is ClearingTrigger.SHORTFALL)


def lacking_w(day: Day, request: DispatchRequest) -> int:
    """What was asked for and nobody took on."""
    orders = (order for order in day.orders.values() if order.issued.request_id == request.request_id)
    return max(0, request.power_w - sum(order.accepted_w or 0 for order in orders))


def offered_wh(day: Day) -> int:
    """What was offered, each offer's largest option over its window."""
    return sum(
        max(o.power_w * int((o.ends_at - o.starts_at).total_seconds()) // 3600 for o in offer.options)
        for offer in day.offers.values()
    )


def asked_wh(day: Day) -> int:
    """What was asked for."""
    return sum(r.power_w * int((r.ends_at - r.starts_at).total_seconds()) // 3600 for r in day.requests.values())
