"""What an order delivered: readings against the baseline, shared among orders, with gaps where nothing is known."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from gridsignal import MW
from gridsignal_schemas.messages import DispatchOrder, MeterPoint, MeterReading, OrderResponse, Quality, ResponseKind
from gridsignal_services.ledger.delivered import DeliveryInterval
from gridsignal_services.settlement.energy import net_means
from tests.builders import (
    a_baseline_declaration,
    a_dispatch_request,
    a_flex_offer,
    a_meter_reading,
    a_site_registration,
    an_option,
    an_order_response,
    utc,
)
from tests.metered import delivery
from tests.unit.ledger.zone import Zone


def a_zone(baseline_w: int = 40 * MW) -> Zone:
    """fra-1 with a flat baseline, at noon."""
    zone = Zone(utc("12:00"))
    zone.add(a_site_registration())
    zone.add(a_baseline_declaration(power_w=[baseline_w] * 96))
    return zone


def ordered(zone: Zone, power_w: int, number: int = 1) -> DispatchOrder:
    """A request over the ordinary period, offered, cleared, and accepted in full; its order."""
    request = a_dispatch_request(request_id=f"r{number}", power_w=power_w, min_quantity_w=0)
    assert zone.add(request, "operator:tso-north").accepted
    offer = a_flex_offer(
        offer_id=f"o{number}", request_id=f"r{number}", options=[an_option(power_w=power_w, min_power_w=0)]
    )
    assert zone.add(offer, "participant:acme-ai").accepted
    zone.run_until(request.gate_closure_at)
    (order_id,) = zone.ledger.requests[f"r{number}"].orders
    order = zone.ledger.orders[order_id].order
    assert zone.add(answer(order, number), "participant:acme-ai").accepted
    return order


def two_orders(zone: Zone) -> tuple[DispatchOrder, DispatchOrder]:
    """Two orders over the same period at one site: 12 MW, accepted first, and 10 MW."""
    first = ordered(zone, 12 * MW)
    request = a_dispatch_request(request_id="r2", power_w=10 * MW, min_quantity_w=0, gate_closure_at=utc("17:05"))
    assert zone.add(request, "operator:tso-north").accepted
    offer = a_flex_offer(offer_id="o2", request_id="r2", options=[an_option(power_w=10 * MW)])
    assert zone.add(offer, "participant:acme-ai").accepted
    zone.run_until(utc("17:05"))
    second = zone.ledger.orders[zone.ledger.requests["r2"].orders[0]].order
    assert zone.add(answer(second, 2), "participant:acme-ai").accepted
    return first, second


def handed_over(zone: Zone) -> DispatchOrder:
    """The site goes to volt-colo, who is ordered 12 MW over the same period; its order."""
    zone.add(a_site_registration(participant="volt-colo", revision=2))
    request = a_dispatch_request(request_id="r2", power_w=12 * MW, min_quantity_w=0, gate_closure_at=utc("17:05"))
    assert zone.add(request, "operator:tso-north").accepted
    offer = a_flex_offer(
        offer_id="o2", request_id="r2", participant="volt-colo", options=[an_option(power_w=12 * MW, min_power_w=0)]
    )
    assert zone.add(offer, "participant:volt-colo").accepted
    zone.run_until(utc("17:05"))
    order = zone.ledger.orders[zone.ledger.requests["r2"].orders[0]].order
    accepted = answer(order, 2).model_copy(update={"participant": "volt-colo"})
    assert zone.add(accepted, "participant:volt-colo").accepted
    return order


def answer(order: DispatchOrder, number: int) -> OrderResponse:
    return an_order_response(
        response_id=f"a{number}",
        order_id=order.order_id,
        request_id=order.request_id,
        revision=order.revision,
        response=ResponseKind.ACCEPTED,
        accepted_w=order.power_w,
    )


def quarter(minutes: int, import_w: int, **changes: object) -> MeterReading:
    starts_at = utc("18:00") + timedelta(minutes=minutes)
    period = {"starts_at": starts_at, "ends_at": starts_at + timedelta(minutes=15), "seq": minutes + 1000}
    return a_meter_reading(**period | {"import_w": import_w} | changes)


def delivered(zone: Zone, order: DispatchOrder, *readings: MeterReading) -> list[DeliveryInterval]:
    return delivery(zone.ledger.book, zone.ledger.orders[order.order_id], readings)


@pytest.mark.parametrize(
    ("actual_mw", "delivered_mw", "missing_mw"), [(7, 2, 0), (8, 2, 0), (9, 1, 1), (10, 0, 2), (11, 0, 3)]
)
def test_the_worked_example_of_uftp(actual_mw: int, delivered_mw: int, missing_mw: int) -> None:
    zone = a_zone(10 * MW)
    zone.ledger.book.sites["fra-1"] = a_site_registration(minimum_load_w=0)
    order = ordered(zone, 2 * MW)

    (interval,) = delivered(zone, order, quarter(0, actual_mw * MW))

    assert (interval.baseline_w, interval.ordered_w) == (10 * MW, 2 * MW)
    assert (interval.delivered_w, interval.deficiency_w) == (delivered_mw * MW, missing_mw * MW)
    assert interval.delivered_wh == delivered_mw * 250_000
    assert interval.amount == delivered_mw * Decimal("22.5") - missing_mw * Decimal(11)  # 90 and 44 EUR/MWh


def test_one_deviation_is_not_paid_twice() -> None:
    zone = a_zone()
    first, second = two_orders(zone)

    (of_first,) = delivered(zone, first, quarter(0, 24 * MW))
    (of_second,) = delivered(zone, second, quarter(0, 24 * MW))

    assert (of_first.delivered_w, of_first.deficiency_w) == (12 * MW, 0)
    assert (of_second.delivered_w, of_second.deficiency_w) == (4 * MW, 6 * MW)


def test_readings_outside_the_order_count_for_nothing() -> None:
    zone = a_zone()
    order = ordered(zone, 12 * MW)
    assert delivered(zone, order, quarter(-15, 28 * MW), quarter(45, 28 * MW)) == []


def test_a_reading_over_the_edge_counts_for_what_lies_inside() -> None:
    zone = a_zone()
    order = ordered(zone, 12 * MW)
    half_hour = quarter(-15, 28 * MW, ends_at=utc("18:15"))
    assert [(line.starts_at, line.ends_at) for line in delivered(zone, order, half_hour)] == [period("18:00", "18:15")]


def test_an_hour_is_cut_where_the_baseline_steps() -> None:
    zone = a_zone()
    curve = [40 * MW] * 81 + [41 * MW] * 15  # one more megawatt from 18:15Z on
    assert zone.add(a_baseline_declaration(power_w=curve)).accepted
    order = ordered(zone, 12 * MW)
    lines = delivered(zone, order, quarter(0, 30 * MW, ends_at=utc("18:45")))
    assert [(line.starts_at.minute, line.baseline_w, line.delivered_w) for line in lines] == [
        (0, 40 * MW, 10 * MW),
        (15, 41 * MW, 11 * MW),
        (30, 41 * MW, 11 * MW),
    ]


@pytest.mark.parametrize("quality", [Quality.MISSING, Quality.BAD, Quality.UNKNOWN])
def test_a_bad_reading_is_a_gap_and_not_zero(quality: Quality) -> None:
    zone = a_zone()
    order = ordered(zone, 12 * MW)
    (line,) = delivered(zone, order, quarter(0, 28 * MW, quality=quality))
    assert (line.actual_w, line.delivered_w, line.deficiency_w, line.delivered_wh) == (None, None, None, None)


def test_the_meters_of_a_connection_point_are_added_and_others_left_out() -> None:
    means = net_means(
        [
            quarter(0, 20 * MW, meter="north"),
            quarter(0, 10 * MW, meter="south", export_w=2 * MW),
            quarter(0, 9 * MW, meter="racks", point=MeterPoint.IT),
            quarter(0, 19 * MW, meter="north", seq=1001),
        ]
    )
    assert [mean.net_w for mean in means] == [27 * MW]


def period(starts_at: str, ends_at: str) -> tuple[datetime, datetime]:
    return utc(starts_at), utc(ends_at)


def test_what_an_order_takes_first_is_what_was_ordered_then() -> None:
    zone = a_zone()
    first, second = two_orders(zone)
    zone.run_until(utc("18:15"))
    broken_off = answer(first, 3).model_copy(
        update={"response": ResponseKind.UNAVAILABLE, "accepted_w": None, "available_w": 0}
    )
    assert zone.add(broken_off, "participant:acme-ai").accepted
    intervals = delivered(zone, second, quarter(0, 20 * MW), quarter(15, 20 * MW))
    assert [each.delivered_w for each in intervals] == [8 * MW, 10 * MW]


def test_who_has_a_site_next_delivers_nothing_of_what_was_ordered_of_the_last() -> None:
    zone = a_zone()
    before = ordered(zone, 12 * MW)
    after = handed_over(zone)
    readings = [quarter(minutes, 28 * MW, participant="volt-colo") for minutes in (0, 15, 30)]
    assert [interval.delivered_wh for interval in delivered(zone, after, *readings)] == [3_000_000] * 3
    assert [interval.delivered_wh for interval in delivered(zone, before, quarter(0, 28 * MW))] == [3_000_000]
