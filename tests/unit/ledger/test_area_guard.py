"""What an area still allows: ramps there and back, windows, rebounds and imports, held against its limits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import Direction, Rebound
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.area_guard import AreaGuard, Cut
from gridsignal_services.ledger.staggering import staggered
from gridsignal_services.ledger.swings import Course, Swing, ended, followed, swing_of
from tests.builders import an_area_registration, utc
from tests.unit.ledger.market import Market

MINUTE = timedelta(minutes=1)
DOWN, UP = Direction.LOAD_DECREASE, Direction.LOAD_INCREASE


def a_course(**changes: Any) -> Course:
    """10 MW less from 18:00Z to 18:45Z, at 10 MW a minute there and back."""
    fields: dict[str, Any] = {
        "direction": DOWN,
        "power_w": 10 * MW,
        "starts_at": utc("18:00"),
        "restores_at": utc("18:45"),
        "ramp_w_per_min": 10 * MW,
        "back_w_per_min": 10 * MW,
    }
    return Course(**fields | changes)


def swing(**changes: Any) -> Swing:
    return swing_of(a_course(**changes), is_dry=False)


def guarded(*held: Swing, **limits: Any) -> AreaGuard:
    """The guard of one area around acme-1 and volt-1, in which these are ordered."""
    market = Market()
    market.site("acme")
    market.site("volt")
    none = dict.fromkeys(
        ("max_ramp_down_w_per_min", "max_ramp_up_w_per_min", "max_change_w", "window_s", "max_import_w")
    )
    assert market.add(an_area_registration(sites=["acme-1", "volt-1"], **none | limits)).accepted
    for at, each in enumerate(held):
        market.ledger.book.hold("acme-1", f"order-{at}", each)
    return AreaGuard(market.ledger.book)


def cut(guard: AreaGuard, **changes: Any) -> tuple[str, datetime | None] | None:
    found = guard.cut("volt-1", swing(**changes))
    return None if found is None else (found.limit, found.until)


def slowest(guard: AreaGuard, site: str, change_w: int) -> tuple[str, int | None] | None:
    found = guard.slowest(site, change_w)
    return None if found is None else (found.limit, found.most)


def test_two_that_ramp_at_once_are_faster_than_the_area_may_fall() -> None:
    guard = guarded(swing(), max_ramp_down_w_per_min=15 * MW)

    assert cut(guard) == ("max_ramp_down_w_per_min", utc("18:01"))
    assert cut(guard, starts_at=utc("18:02")) is None
    assert cut(guard, ramp_w_per_min=5 * MW) is None
    assert guard.cut("elsewhere-1", swing()) is None


def test_two_that_come_back_at_once_are_faster_than_the_area_may_rise() -> None:
    guard = guarded(swing(), max_ramp_up_w_per_min=15 * MW)

    assert cut(guard) == ("max_ramp_up_w_per_min", utc("18:47"))
    assert cut(guard, restores_at=utc("18:47")) is None


def test_a_window_holds_what_falls_within_it_wherever_it_begins() -> None:
    guard = guarded(swing(), max_change_w=15 * MW, window_s=300)

    assert cut(guard, restores_at=utc("19:30")) == ("max_change_w", utc("18:06"))
    assert cut(guard, starts_at=utc("18:07"), restores_at=utc("19:30")) is None
    assert cut(guard, starts_at=utc("17:54"), restores_at=utc("19:30")) == ("max_change_w", utc("18:06"))
    assert cut(guard, starts_at=utc("17:53"), restores_at=utc("19:30")) is None


def test_what_rises_is_not_set_off_against_what_falls() -> None:
    guard = guarded(swing(), max_change_w=15 * MW, window_s=300)

    assert cut(guard, direction=UP, starts_at=utc("18:00"), restores_at=utc("19:30")) is None
    assert cut(guard, direction=UP, starts_at=utc("18:46"), restores_at=utc("19:30")) == ("max_change_w", utc("18:52"))


def test_what_can_never_fit_says_that_no_other_time_helps() -> None:
    guard = guarded(max_change_w=5 * MW, window_s=300, max_ramp_up_w_per_min=8 * MW)

    assert cut(guard) == ("max_change_w", None)
    assert slowest(guard, "volt-1", 10 * MW) == ("max_change_w", MW)
    assert slowest(guard, "volt-1", 5 * MW) == ("max_ramp_up_w_per_min", 8 * MW)
    assert slowest(guard, "elsewhere-1", 10 * MW) is None
    assert cut(guard, ramp_w_per_min=MW, back_w_per_min=MW) is None


def test_a_declared_rebound_counts_for_as_long_as_it_may_come() -> None:
    rebound = Rebound(energy_wh=1, peak_w=4 * MW, earliest=utc("19:00"), latest=utc("21:00"))
    guard = guarded(swing(rebound=rebound), max_ramp_up_w_per_min=12 * MW)

    assert cut(guard, starts_at=utc("19:10"), restores_at=utc("20:00")) == ("max_ramp_up_w_per_min", utc("21:01"))
    assert cut(guard, starts_at=utc("19:10"), restores_at=utc("21:01")) is None


@given(
    power_w=st.integers(1, 50 * MW),
    peak_w=st.integers(0, 10_000 * MW),
    lasts=st.timedeltas(timedelta(seconds=1), timedelta(days=30_000)),
    later=st.timedeltas(timedelta(0), timedelta(days=30_000)),
    back_w_per_min=st.integers(1, 50 * MW),
    direction=st.sampled_from([UP, DOWN]),
)
def test_an_order_holds_an_area_for_three_days_at_most_and_with_no_more_than_what_follows_from_its_power(
    power_w: int, peak_w: int, lasts: timedelta, later: timedelta, back_w_per_min: int, direction: Direction
) -> None:
    earliest = utc("18:45") + later
    rebound = Rebound(energy_wh=1, peak_w=peak_w, earliest=earliest, latest=earliest + lasts)
    made = swing(power_w=power_w, rebound=rebound, back_w_per_min=back_w_per_min, ramp_w_per_min=1, direction=direction)

    assert made.until <= utc("18:45") + timedelta(days=3)
    assert max(move.change_w for move in made.moves) <= 4 * power_w
    assert all(block.ends_at <= made.until and block.power_w <= 4 * power_w for block in made.draws)


def test_an_area_with_ever_so_many_gaps_that_are_too_small_costs_one_option_no_more_than_so_many_looks() -> None:
    held = [swing(starts_at=utc("18:00") + at * 12 * MINUTE, restores_at=None) for at in range(300)]
    guard, looked = guarded(*held, max_change_w=15 * MW, window_s=600), list[datetime]()

    def ends_of(starts_at: datetime) -> datetime:
        looked.append(starts_at)
        return starts_at + 45 * MINUTE

    found = staggered(guard, "volt-1", a_course(), ready_at=utc("17:00"), ends_of=ends_of, is_dry=False)
    assert isinstance(found, Cut)
    assert (found.code, len(looked)) == ("AREA_RAMP", 64)


def test_what_a_site_draws_more_is_held_against_what_the_others_have_declared() -> None:
    guard = guarded(swing(direction=UP), max_import_w=95 * MW)

    assert guard.cut("volt-1", swing(direction=UP)) == Cut("AREA_LIMIT", "substation-east", "max_import_w")
    assert guard.cut("volt-1", swing(direction=UP, power_w=5 * MW)) is None
    assert guard.cut("volt-1", swing()) is None
    beyond = swing(direction=UP, power_w=5 * MW, starts_at=utc("18:00") + timedelta(days=9), restores_at=None)
    assert guard.cut("volt-1", beyond) is not None, "whoever declared nothing counts with its connection"


def test_a_rehearsal_is_counted_by_rehearsals_alone() -> None:
    rehearsed = swing()._replace(is_dry=True)
    guard = guarded(rehearsed, max_ramp_down_w_per_min=15 * MW)

    assert cut(guard) is None
    assert AreaGuard(guard._book, is_dry=True).cut("volt-1", swing()) is not None
    assert AreaGuard(guard._book, is_dry=True, without="order-0").cut("volt-1", swing()) is None


def test_what_has_begun_is_not_undone_by_another_order() -> None:
    before, less = swing(), a_course(power_w=4 * MW)

    assert followed(before, less, utc("17:59")) == swing_of(less, is_dry=False)
    derated = followed(before, less, utc("18:20"))
    assert derated.there == before.there
    assert [(move.since, move.change_w, move.is_up) for move in derated.corrections] == [(utc("18:20"), 6 * MW, True)]
    assert derated.back is not None
    assert derated.back.change_w == 4 * MW


def test_an_order_that_ends_early_comes_back_at_once_and_one_that_never_began_leaves_nothing() -> None:
    assert ended(swing(), a_course(), utc("17:59")) is None
    over = ended(swing(), a_course(), utc("18:20"))
    assert over is not None
    assert [(move.since, move.change_w) for move in over.corrections] == [(utc("18:20"), 10 * MW)]
    assert ended(swing(), a_course(), utc("18:45")) == swing()


courses = st.builds(
    a_course,
    direction=st.sampled_from((DOWN, UP)),
    power_w=st.integers(1, 30).map(MW.__mul__),
    starts_at=st.integers(0, 60).map(lambda at: utc("18:00") + at * MINUTE),
    restores_at=st.integers(61, 120).map(lambda at: utc("18:00") + at * MINUTE),
    ramp_w_per_min=st.integers(1, 30).map(MW.__mul__),
    back_w_per_min=st.integers(1, 30).map(MW.__mul__),
)


@given(
    st.lists(st.tuples(courses, st.integers(0, 60), st.integers(0, 60)), max_size=6),
    st.integers(5, 60),
    st.integers(5, 60),
    st.integers(60, 900),
)
def test_whatever_the_guard_lets_in_no_window_and_no_moment_is_beyond_a_limit(
    asked: list[tuple[Course, int, int]], rate: int, change: int, window_s: int
) -> None:
    """Held against ramps run second by second, each at its own moment within what settling leaves it."""
    limits = {"max_ramp_down_w_per_min": rate * MW, "max_ramp_up_w_per_min": rate * MW}
    guard = guarded(**limits, max_change_w=change * MW, window_s=window_s)
    fell: list[int] = [0] * 4 * 3600
    for course, late_s, later_s in asked:
        each = swing_of(course, is_dry=False)
        if guard.cut("volt-1", each) is not None:
            continue
        guard.take("volt-1", each)
        for move, late in ((each.there, late_s), (each.back, later_s)):
            assert move is not None
            first = int((move.since - utc("17:00")).total_seconds()) + late
            left = move.change_w
            while left > 0:
                step = min(left, move.rate_w_per_min // 60)
                fell[first] += 0 if move.is_up else step
                left -= step
                first += 1
    assert max(fell) * 60 <= rate * MW
    reached = [0]
    for step in fell:
        reached.append(reached[-1] + step)
    assert all(reached[at + window_s] - reached[at] <= change * MW for at in range(len(fell) - window_s))
