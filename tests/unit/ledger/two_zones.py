"""Two zones on two partitions: requests in Germany, and the sites of participants in both.

A participant's site in France is its name with "-2"; it draws 40 MW, its connection carries 60.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import Direction, FlexibilityKind, Record, Workload
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOrder
from gridsignal_services.owning.crossing import owed_across
from gridsignal_services.owning.due import next_due
from tests.builders import ZONE, a_baseline_declaration, a_flexibility, a_site_registration, an_order_response, utc
from tests.owning import next_records
from tests.unit.ledger.market import Market
from tests.unit.ledger.zone import Zone

THERE = "FR"
PARTITIONS = TOPICS["dispatch"].partitions
FROM, TO = partition_of(ZONE, PARTITIONS), partition_of(THERE, PARTITIONS)
COUNTERPART_W = 12 * MW
SAME = next(name for name in map("ZONE-{}".format, range(99)) if partition_of(name, PARTITIONS) == FROM)
"""A zone that lies in one partition with Germany."""


class TwoZones:
    """acme sheds 10 MW at acme-1 in Germany by moving work to acme-2 in France, which draws 12 MW more."""

    def __init__(self, *, there_w: int = 40 * MW, other: bool = False, there: str = THERE, **request: Any) -> None:
        assert FROM != TO
        self.source, self.zone = Market(), there
        self.target: Zone = self.source if there == SAME else Zone(utc("16:00"))
        self.source.site("acme")
        if other:
            self.source.site("volt")
        there = a_site_registration(site="acme-2", participant="acme", zone=there)
        assert self.target.add(there).accepted
        self.declare(there_w)
        assert self.source.ask(**{"power_w": 10 * MW} | request).accepted

    def declare(self, power_w: int) -> None:
        """What the French site draws."""
        declared = a_baseline_declaration(zone=self.zone, site="acme-2", participant="acme", power_w=[power_w] * 96)
        assert self.target.add(declared).accepted

    def offer(self, *, site: str | None = "acme-2", **changes: Any) -> None:
        """The work that may move."""
        flexibility = a_flexibility(
            kind=FlexibilityKind.SHIFT_SITE,
            workload=Workload.INFERENCE,
            complete_by=None,
            rebound=None,
            shift_to_zone=self.zone,
            shift_to_site=site,
            counterpart_power_w=COUNTERPART_W,
        )
        offer: dict[str, Any] = {"flexibility": flexibility, "divisible": False, "min_power_w": 10 * MW}
        outcome = self.source.offer("acme", 10 * MW, "80", **offer | changes)
        assert (outcome.accepted, outcome.faults) == (True, ())

    @property
    def ledgers(self) -> dict[int, Ledger]:
        """Of both partitions, and of those where nothing is."""
        empty = {partition: Ledger(partition) for partition in range(PARTITIONS)}
        return empty | ({TO: self.target.ledger} if self.zone == THERE else {}) | {FROM: self.source.ledger}

    def zone_of(self, partition: int) -> Zone:
        """The zone on a partition."""
        return self.source if partition == FROM else self.target

    def next_of(self, partition: int) -> list[Record]:
        """What the owner of a partition writes next."""
        zone = self.zone_of(partition)
        return [*next_records(zone.ledger, zone.now), *owed_across(self.ledgers, partition)]

    def act(self) -> None:
        """Both owners act until neither has anything to do."""
        for _ in range(200):
            partitions = (FROM, TO) if self.zone == THERE else (FROM,)
            written = [(partition, each) for partition in partitions for each in self.next_of(partition)[:1]]
            if not written:
                return
            for partition, record in written:
                self.zone_of(partition).add(record)
        raise AssertionError(f"the owners do not come to rest: {written}")

    def run_until(self, when: datetime) -> None:
        """Lets time pass in both zones, timer by timer."""
        self.act()
        while dues := [due for due in map(next_due, (self.source.ledger, self.target.ledger)) if due and due <= when]:
            self.source.now = self.target.now = max(self.source.now, min(dues))
            self.act()
        self.source.now = self.target.now = max(self.source.now, when)
        self.act()

    def award(self) -> None:
        """The gate closes, the offer is called; nobody has answered so far."""
        self.offer()
        self.run_until(self.source.request.gate_closure_at)

    def orders(self) -> Iterator[TrackedOrder]:
        """The orders of both zones."""
        yield from self.source.ledger.orders.values()
        if self.target is not self.source:
            yield from self.target.ledger.orders.values()

    @property
    def here(self) -> TrackedOrder:
        """The German order."""
        (order,) = [each for each in self.source.ledger.orders.values() if each.order.zone == ZONE]
        return order

    @property
    def there(self) -> TrackedOrder:
        """The French one."""
        (order,) = [each for each in self.target.ledger.orders.values() if each.order.zone == self.zone]
        return order

    def answer(self, tracked: TrackedOrder, response: str = "ACCEPTED", **changes: Any) -> None:
        """Its site's answer."""
        order = tracked.order
        zone = self.source if order.zone == ZONE else self.target
        fields = {
            "zone": order.zone,
            "response_id": f"response-{order.zone}-{len(zone.log)}",
            "order_id": order.order_id,
            "request_id": order.request_id,
            "participant": order.participant,
            "site": order.site,
            "revision": order.revision,
            "response": response,
        }
        outcome = zone.add(an_order_response(**fields | changes), f"participant:{order.participant}")
        assert outcome.accepted, outcome.faults

    def room_w(self) -> int:
        """What the French site can still promise over the period, in watts."""
        request = self.source.request.model_copy(update={"zone": THERE, "direction": Direction.LOAD_INCREASE})
        promised = self.target.ledger.book.committed("acme-2", request)
        return 60 * MW - 40 * MW - promised.highest(request.starts_at, request.ends_at)
