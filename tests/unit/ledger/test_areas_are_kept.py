"""A request is cleared so that no area leaves its limits: who is ordered when, and who is passed over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gridsignal_schemas.messages import (
    DispatchOrder,
    Flexibility,
    FlexibilityKind,
    OrderState,
    Rebound,
    RunMode,
    Workload,
)
from gridsignal_schemas.rules.lifecycle import OfferState
from gridsignal_schemas.values import MW
from gridsignal_services.dispatch import commands
from gridsignal_services.dispatch.book import line
from gridsignal_services.dispatch.shapes import ReleaseBody
from tests.builders import REQUEST_ID, an_area_registration, utc
from tests.unit.ledger.market import OPERATORS_NAME, OWNER, Market


def a_market(*sites: str, power_w: int = 120 * MW, **limits: Any) -> Market:
    """Sites of 60 MW to shed behind one substation with these limits; 100 MW in five minutes unless you say others."""
    market = Market()
    for who in sites:
        market.site(who, baseline_w=80 * MW, capacity_w=90 * MW)
    none = dict.fromkeys(
        ("max_ramp_down_w_per_min", "max_ramp_up_w_per_min", "max_change_w", "window_s", "max_import_w")
    )
    limits = limits or {"max_change_w": 100 * MW, "window_s": 300}
    area = an_area_registration(sites=[f"{who}-1" for who in sites], **none | limits)
    assert market.add(area).accepted
    assert market.ask(power_w=power_w).accepted
    return market


def offered(market: Market, who: str, price: str, power_w: int = 60 * MW, **changes: Any) -> None:
    changes = {"ramp_down_w_per_min": 60 * MW, "ramp_up_w_per_min": 60 * MW} | changes
    assert market.offer(who, power_w, price, **changes).accepted


def times(market: Market, who: str) -> tuple[Any, Any, Any]:
    order = market.order(who).order
    return order.starts_at, order.ends_at, order.restore_not_before


def rejected(market: Market) -> dict[str, tuple[str, str | None, str | None]]:
    (clearing,) = market.ledger.requests[REQUEST_ID].clearings
    return {each.participant: (each.code, each.area, each.limit) for each in clearing.rejected}


def test_two_of_60_mw_under_100_mw_in_five_minutes_are_staggered_there_and_back() -> None:
    market = a_market("acme", "volt")
    offered(market, "acme", "80")
    offered(market, "volt", "90")
    market.close()

    assert times(market, "acme") == (utc("18:00"), utc("18:45"), utc("18:45"))
    assert times(market, "volt") == (utc("18:07"), utc("18:45"), utc("18:52"))
    assert market.order("volt").order.max_ramp_w_per_min == 60 * MW
    market.replayed()


def test_without_an_area_nothing_is_staggered() -> None:
    market = a_market("acme", "volt", max_change_w=1000 * MW, window_s=300)
    offered(market, "acme", "80")
    offered(market, "volt", "90")
    market.close()

    assert times(market, "acme")[:2] == times(market, "volt")[:2] == (utc("18:00"), utc("18:45"))


def test_what_does_not_fit_at_any_time_is_passed_over_and_the_book_says_which_limit_it_was() -> None:
    market = a_market("acme", "volt", max_change_w=40 * MW, window_s=3600)
    offered(market, "acme", "80", 30 * MW)
    offered(market, "volt", "90", 30 * MW)
    market.close()

    assert market.ordered() == {"acme": 30 * MW}
    assert rejected(market) == {"volt": ("AREA_RAMP", "substation-east", "max_change_w")}
    assert market.offered("volt").codes == ("AREA_RAMP",)
    shown = line(market.ledger.book, ("volt", "volt-offer"), 2)
    assert (shown.area, shown.limit) == ("substation-east", "max_change_w")
    assert shown.reason.endswith("changed faster than it may: substation-east, max_change_w")
    market.replayed()


def test_a_ramp_is_slowed_down_to_what_the_area_bears() -> None:
    market = a_market("acme", max_ramp_down_w_per_min=10 * MW)
    offered(market, "acme", "80")
    market.close()

    assert market.order("acme").order.max_ramp_w_per_min == 10 * MW
    assert times(market, "acme")[0] == utc("18:00")


def test_an_order_has_one_ramp_there_and_back() -> None:
    market = a_market("acme", "volt")
    offered(market, "acme", "80", ramp_down_w_per_min=10 * MW)
    offered(market, "volt", "90")
    market.close()

    assert market.order("acme").order.max_ramp_w_per_min == 10 * MW
    assert times(market, "volt") == (utc("18:07"), utc("18:45"), utc("18:57"))


def test_an_increase_beyond_what_the_area_may_draw_is_passed_over() -> None:
    market = Market("acme", "volt", direction="LOAD_INCREASE", power_w=30 * MW)
    limits = {"max_import_w": 100 * MW, "max_change_w": None, "window_s": None}
    assert market.add(an_area_registration(sites=["acme-1", "volt-1"], **limits)).accepted
    shed = Flexibility(kind=FlexibilityKind.SHED, workload=Workload.BATCH)
    market.offer("acme", 15 * MW, "80", flexibility=shed)
    market.offer("volt", 15 * MW, "90", flexibility=shed)
    market.close()

    assert market.ordered() == {"acme": 15 * MW}
    assert rejected(market) == {"volt": ("AREA_LIMIT", "substation-east", "max_import_w")}


def test_a_clearing_that_no_longer_fits_at_its_own_offset_is_not_valid() -> None:
    market = a_market("acme", "volt")
    offered(market, "acme", "80")
    offered(market, "volt", "90")
    market.now = utc("17:00")
    made = market.by_hand()
    less = an_area_registration(revision=2, sites=["acme-1", "volt-1"], max_change_w=70 * MW, max_import_w=None)
    assert market.add(less).accepted

    outcome = market.add(made, OPERATORS_NAME)
    assert not outcome.accepted
    assert {broken.code for broken in outcome.faults} == {"AREA_RAMP"}


@given(early_s=st.integers(0, 59), ramp_s=st.integers(1680, 1760))
@example(early_s=30, ramp_s=1740)
def test_a_clearing_is_valid_as_decided_whatever_second_its_orders_end_at(early_s: int, ramp_s: int) -> None:
    """Around the longest that a site may be told to hold."""
    market = a_market("acme", "volt", max_ramp_up_w_per_min=60 * MW * 60 // ramp_s)
    ends_at = utc("18:45") - timedelta(seconds=early_s)
    shed = Flexibility(kind=FlexibilityKind.SHED, workload=Workload.BATCH)
    offered(market, "acme", "80", ends_at=ends_at, flexibility=shed)
    offered(market, "volt", "90", ends_at=ends_at, flexibility=shed)
    market.now = utc("17:00")

    assert market.add(market.by_hand(), OPERATORS_NAME).faults == ()
    assert "acme" in market.ordered()


def test_what_is_picked_by_hand_is_staggered_too() -> None:
    market = a_market("acme", "volt")
    offered(market, "acme", "80")
    offered(market, "volt", "90")
    market.now = utc("17:00")
    assert market.add(market.by_hand(("volt", 60 * MW), ("acme", 60 * MW)), OPERATORS_NAME).accepted

    assert times(market, "volt")[0] == utc("18:00")
    assert times(market, "acme")[0] == utc("18:07")


def test_a_refused_order_makes_room_for_whom_its_area_had_stopped() -> None:
    market = a_market("acme", "volt", power_w=60 * MW, max_change_w=40 * MW, window_s=3600)
    offered(market, "acme", "80", 30 * MW)
    offered(market, "volt", "90", 30 * MW)
    market.close()
    assert market.answer("acme", "REFUSED").accepted
    market.act()

    assert market.ordered() == {"volt": 30 * MW}
    assert market.offer_state("acme") is OfferState.FAILED_AWARD
    assert market.answer("volt").accepted
    market.run_until(utc("18:45"))
    assert market.order("volt").state is OrderState.COMPLETED
    market.replayed()


def running(market: Market) -> None:
    """Both are ordered, have accepted and run."""
    offered(market, "acme", "80")
    offered(market, "volt", "90")
    market.close()
    assert market.answer("acme").accepted
    assert market.answer("volt").accepted
    market.run_until(utc("18:20"))


def released(market: Market, who: str) -> DispatchOrder:
    """What the operator's door makes of a release now."""
    body = ReleaseBody(revision=None, ends_at=None, reason_code="EARLY", reason="")
    return commands.ending(market.ledger.book, market.order(who), body, OWNER, market.now)


def test_two_that_are_released_at_once_come_back_one_after_the_other() -> None:
    market = a_market("acme", "volt")
    running(market)
    at_once = released(market, "volt")
    assert market.add(released(market, "acme"), OPERATORS_NAME).accepted

    refused = market.add(at_once, OPERATORS_NAME)
    assert refused.code == "AREA_RAMP"
    assert refused.faults[0].message == "expected what area substation-east allows by max_change_w"
    assert market.add(released(market, "volt"), OPERATORS_NAME).accepted
    assert times(market, "volt")[1:] == (utc("18:20"), utc("18:27"))
    market.replayed()


def test_a_request_that_is_taken_back_lets_its_sites_come_back_one_after_the_other() -> None:
    market = a_market("acme", "volt")
    running(market)
    assert market.cancel().accepted

    assert times(market, "acme")[1:] == (utc("18:20"), utc("18:20"))
    assert times(market, "volt")[1:] == (utc("18:20"), utc("18:27"))
    market.replayed()


def test_an_order_that_is_cancelled_on_its_way_comes_back_beside_the_others() -> None:
    market = a_market("acme", "volt")
    offered(market, "acme", "80")
    offered(market, "volt", "90", ramp_down_w_per_min=10 * MW)
    market.close()
    assert market.answer("acme").accepted
    assert market.answer("volt").accepted
    market.run_until(utc("18:09"))
    assert market.cancel().accepted

    assert market.order("volt").state is OrderState.CANCELLED
    waits_until = [market.order(who).order.restore_not_before for who in ("acme", "volt")]
    assert waits_until == [utc("18:09"), utc("18:16")]
    market.replayed()


def test_an_extension_that_its_area_does_not_bear_is_refused_or_waits_to_come_back() -> None:
    market = a_market("acme", "volt")
    offered(market, "acme", "80", ends_at=utc("19:30"), max_duration_s=5400)
    offered(market, "volt", "90", ends_at=utc("19:30"), max_duration_s=5400)
    market.close()
    assert market.answer("acme").accepted
    assert market.answer("volt").accepted
    market.run_until(utc("18:20"))

    refused = market.change("acme", ends_at=utc("18:52"), restore_not_before=utc("18:52"))
    assert refused.code == "AREA_RAMP"
    assert market.change("acme", ends_at=utc("18:52"), restore_not_before=utc("18:59")).accepted
    assert market.change("acme", ends_at=utc("19:00"), restore_not_before=utc("19:31")).code == "NOT_AS_OFFERED"


def test_a_declared_rebound_is_part_of_what_is_held_against_the_area() -> None:
    market = a_market("acme", "volt", max_import_w=170 * MW)
    rebound = Rebound(energy_wh=MW, peak_w=15 * MW, earliest=utc("19:00"), latest=utc("20:00"))
    flexibility = Flexibility(
        kind=FlexibilityKind.SHIFT_TIME, workload=Workload.TRAINING, complete_by=utc("22:00"), rebound=rebound
    )
    offered(market, "acme", "80", flexibility=flexibility)
    offered(market, "volt", "90", flexibility=Flexibility(kind=FlexibilityKind.SHED, workload=Workload.BATCH))
    market.close()

    assert market.ordered() == {"volt": 60 * MW}
    assert rejected(market) == {"acme": ("AREA_LIMIT", "substation-east", "max_import_w")}


def test_a_rehearsal_takes_no_room_from_what_is_meant() -> None:
    market = a_market("acme", "volt")
    assert market.ask(request_id="rehearsal", power_w=60 * MW, run_mode=RunMode.DRY_RUN).accepted
    offered(market, "acme", "80", request_id="rehearsal", offer_id="dry")
    offered(market, "volt", "90")
    market.close()

    assert times(market, "volt") == (utc("18:00"), utc("18:45"), utc("18:45"))
