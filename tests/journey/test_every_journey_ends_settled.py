"""Every journey of messages.md ends settled, to the cent, on both logs; and whoever has the log computes the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import pytest

from gridsignal_schemas.messages import Clearing, Settlement
from gridsignal_services.audit.checking import Readings, check
from gridsignal_services.settings import ServerSettings
from tests.journey.conftest import stepped_world
from tests.journey.journeys import JOURNEYS, Amounts, Journey
from tests.journey.travelling import OPERATOR, PARTITION, SITES, Travelled, travel

Version = tuple[str, str, Amounts, Decimal]
"""Site, status, the amounts of its periods, total."""
FINAL_ON = 30
"""The day of the final version, by the standard rule."""


@pytest.fixture(scope="module", params=["sqlite", "kafka"])
def travelled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Travelled:
    """All journeys, played once on each log. Not async: a cluster starts outside of any loop."""
    cluster = None
    if request.param == "kafka":
        brokers, registry = request.getfixturevalue("kafka"), request.getfixturevalue("schema_registry")
        cluster = ServerSettings(kafka=brokers.servers, schema_registry=registry)

    async def played() -> Travelled:
        async with stepped_world(tmp_path_factory.mktemp("journeys"), cluster) as world:
            return await travel(world, JOURNEYS)

    return asyncio.run(played())


@pytest.mark.parametrize("name", JOURNEYS)
def test_a_journey_ends_as_its_row_says(travelled: Travelled, name: str) -> None:
    journey, requests = JOURNEYS[name], travelled.requests[name]
    orders = sorted(travelled.ordered[name], key=lambda each: (each[0].starts_at, each[0].site))
    settlements = travelled.settlements(*requests)

    assert [(order.site, state) for order, state in orders] == [(site, state) for site, state, _ in journey.ends]
    assert [travelled.states[each] for each in requests] == ["SETTLED"] * (len(requests) - 1) + [journey.state]
    for (order, _), (site, _, amounts) in zip(orders, journey.ends, strict=True):
        versions = [each for each in settlements if each.order_id == order.order_id]
        assert [_said(each) for each in versions] == list(_versions(journey, site, amounts))
        assert [each.version for each in versions] == list(range(1, len(versions) + 1))
    assert {each.order_id for each in settlements} <= {order.order_id for order, _ in orders}


def test_all_that_is_paid_and_owed_is_what_the_rows_come_to_and_adds_up_to_nothing(travelled: Travelled) -> None:
    totals = dict.fromkeys(SITES.values(), Decimal(0))
    for journey in JOURNEYS.values():
        for site, _, amounts in journey.ends:
            if amounts is not None:
                totals[SITES[site]] += _total(journey, journey.then or amounts)
    said = {name: shown["totals"] for name, shown in travelled.statements.items()}
    assert {name: [(each["currency"], Decimal(each["total"])) for each in found] for name, found in said.items()} == {
        **{name: [("EUR", total)] for name, total in totals.items()},
        OPERATOR: [("EUR", sum(totals.values()))],  # what it pays: its flow is the negative
    }


def test_a_statement_has_every_order_that_is_settled_and_no_other_and_nobody_elses(travelled: Travelled) -> None:
    settled = {each.order_id: each.participant for each in travelled.settlements(*travelled.states)}
    shown = {name: [each["order_id"] for each in found["orders"]] for name, found in travelled.statements.items()}

    assert sorted(shown.pop(OPERATOR)) == sorted(settled)
    assert {name: sorted(orders) for name, orders in shown.items()} == {
        name: sorted(order for order, whose in settled.items() if whose == name) for name in SITES.values()
    }
    assert {each["state"] for found in travelled.statements.values() for each in found["orders"]} == {"SETTLED"}


def test_another_node_computes_the_same_bytes_from_the_log(travelled: Travelled) -> None:
    """Scenario 15: every award and every amount, each from the records and readings that it names."""
    outcomes, codec = dict[int, bool](), travelled.codec
    found = check(
        PARTITION,
        codec,
        lambda: travelled.dispatch,
        readings=Readings(lambda: travelled.readings),
        heard=lambda _, logged, __, outcome, ___: outcomes.__setitem__(logged.offset, outcome.accepted),
    )
    records = [codec.decode(logged.value) for logged in travelled.dispatch]
    heard = {logged.offset: outcome.accepted for logged, _, outcome in travelled.heard if logged.partition == PARTITION}

    assert found.faults == []
    assert (found.settlements, found.clearings) == tuple(
        sum(isinstance(record, kind) for record in records) for kind in (Settlement, Clearing)
    )
    # the same record is the same bytes
    assert [codec.encode(record) for record in records] == [logged.value for logged in travelled.dispatch]
    assert heard.items() <= outcomes.items()


def _said(settlement: Settlement) -> Version:
    amounts = tuple(None if line.amount is None else str(line.amount.normalize()) for line in settlement.intervals)
    return settlement.site, settlement.status.value, amounts, settlement.total


def _versions(journey: Journey, site: str, amounts: Amounts | None) -> Iterator[Version]:
    if amounts is None:
        return
    then, is_late = journey.then or amounts, journey.then is not None and journey.day > FINAL_ON
    final = amounts if is_late else then
    yield site, "PROVISIONAL", _plain(amounts), _total(journey, amounts)
    yield site, "FINAL", _plain(final), _total(journey, final)
    if is_late:
        yield site, "CORRECTED", _plain(then), _total(journey, then)


def _plain(amounts: Amounts) -> Amounts:
    return tuple(None if each is None else str(Decimal(each).normalize()) for each in amounts)


def _total(journey: Journey, amounts: Amounts) -> Decimal:
    return sum((Decimal(each) for each in amounts if each is not None), Decimal(journey.fee or 0))
