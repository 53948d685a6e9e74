"""What Prometheus is told of a market: the sums that a person would add up, whatever is offered and answered."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gridsignal_schemas.values import MW
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.owning.measures import Measures
from tests.builders import utc
from tests.effort import examples
from tests.unit.ledger.market import Market

ZONE = "DE-LU"


def measured(market: Market) -> CollectorRegistry:
    """What is counted of a log of these records."""
    counted, ledger = CollectorRegistry(), Ledger(0, market.ledger.book.kept)
    measures = Measures(lambda: [ledger], counted)
    for entry, _ in market.log:
        measures.hear(ledger, entry.record, ledger.apply(entry))
    return counted


@settings(max_examples=examples(25))
@given(st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=3))
def test_the_sums_are_those_of_what_was_said(offers: list[tuple[int, bool]]) -> None:
    sites = ["acme", "volt", "hpc"][: len(offers)]
    market = Market(*sites)
    for number, (site, (power, _)) in enumerate(zip(sites, offers, strict=True)):
        market.offer(site, power * MW, str(70 + number))
    market.close()
    answers = 0
    for site, (_, answers_in_time) in zip(sites, offers, strict=True):
        if answers_in_time and site in market.ordered():
            answers += market.answer(site).accepted
    market.run_until(utc("17:20"))
    counted = measured(market)

    def sample(name: str, **labels: str) -> float:
        return counted.get_sample_value(f"gridsignal_market_{name}", {"zone": ZONE, **labels}) or 0

    accepted = [tracked.offer for tracked in market.ledger.offers.values() if tracked.state != "REJECTED"]
    assert sample("offered_watts_total") == sum(max(each.power_w for each in offer.options) for offer in accepted)
    (request,) = market.ledger.requests.values()
    assert sample("asked_watts_total") == request.request.power_w
    assert sample("awarded_watts_total") == sum(each.power_w for one in request.clearings for each in one.awards)
    assert sample("requests", state=request.state.value) == 1
    assert sample("requests_watts", state=request.state.value) == request.request.power_w
    assert sample("answer_seconds_count") == answers
    states = [order.state.value for order in market.ledger.orders.values() if order.state != "VOIDED"]
    for state in states:
        assert sample("orders", state=state) == states.count(state)
