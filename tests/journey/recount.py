"""The demo's figures, counted anew from its log: imports the contract and the log's reader, and nothing of the demo.

    python tests/journey/recount.py DIRECTORY

Prints one JSON object: the demo's, without day, seed and latencies.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from gridsignal_schemas.messages import (
    BaselineDeclaration,
    CarbonIntensity,
    Clearing,
    ClearingTrigger,
    Direction,
    DispatchOrder,
    DispatchRequest,
    FlexibilityKind,
    FlexOffer,
    MeterReading,
    OrderResponse,
    OrderState,
    Record,
    ResponseKind,
    Scope,
    SpotPrice,
)
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog

R = TypeVar("R", bound=Record)
Power = dict[tuple[str, datetime], int]
QUARTER = timedelta(minutes=15)


async def records_of(directory: Path) -> list[Record]:
    """Everything on the log, each partition in its order."""
    log, codec, found = await SqliteLog.open(directory), Codec.from_lock(), []
    try:
        for stream in ("prices", "carbon", "dispatch", "readings"):
            end = await log.end_positions(stream)
            left = {p: at for p, at in (await log.start_positions(stream)).items() if at < end[p]}
            reader = await log.reader(stream, left)
            while left and any(reader.positions[p] < end[p] for p in left):
                found += [codec.decode(record.value) for record in await reader.read()]
            await reader.aclose()
    finally:
        await log.aclose()
    return found


def amount(power_w: int, price: Decimal | None) -> Decimal:
    """Of a quarter hour, to four places."""
    return (Decimal(power_w) * (price or 0) / 4_000_000).quantize(Decimal("0.0001"))


class Count:
    """The log, sorted."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.requests = {r.request_id: r for r in self.all(DispatchRequest)}
        self.offers = {(o.participant, o.offer_id): o for o in self.all(FlexOffer)}
        self.prices = {p.zone: p for p in self.all(SpotPrice)}
        self.orders: dict[str, DispatchOrder] = {}
        for order in self.all(DispatchOrder):
            self.orders.setdefault(order.order_id, order)
        self.voided = {o.order_id for o in self.all(DispatchOrder) if o.state is OrderState.VOIDED}
        self.refused = {r.order_id for r in self.all(OrderResponse) if r.response is ResponseKind.REFUSED}
        self.accepted: dict[str, int] = {}
        for response in self.all(OrderResponse):
            if response.response is ResponseKind.ACCEPTED and response.order_id not in self.voided:
                power = response.accepted_w or self.orders[response.order_id].power_w
                self.accepted.setdefault(response.order_id, power)
        self.zones = {m.site: m.zone for m in self.all(BaselineDeclaration)}
        self.metered: Power = {(m.site, m.starts_at): m.import_w - m.export_w for m in self.all(MeterReading)}
        self.baseline: Power = {
            (b.site, b.starts_at + i * timedelta(seconds=b.resolution_s)): power
            for b in self.all(BaselineDeclaration)
            for i, power in enumerate(b.power_w)
        }

    def all(self, kind: type[R]) -> Iterator[R]:
        return (record for record in self.records if isinstance(record, kind))

    def quarters(self, order: DispatchOrder) -> list[datetime]:
        assert order.ends_at is not None
        return [order.starts_at + i * QUARTER for i in range((order.ends_at - order.starts_at) // QUARTER)]

    def deliveries(self) -> Iterator[tuple[DispatchOrder, datetime, int, int]]:
        """(order, quarter, delivered_w, deficiency_w), in order of acceptance."""
        used: Power = defaultdict(int)
        for order_id, power in self.accepted.items():
            order = self.orders[order_id]
            sign = 1 if order.direction is Direction.LOAD_DECREASE else -1
            for start in self.quarters(order):
                place = order.site, start
                deviation = sign * (self.baseline[place] - self.metered[place]) - used[place]
                delivered = max(0, min(power, deviation))
                used[place] += delivered
                yield order, start, delivered, max(0, power - deviation)

    def co2(self, power: Power, moved: dict[datetime, int]) -> float:
        grams = {
            (c.zone, start): value
            for c in self.all(CarbonIntensity)
            if c.scope is Scope.LIFECYCLE
            for start, _, value in c.intervals()
            if value is not None
        }
        known = {zone for zone, _ in grams}
        home = next(iter(self.requests.values())).zone
        loads = [(self.zones[s], at, w) for (s, at), w in power.items() if self.zones[s] in known]
        loads += [(home, at, w) for at, w in moved.items()]
        return round(float(sum(w * grams[z, at.replace(minute=0)] for z, at, w in loads) / 4_000_000), 1)

    def figures(self) -> dict[str, Any]:
        delivered = list(self.deliveries())
        moved: dict[datetime, int] = defaultdict(int)
        for order, start, power, _ in delivered:
            offer = self.offers[order.participant, order.offer_id or ""]
            if offer.flexibility.kind is FlexibilityKind.SHIFT_SITE:
                moved[start] += power if order.direction is Direction.LOAD_DECREASE else -power
        home = self.prices["DE-LU"]
        known = [p for p in home.prices_per_mwh if p is not None]
        return {
            "zone": home.zone,
            "prices": len(known),
            "price_min": str(min(known).normalize()),
            "price_max": str(max(known).normalize()),
            "co2_unknown_wh": sum(map(abs, moved.values())) // 4,
            **self._counts(),
            **self._energies(moved),
            "delivered_wh": sum(w // 4 for _, _, w, _ in delivered),
            "payments": _money(sum((amount(w, o.price_per_mwh) for o, _, w, _ in delivered), Decimal(0))),
            "penalties": _money(
                sum(
                    (amount(w, self.requests[o.request_id].deficiency_price_per_mwh) for o, _, _, w in delivered),
                    Decimal(0),
                )
            ),
        }

    def _counts(self) -> dict[str, Any]:
        short = [c for c in self.all(Clearing) if c.trigger is ClearingTrigger.SHORTFALL]
        lengths = {i: len(self.quarters(o)) for i, o in self.orders.items()}
        return {
            "awards": len(self.orders),
            "refusals": len(self.refused),
            "voided": len(self.voided),
            "reawards": sum(len(c.awards) for c in short),
            "asked_wh": sum(_wh(r.power_w, r.starts_at, r.ends_at) for r in self.requests.values()),
            "offered_wh": sum(
                max(_wh(o.power_w, o.starts_at, o.ends_at) for o in offer.options) for offer in self.offers.values()
            ),
            "awarded_wh": sum(power * lengths[i] // 4 for i, power in self.accepted.items()),
        }

    def _energies(self, moved: dict[datetime, int]) -> dict[str, Any]:
        both = {"with": self.metered, "without": self.baseline}
        billed = dict(self.metered)
        for order, start, power, _ in self.deliveries():  # whoever asked settles what was delivered
            billed[order.site, start] += power if order.direction is Direction.LOAD_DECREASE else -power
        bills = {"with": billed, "without": self.baseline}
        return {
            "energy_wh": {name: sum(power.values()) // 4 for name, power in both.items()},
            "energy_bill": {
                name: _money(sum((self._cost(*load) for load in p.items()), Decimal(0))) for name, p in bills.items()
            },
            "co2_kg": {"with": self.co2(self.metered, moved), "without": self.co2(self.baseline, {})},
        }

    def _cost(self, place: tuple[str, datetime], power_w: int) -> Decimal:
        return amount(power_w, self.prices[self.zones[place[0]]].at(place[1]))


def _wh(power_w: int, starts_at: datetime, ends_at: datetime) -> int:
    return power_w * int((ends_at - starts_at).total_seconds()) // 3600


def _money(total: Decimal) -> str:
    return str(total.quantize(Decimal("0.01")))


if __name__ == "__main__":
    print(json.dumps(Count(asyncio.run(records_of(Path(sys.argv[1])))).figures()))
