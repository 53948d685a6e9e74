"""A meter that another takes the place of leaves no gap: the registry says which measure a connection, and when."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import DispatchOrder, MeterReading, SiteMeter
from gridsignal_schemas.values import MW
from gridsignal_services.dispatch.registration import differences
from gridsignal_services.ledger.delivered import measured, terms_of
from gridsignal_services.ledger.settled import settled
from gridsignal_services.registry import Registry, example_registry_text
from gridsignal_services.settings import ConfigError
from gridsignal_services.settlement.energy import Energies, Installed, net_means, of_these
from gridsignal_services.settlement.rules import STANDARD
from gridsignal_services.settlement.said import Said
from tests.builders import a_site_registration, utc
from tests.unit.ledger.test_delivered import a_zone, ordered, quarter
from tests.unit.ledger.zone import Zone

EXCHANGE = utc("18:20")
METERS = [SiteMeter(meter="old", until=EXCHANGE), SiteMeter(meter="new", since=EXCHANGE, digits=9)]
ROWS = """
[sites.fra-1.meters.old]
until = 2024-05-12T18:20:00Z
[sites.fra-1.meters.new]
since = 2024-05-12T18:20:00Z
digits = 9
"""


def delivered_wh(zone: Zone, order: DispatchOrder, said: list[MeterReading]) -> list[int | None]:
    terms = terms_of(zone.ledger.book, zone.ledger.orders[order.order_id])
    assert terms is not None
    shown = [each.delivered_wh for each in measured(terms, said)]
    lines = [line.delivered_wh for line in settled(terms, said, STANDARD, "EUR").lines]
    if None not in lines:  # what is shown is by the reading, what is settled by the period
        assert sum(each or 0 for each in shown) == sum(each or 0 for each in lines)
    return lines


def an_order() -> tuple[Zone, DispatchOrder]:
    zone = a_zone()
    return zone, ordered(zone, 12 * MW)


AN_ORDER = an_order()


def said_by_both() -> list[MeterReading]:
    """28 MW throughout: five minutes of the second quarter by the old meter, the rest by the new one."""
    second = quarter(15, 28 * MW)
    return [
        quarter(0, 28 * MW, meter="old"),
        second.model_copy(update={"meter": "old", "ends_at": EXCHANGE}),
        second.model_copy(update={"meter": "new", "starts_at": EXCHANGE}),
        quarter(30, 28 * MW, meter="new"),
    ]


def test_energy_is_continuous_over_the_exchange_where_the_registry_says_it() -> None:
    zone = a_zone()
    order = ordered(zone, 12 * MW)
    assert delivered_wh(zone, order, said_by_both()) == [None, None, None]  # each is expected to go on

    assert zone.add(a_site_registration(revision=2, meters=METERS)).accepted

    assert delivered_wh(zone, order, said_by_both()) == [3 * MW] * 3


def test_what_a_meter_says_before_and_after_its_time_counts_for_nothing_and_so_does_one_that_is_not_listed() -> None:
    zone = a_zone()
    order = ordered(zone, 12 * MW)
    assert zone.add(a_site_registration(revision=2, meters=METERS)).accepted
    late = quarter(30, 9 * MW, meter="old")
    other = quarter(0, 9 * MW, meter="another")
    assert delivered_wh(zone, order, [*said_by_both(), late, other]) == [3 * MW] * 3
    assert delivered_wh(zone, order, said_by_both()[:2]) == [3 * MW, None, None]  # the new one is expected


@given(st.lists(st.integers(0, 60), min_size=4, max_size=24), st.integers(0, 24 * 5))
def test_an_exchange_at_any_moment_is_as_if_there_had_been_one_meter(powers: list[int], at: int) -> None:
    start, step, moment = utc("18:00"), timedelta(minutes=5), utc("18:00") + timedelta(minutes=at)
    spans = [(start + number * step, power) for number, power in enumerate(powers)]

    def by(meter: str, since: datetime, until: datetime) -> list[Said]:
        cut = ((max(begins, since), min(begins + step, until), power) for begins, power in spans)
        return [Said(meter, begins, ends, power * MW) for begins, ends, power in cut if begins < ends]

    end = start + len(powers) * step
    installed = {"old": Installed(None, None, moment), "new": Installed(None, moment, None)}
    two = of_these([*by("old", start, moment), *by("new", moment, end), *by("third", start, end)], installed)
    one = Energies(net_means(by("one", start, end))).over(start, end)
    assert Energies(net_means(two, installed=installed)).over(start, end) == one


@given(st.integers(-30, 75))
def test_without_a_list_an_exchange_beside_an_order_changes_nothing_and_one_within_it_is_a_gap(at: int) -> None:
    moment = utc("18:00") + timedelta(minutes=at)
    said = [
        whole.model_copy(update={"meter": meter, "starts_at": since, "ends_at": until})
        for whole in (quarter(minute, 28 * MW) for minute in range(-30, 75, 15))
        for meter, since, until in (
            ("old", whole.starts_at, min(whole.ends_at, moment)),
            ("new", max(whole.starts_at, moment), whole.ends_at),
        )
        if since < until
    ]
    assert delivered_wh(*AN_ORDER, said) == ([None] * 3 if 0 < at < 45 else [3 * MW] * 3)


def test_the_registry_s_meters_come_onto_the_log() -> None:
    registry = Registry.parse(example_registry_text() + ROWS)
    (found,) = (each for each in differences(registry, []) if each.site == "fra-1")
    assert found.meters == sorted(METERS, key=lambda each: each.meter)
    again = [found.model_copy(update={"meters": None})]
    assert [each.revision for each in differences(registry, again) if each.site == "fra-1"] == [2]


def test_a_meter_that_is_taken_out_before_it_came_is_refused() -> None:
    rows = "[sites.fra-1.meters.m]\nsince = 2024-05-12T18:20:00Z\nuntil = 2024-05-12T18:20:00Z\n"
    with pytest.raises(ConfigError, match=r"sites.fra-1.meters.m.until: expected a time after since \(2024-05-12T18"):
        Registry.parse(example_registry_text() + "\n" + rows)
