"""Work that moves between two zones: an order in each, both or neither."""

from __future__ import annotations

import pytest

from gridsignal_schemas.messages import OrderState, ShiftConfirm, ShiftReserved
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.values import MW
from gridsignal_services.owning.due import subject_of
from gridsignal_services.settlement.pinned import STANDARD_RULE
from tests.builders import a_request_cancellation, a_shift_release, an_area_registration, utc
from tests.unit.ledger.market import OPERATORS_NAME
from tests.unit.ledger.two_zones import COUNTERPART_W, FROM, SAME, THERE, TO, TwoZones

S = OrderState


def test_a_shift_is_one_award_and_an_order_in_each_zone() -> None:
    zones = TwoZones()
    zones.award()
    here, there = zones.here.order, zones.there.order
    assert here.shift_id == there.shift_id == here.order_id
    assert (there.zone, there.site, there.power_w, there.direction) == (THERE, "acme-2", COUNTERPART_W, "LOAD_INCREASE")
    assert (there.starts_at, there.ends_at, there.respond_by) == (here.starts_at, here.ends_at, here.respond_by)
    assert zones.room_w() == 20 * MW - COUNTERPART_W


@pytest.mark.parametrize("there", [THERE, SAME])
def test_both_are_delivered_and_both_are_settled(there: str) -> None:
    zones = TwoZones(settlement=STANDARD_RULE, there=there)
    zones.award()
    zones.answer(zones.here)
    zones.answer(zones.there)
    zones.run_until(utc("20:00"))
    assert [order.state for order in zones.orders()] == [S.COMPLETED] * 2
    assert zones.source.offered("acme").state is OfferState.DELIVERED
    for zone in (zones.source, zones.target):
        assert list(zone.ledger.book.settlements_owed), "each leg by the request's rule"
        assert not zone.ledger.book.shifts
        assert not zone.ledger.book.holds
        zone.replayed()


def test_no_room_in_the_other_zone_and_the_offer_is_passed_over_with_its_code() -> None:
    zones = TwoZones(there_w=50 * MW)
    zones.award()
    offered = zones.source.offered("acme")
    assert (offered.state, offered.codes) == (OfferState.FAILED_AWARD, ("OVERCOMMITTED",))
    assert zones.here.state is S.CANCELLED
    assert not zones.target.ledger.orders
    assert not [entry for entry, _ in zones.source.log if entry.record.record_name == "DispatchOrder"]


def test_who_is_next_in_merit_order_serves_what_could_not_move() -> None:
    zones = TwoZones(there_w=50 * MW, other=True)
    zones.source.offer("volt", 10 * MW, "95")
    zones.award()
    assert zones.source.ordered() == {"volt": 10 * MW}


def test_without_a_baseline_there_nothing_moves() -> None:
    zones = TwoZones()
    zones.target.ledger.book.declared.clear()
    zones.award()
    assert zones.source.offered("acme").codes == ("OVERCOMMITTED",)


def test_the_areas_of_the_other_zone_are_asked() -> None:
    zones = TwoZones()
    limits = {"max_ramp_down_w_per_min": None, "max_ramp_up_w_per_min": None, "max_change_w": None, "window_s": None}
    area = an_area_registration(zone=THERE, sites=["acme-2"], max_import_w=50 * MW, **limits)
    assert zones.target.add(area).accepted
    zones.award()
    assert zones.source.offered("acme").codes == ("AREA_LIMIT",)


def shifted_in_an_area() -> TwoZones:
    """The German leg lies in an area and leaves its baseline at 17:50Z; both have accepted."""
    zones = TwoZones()
    area = an_area_registration(sites=["acme-1"], max_ramp_down_w_per_min=MW, max_import_w=None)
    assert zones.source.add(area).accepted
    zones.award()
    assert zones.here.order.restore_not_before == zones.here.order.ends_at == utc("18:45")
    zones.answer(zones.here)
    zones.answer(zones.there)
    return zones


def test_a_leg_in_an_area_that_ends_with_the_other_is_held_no_longer() -> None:
    zones = shifted_in_an_area()
    zones.run_until(utc("18:20"))
    zones.answer(zones.there, "UNAVAILABLE", available_w=0)
    zones.act()
    assert (zones.here.order.ends_at, zones.here.order.restore_not_before) == (utc("18:20"), utc("18:20"))
    zones.source.replayed()


def test_a_leg_in_an_area_that_is_cancelled_on_its_way_is_held_no_longer() -> None:
    zones = shifted_in_an_area()
    zones.run_until(utc("17:55"))
    (request_id,) = zones.target.ledger.requests
    cancellation = a_request_cancellation(zone=THERE, request_id=request_id)
    assert zones.target.add(cancellation, OPERATORS_NAME).accepted
    zones.act()
    assert (zones.here.state, zones.here.order.restore_not_before) == (S.CANCELLED, utc("17:55"))
    zones.source.replayed()


def test_a_site_of_somebody_else_can_not_be_named() -> None:
    zones = TwoZones()
    zones.offer()
    zones.target.ledger.book.sites["acme-2"] = zones.target.ledger.book.sites["acme-2"].model_copy(
        update={"participant": "volt"}
    )
    zones.run_until(zones.source.request.gate_closure_at)
    assert zones.source.offered("acme").codes == ("SITE_UNKNOWN",)


def test_silence_of_the_other_zone_ends_at_the_deadline_and_a_late_word_counts_no_more() -> None:
    zones = TwoZones()
    zones.offer()
    zones.source.run_until(zones.source.request.gate_closure_at)
    zones.target.now = zones.source.now
    (reserve,) = zones.next_of(TO)
    assert zones.target.add(reserve).accepted
    assert zones.room_w() == 20 * MW - COUNTERPART_W, "held"
    (late,) = zones.next_of(FROM)
    zones.source.run_for(minutes=5)
    assert isinstance(late, ShiftReserved)
    assert zones.source.add(late).code == "NOT_OWED"
    assert zones.source.offered("acme").codes == ("SHIFT_UNANSWERED",)
    zones.target.run_for(days=1)
    assert zones.room_w() == 20 * MW - COUNTERPART_W, "never let go by a clock of its own"
    zones.act()
    assert zones.room_w() == 20 * MW
    assert zones.source.state is RequestState.UNMET


def test_nobody_answers_an_order_that_waits_for_the_other_zone() -> None:
    zones = TwoZones()
    zones.offer()
    zones.source.run_until(zones.source.request.gate_closure_at)
    assert zones.source.answer("acme").code == "ORDER_UNKNOWN"
    assert zones.source.change("acme", state=S.CANCELLED).code == "ILLEGAL_STATE"


@pytest.mark.parametrize("there", [THERE, SAME])
def test_a_leg_that_is_refused_or_not_answered_ends_both(there: str) -> None:
    for response in ("REFUSED", None):
        for at_the_source in (True, False):
            zones = TwoZones(there=there)
            zones.award()
            ends, other = (zones.here, zones.there) if at_the_source else (zones.there, zones.here)
            zones.answer(other)
            if response is not None:
                zones.answer(ends, response)
                zones.act()
            else:
                zones.run_until(utc("17:30"))
            assert other.state is S.CANCELLED
            assert other.order.reason_code == "SHIFT_OVER"
            assert zones.room_w() == 20 * MW
            assert not zones.source.ordered()


def test_a_leg_that_fails_while_it_runs_ends_both_where_it_failed() -> None:
    for at_the_source in (True, False):
        for response, available in (("UNAVAILABLE", 4 * MW), ("COMPLETED", None)):
            zones = TwoZones()
            zones.award()
            zones.answer(zones.here)
            zones.answer(zones.there)
            zones.run_until(utc("18:20"))
            ends, other = (zones.here, zones.there) if at_the_source else (zones.there, zones.here)
            zones.answer(ends, response, available_w=available)
            zones.act()
            assert ends.state in (S.ABORTED, S.COMPLETED)
            assert other.order.ends_at == utc("18:20")
            zones.run_until(utc("18:21"))
            assert other.state is S.COMPLETED


def test_an_operator_ends_both_and_makes_neither_longer() -> None:
    zones = TwoZones()
    zones.award()
    zones.answer(zones.here)
    zones.answer(zones.there)
    assert zones.source.change("acme", ends_at=utc("19:00")).code == "NOT_CHANGEABLE"
    assert zones.source.change("acme", ends_at=utc("18:30")).accepted
    zones.act()
    assert zones.there.order.ends_at == utc("18:30")
    zones.run_until(utc("18:31"))
    assert [order.state for order in zones.orders()] == [S.COMPLETED] * 2


@pytest.mark.parametrize("there", [THERE, SAME])
def test_a_shift_stays_one_however_often_it_is_shortened(there: str) -> None:
    for is_cancelled in (False, True):
        zones = TwoZones(there=there)
        zones.award()
        zones.answer(zones.here)
        zones.answer(zones.there)
        for until in ("18:40", "18:30"):
            assert zones.source.change(zones.here.order, ends_at=utc(until)).accepted
            zones.act()
            assert zones.there.order.ends_at == utc(until)
        if is_cancelled:
            assert zones.source.cancel().accepted
            zones.act()
            assert [order.state for order in zones.orders()] == [S.CANCELLED] * len(list(zones.orders()))
            continue
        zones.run_until(utc("18:20"))
        zones.answer(zones.there, "UNAVAILABLE", available_w=0)
        zones.act()
        assert zones.here.order.ends_at == utc("18:20")


def test_an_owner_that_has_passed_over_one_end_of_a_shift_still_tells_another() -> None:
    ledger = TwoZones().target.ledger
    ends = [a_shift_release(zone=THERE, ends_at=at) for at in (None, utc("18:30"), utc("18:20"))]
    assert len({subject_of(ledger, release) for release in ends}) == len(ends)


def test_work_moves_as_a_whole_or_not_at_all() -> None:
    zones = TwoZones()
    zones.award()
    assert zones.source.answer("acme", accepted_w=5 * MW).code == "ACCEPTED_W"


def test_a_repeat_is_ignored() -> None:
    zones = TwoZones()
    zones.award()
    for zone in (zones.source, zones.target):
        crossing = [entry.record for entry, _ in zone.log if entry.record.record_name.startswith("Shift")]
        assert crossing
        assert {zone.add(record).code for record in crossing} == {"NOT_OWED"}


def test_an_offer_that_names_no_site_there_is_an_order_here_alone() -> None:
    zones = TwoZones()
    zones.offer(site=None)
    zones.run_until(zones.source.request.gate_closure_at)
    assert zones.here.order.shift_id is None
    assert zones.here.state is S.ISSUED
    assert not zones.target.ledger.orders


def test_a_confirmation_of_nothing_is_nothing() -> None:
    zones = TwoZones()
    assert zones.target.add(ShiftConfirm(zone=THERE, shift_id="nothing")).code == "NOT_OWED"


def test_more_load_here_is_less_there() -> None:
    zones = TwoZones(direction="LOAD_INCREASE")
    zones.award()
    zones.answer(zones.here)
    zones.answer(zones.there)
    zones.run_until(utc("19:00"))
    assert (zones.there.order.direction, zones.there.power_w) == ("LOAD_DECREASE", COUNTERPART_W)
    assert [order.state for order in zones.orders()] == [S.COMPLETED] * 2


def test_less_load_there_ends_at_what_the_site_can_not_do_without() -> None:
    zones = TwoZones(direction="LOAD_INCREASE", there_w=23 * MW)  # of which 12 can't be shed
    zones.award()
    assert zones.source.offered("acme").codes == ("OVERCOMMITTED",)
