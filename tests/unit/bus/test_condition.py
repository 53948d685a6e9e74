"""What is said of a log follows from what its appends and its stamps were, whatever came in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from gridsignal_services.bus.condition import BELIEVED_S, SKEW_S, Condition

SECOND = 1_000_000
NOW_US = 1_800_000_000 * SECOND
DAY_S = 86_400


class Time:
    s = 0.0

    def __call__(self) -> float:
        return self.s


def a_condition(time: Time | None = None) -> Condition:
    return Condition(now_us=lambda: NOW_US, steady_s=time or Time())


STEPS = st.lists(
    st.tuples(st.sampled_from(["written", "failed", "away", "answers"]), st.sampled_from("abc"), st.floats(0, 40)),
    max_size=30,
)


@given(STEPS)
def test_a_log_is_in_trouble_while_a_place_failed_last_and_lately_or_it_does_not_answer(
    steps: list[tuple[str, str, float]],
) -> None:
    time, failed, away = Time(), dict[str, float](), False
    condition = a_condition(time)
    for what, place, pause_s in steps:
        time.s += pause_s
        if what == "written":
            condition.written(place)
            failed.pop(place, None)
        elif what == "failed":
            condition.failed(place, "full")
            failed[place] = time.s
        elif what == "away":
            condition.away("away")
            away = True
        else:
            condition.answers()
            away = False
        lately = any(time.s - at_s < BELIEVED_S for at_s in failed.values())
        assert condition.trouble == ("full" if lately else "away" if away else "")


@pytest.mark.parametrize("off_s", [-DAY_S, -5, 5, DAY_S])
def test_a_clock_that_is_off_is_said_with_its_side_until_it_agrees(off_s: int) -> None:
    condition = a_condition()
    condition.stamped(NOW_US - 1000, NOW_US + off_s * SECOND)
    assert condition.reason == (
        f"the log's clock is {abs(off_s)} s {'ahead of' if off_s > 0 else 'behind'} this machine's"
    )
    assert not condition.trouble  # all must read one time: it is told and no more
    condition.stamped(NOW_US - 1000, NOW_US)
    assert not condition.reason


@given(st.integers(0, 60), st.integers(0, 60))
def test_a_log_that_is_slow_is_no_clock_that_is_off(before_s: int, after_s: int) -> None:
    condition = a_condition()
    condition.stamped(NOW_US - (before_s + after_s) * SECOND, NOW_US - after_s * SECOND)
    assert not condition.reason


@given(st.integers(-400 * DAY_S, DAY_S))
def test_an_old_record_proves_nothing_and_one_of_the_future_does(off_s: int) -> None:
    condition = a_condition()
    condition.read(NOW_US + off_s * SECOND)
    assert bool(condition.reason) == (off_s > SKEW_S)


def test_all_of_it_is_counted() -> None:
    condition = a_condition()
    condition.failed("a", "full")
    condition.stamped(NOW_US, NOW_US + 5 * SECOND)
    page = generate_latest(condition.counted).decode()
    for line in (
        "gridsignal_log_appends_failed_total 1.0",
        "gridsignal_log_writable 0.0",
        "gridsignal_log_clock_ahead_seconds 5.0",
    ):
        assert line in page
