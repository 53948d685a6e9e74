"""Received, accepted, applied, verified and failed are told apart."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.orders import (
    ACTUATOR,
    METER,
    Due,
    Followed,
    Patience,
    Stage,
    accepted,
    commitment_of,
    due,
    heard,
    judged,
    shares,
    told,
)
from gridsignal_schemas.messages import DispatchOrder
from gridsignal_schemas.values import MW
from tests.builders import a_dispatch_order, utc

START, END = utc("18:00"), utc("18:45")
PATIENCE = Patience(apply_s=60, verify_s=300, tolerance=0.05)
S = timedelta(seconds=1)


def an_order(**changes: Any) -> DispatchOrder:
    named = {"state": "ISSUED", "starts_at": START, "ends_at": END, "power_w": 4 * MW, "direction": "LOAD_DECREASE"}
    return a_dispatch_order(**named | {"restore_not_before": None, "max_ramp_w_per_min": None} | changes)


def bound(watts: int = 4 * MW, **changes: Any) -> Followed:
    return accepted(Followed(order=an_order(power_w=watts, **changes)), watts)


def seen(followed: Followed, at_s: int, applied_w: int, metered_w: int | None = None) -> Followed:
    return judged(followed, START + at_s * S, applied_w=applied_w, metered_w=metered_w, patience=PATIENCE)


def test_an_order_is_applied_when_the_actuator_holds_it_and_verified_when_the_meter_shows_it() -> None:
    followed = Followed(order=an_order())
    assert commitment_of(followed) is None, "what is not accepted moves nothing"
    followed = accepted(followed, 4 * MW)
    assert (followed.stage, due(followed)) == (Stage.ACCEPTED, None)
    assert seen(followed, -1, 4 * MW) == followed, "its time has not come"
    followed = seen(followed, 5, 4 * MW)
    assert (followed.stage, due(followed)) == (Stage.APPLIED, Due("STARTED"))
    followed = seen(told(followed, Due("STARTED")), 10, 4 * MW)
    assert (followed.stage, due(followed)) == (Stage.APPLIED, None), "without a meter nothing is verified"
    followed = seen(followed, 60, 4 * MW, 39 * MW // 10)
    assert (followed.stage, due(followed)) == (Stage.VERIFIED, Due("SUSTAINING"))
    over = seen(told(followed, Due("SUSTAINING")), 45 * 60, 0)
    assert (over.stage, due(over)) == (Stage.RESTORING, Due("COMPLETED"))
    assert commitment_of(over) is not None, "its load comes back in steps"
    assert due(told(over, Due("COMPLETED"))) is None


def test_what_the_actuator_does_not_hold_in_time_is_told_with_what_remains() -> None:
    followed = seen(bound(), 0, 3 * MW)
    assert (followed.stage, due(followed)) == (Stage.ACCEPTED, None)
    followed = seen(followed, 60, 3 * MW)
    report = due(followed)
    assert report is not None
    assert report[:3] == ("UNAVAILABLE", 3 * MW, ACTUATOR)
    followed = seen(told(followed, report), 65, 3 * MW)
    assert (followed.stage, followed.told_w, due(followed)) == (Stage.APPLIED, 3 * MW, Due("STARTED"))


def test_what_the_meter_does_not_show_in_time_is_told_with_what_it_shows() -> None:
    followed = seen(seen(bound(), 5, 4 * MW), 200, 4 * MW, 1 * MW)
    assert due(told(followed, Due("STARTED"))) is None
    followed = seen(followed, 305, 4 * MW, 1 * MW)
    report = due(followed)
    assert report is not None
    assert report[:3] == ("UNAVAILABLE", 1 * MW, METER)
    nothing = seen(seen(bound(), 5, 4 * MW), 305, 4 * MW, 0)
    assert (nothing.stage, nothing.is_live, due(nothing).available_w) == (Stage.FAILED, False, 0)


def test_a_dry_run_is_answered_and_moves_nothing() -> None:
    followed = bound(run_mode="DRY_RUN")
    assert commitment_of(followed) is None
    assert seen(followed, 5, 0).stage is Stage.VERIFIED


def test_after_a_restart_the_log_says_what_binds_and_what_has_failed_is_told_again() -> None:
    order = an_order(state="ACTIVE", revision=2)
    assert heard(None, order, 3 * MW).binds_w == 3 * MW
    failed = seen(seen(bound(), 0, 3 * MW), 60, 3 * MW)
    again = heard(failed, order, 4 * MW)
    assert (again.binds_w, again.told_w, due(again).report) == (3 * MW, 4 * MW, "UNAVAILABLE")
    cancelled = heard(bound(), an_order(state="CANCELLED"))
    assert (cancelled.stage, due(cancelled)) == (Stage.OVER, None)


def test_an_order_that_is_lowered_binds_to_less() -> None:
    lowered = heard(bound(), an_order(state="ACTIVE", power_w=2 * MW, revision=2))
    assert (lowered.binds_w, lowered.told_w) == (2 * MW, 2 * MW)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9 * MW), st.booleans()), max_size=5),
    st.integers(-50 * MW, 50 * MW),
)
def test_what_is_missing_is_missing_of_the_orders_once(orders: list[tuple[int, int, bool]], short_w: int) -> None:
    followed = [
        bound(
            watts,
            order_id=f"o{at}",
            starts_at=START + minute * 60 * S,
            direction="LOAD_INCREASE" if is_up else "LOAD_DECREASE",
        )
        for at, (minute, watts, is_up) in enumerate(orders)
    ]
    left = shares(short_w, followed, START + 300 * S)
    assert all(0 <= left[each.order.order_id] <= each.binds_w for each in followed)
    lacking = [each for each in followed if (each.order.direction == "LOAD_INCREASE") == (short_w < 0)]
    there = sum(each.binds_w for each in lacking)
    assert sum(left[each.order.order_id] for each in lacking) == max(0, there - abs(short_w))
    others = [each for each in followed if each not in lacking]
    assert all(left[each.order.order_id] == each.binds_w for each in others)


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 4 * MW), st.none() | st.integers(0, 5 * MW)), max_size=8))
def test_what_an_order_binds_to_never_rises_and_every_report_is_said_once(
    looks: list[tuple[int, int, int | None]],
) -> None:
    followed, said = bound(), list[Due]()
    for at_s, applied_w, metered_w in sorted(looks, key=lambda look: look[0]):
        before, followed = followed, seen(followed, at_s, applied_w, metered_w)
        assert followed.binds_w <= before.binds_w
        while (report := due(followed)) is not None:
            said.append(report)
            followed = told(followed, report)
    assert len(said) == len(set(said))
    lowered = [report.available_w for report in said if report.report == "UNAVAILABLE"]
    assert lowered == sorted(lowered, reverse=True)
    assert [report.report for report in said].count("STARTED") <= 1
