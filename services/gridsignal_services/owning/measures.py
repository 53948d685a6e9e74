"""What a market comes to, for Prometheus: asked, offered, awarded, delivered, answered in time or not.

Each process tells of the zones that it owns, so that the sum over all processes counts everything once.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Collection, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gridsignal_schemas.messages import (
    Clearing,
    DispatchRequest,
    FlexOffer,
    OrderResponse,
    Record,
    ResponseKind,
    Settlement,
)
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.reduce import Ledger

_ANSWER_S = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600)
_ANSWERS = (ResponseKind.ACCEPTED, ResponseKind.REFUSED)


class Measures(Collector):
    """Counts what is reduced, and looks at what is open whenever somebody asks.

    Bounded: one line for each zone of the registry, and state; a look is at requests that are open or were over for at
    most a day, and at orders that are not over: never at their offers.
    """

    def __init__(self, ours: Callable[[], Collection[Ledger]], counted: CollectorRegistry) -> None:
        """`ours` are the ledgers of the partitions that this process owns."""
        self._ours = ours

        def counter(name: str, says: str) -> Counter:
            return Counter(f"gridsignal_market_{name}", says, ["zone"], registry=counted)

        self._asked = counter("asked_watts", "Asked by new requests.")
        self._offered = counter("offered_watts", "Offered by new offers, the largest option of each.")
        self._awarded = counter("awarded_watts", "Awarded by clearings.")
        self._delivered = counter("delivered_watt_hours", "Delivered, by the first version of each settlement.")
        self._missing = counter("missing_watt_hours", "Ordered and not delivered, by the same.")
        self._answer_s = Histogram(
            "gridsignal_market_answer_seconds",
            "From an order to its site's acceptance or refusal, in grid time.",
            ["zone"],
            buckets=_ANSWER_S,
            registry=counted,
        )
        counted.register(self)

    def hear(self, ledger: Ledger, record: Record, outcome: Outcome) -> None:
        """A record of a partition that is ours was reduced; `ledger` stands right after it."""
        if not outcome.accepted or outcome.duplicate:
            return
        match record:
            case DispatchRequest(revision=1):
                self._asked.labels(record.zone).inc(record.power_w)
            case FlexOffer(revision=1) if not outcome.faults:
                self._offered.labels(record.zone).inc(max(option.power_w for option in record.options))
            case Clearing():
                self._awarded.labels(record.zone).inc(sum(award.power_w for award in record.awards))
            case OrderResponse() if record.response in _ANSWERS:
                self._answered(ledger, record)
            case Settlement(version=1):
                delivered = sum(each.delivered_wh or 0 for each in record.intervals)
                missing = sum(each.deficiency_wh or 0 for each in record.intervals)
                self._delivered.labels(record.zone).inc(delivered)
                self._missing.labels(record.zone).inc(missing)

    def _answered(self, ledger: Ledger, response: OrderResponse) -> None:
        order = ledger.orders.get(response.order_id)
        if order is not None and order.history and ledger.now is not None:
            waited = ledger.now - order.history[0].at
            self._answer_s.labels(response.zone).observe(waited.total_seconds())

    def collect(self) -> Iterable[Metric]:
        """See Collector.collect."""
        requests, asked, orders, ordered = (Counts[tuple[str, str]]() for _ in range(4))
        for ledger in self._ours():
            for request in ledger.requests.values():
                where = request.request.zone, request.state.value
                requests[where] += 1
                asked[where] += request.request.power_w
            for live in ledger.book.live_of_site.values():
                for order in map(ledger.orders.__getitem__, live):
                    where = order.order.zone, order.state.value
                    orders[where] += 1
                    ordered[where] += order.power_w
        yield _family("requests", "Open requests, and those that were over for at most a day, by state.", requests)
        yield _family("requests_watts", "What these asked.", asked)
        yield _family("orders", "Orders that are not over, by state.", orders)
        yield _family("orders_watts", "What these order.", ordered)


def _family(name: str, says: str, values: Counts[tuple[str, str]]) -> Metric:
    family = GaugeMetricFamily(f"gridsignal_market_{name}", says, labels=("zone", "state"))
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family
