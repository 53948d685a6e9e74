"""What each method makes of a history: the worked figures of the field, to the last digit, and laws beside them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_services.settlement.baseline_said import Baseline, Event, NoBaseline, Site
from gridsignal_services.settlement.baselines import baseline
from gridsignal_services.settlement.days import Calendar, public_holidays
from gridsignal_services.settlement.figures import FACTOR_PLACES, figure
from gridsignal_services.settlement.history import History
from gridsignal_services.settlement.methods import METHODS, changed
from gridsignal_services.settlement.reading_rows import readings
from gridsignal_services.settlement.said import Said
from tests.effort import examples
from tests.reading_files import BERLIN, csv_of, hours, ten_days, working_days_before

LONDON = ZoneInfo("Europe/London")
DAY = date(2024, 5, 14)
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)
WARM, HOT = (110, 114, 118), (120, 124, 128)


def site_of(text: str, zone: ZoneInfo = BERLIN, holidays: str = "", event_days: str = "") -> Site:
    place = public_holidays(holidays, date(2023, 1, 1), date(2024, 12, 31)) if holidays else frozenset()
    days = frozenset(map(date.fromisoformat, event_days.split()))
    calendar = Calendar(zone, place)
    return Site(History.by_days(readings(text.splitlines(keepends=True)), calendar), calendar, days)


def event(day: date = DAY, starts: str = "17:00", ends: str = "18:00", zone: ZoneInfo = BERLIN) -> Event:
    calendar = Calendar(zone)
    return Event(day, calendar.at(day, time.fromisoformat(starts)), calendar.at(day, time.fromisoformat(ends)))


def of_ten_days(name: str, today_w: tuple[int, int, int] = WARM, **parameters: object) -> Baseline:
    return baseline(changed(METHODS[name], parameters), site_of(ten_days(DAY, today_w)), event(), HOUR)


def figures(powers_w: tuple[Fraction, ...]) -> list[int | float]:
    return list(map(figure, powers_w))


@pytest.mark.parametrize(
    ("name", "parameters", "history_w"),
    [
        ("caiso-10-of-10", {}, 103.0),
        ("high-5-of-10", {}, 108.0),
        ("high-5-of-10", {"pick": "MID", "x": 4}, 103.0),
        ("high-4-of-5", {}, 104.0),
    ],
)
def test_the_mean_of_the_days_that_a_method_picks(name: str, parameters: dict[str, object], history_w: float) -> None:
    assert figures(of_ten_days(name, **parameters).history_w) == [history_w]


@pytest.mark.parametrize(
    ("today_w", "parameters", "baseline_w"),
    [
        (WARM, {}, 123.0818),
        (WARM, {"adjust": "ADDITIVE"}, 121.6),
        (HOT, {}, 123.6),
        (HOT, {"clip": "0.3"}, 133.8784),
    ],
)
def test_the_history_is_adjusted_by_the_hours_before_the_event(
    today_w: tuple[int, int, int], parameters: dict[str, object], baseline_w: float
) -> None:
    assert figures(of_ten_days("caiso-10-of-10", today_w, **parameters).baseline_w) == [baseline_w]


def test_the_adjustment_is_told_as_a_factor_or_in_watts() -> None:
    factor = of_ten_days("caiso-10-of-10").adjustment
    assert (factor.kind, figure(factor.value, FACTOR_PLACES)) == ("SCALAR", 1.1949685535)
    assert of_ten_days("caiso-10-of-10", HOT).adjustment == ("SCALAR", Fraction(6, 5))
    assert of_ten_days("caiso-10-of-10", adjust="ADDITIVE").adjustment == ("ADDITIVE", Fraction("18.6"))


def december(values: tuple[str, ...] = ("1.1", "1.2", "1.3"), many: int = 10) -> str:
    days = working_days_before(date(2023, 12, 25), many)
    return csv_of(line for at, day in enumerate(days) for line in hours(day, {17: values[at % len(values)]}, LONDON))


@pytest.mark.parametrize(
    ("event_days", "days"),
    [("", "22 21 20 19 18 15 14 13 12 11"), ("2023-12-20", "22 21 19 18 15 14 13 12 11 8")],
)
def test_the_last_ten_working_days_without_event_days(event_days: str, days: str) -> None:
    site = site_of(december(many=11), LONDON, event_days=event_days)
    found = baseline(METHODS["uk-bl01"], site, event(date(2023, 12, 25), zone=LONDON), HOUR)
    assert [day.day for day in found.days] == list(map(int, days.split()))
    assert [day.isoformat() for day, why in found.left_out if why == "an event day"] == event_days.split()


def test_three_values_in_turn_over_ten_working_days() -> None:
    found = baseline(METHODS["uk-bl01"], site_of(december(), LONDON), event(date(2023, 12, 25), zone=LONDON), HOUR)
    assert figures(found.history_w) == figures(found.baseline_w) == [1.19]
    assert found.adjustment == ("ADDITIVE", None)
    assert found.notes == ("it is not adjusted: of 2023-12-25, the readings of 14:00 to 17:00 are missing",)


def test_a_public_holiday_is_like_a_weekend() -> None:
    days = [date(2023, 12, day) for day in range(1, 26)]
    text = csv_of(line for day in days for line in hours(day, {17: day.day}, LONDON))
    site = site_of(text, LONDON, holidays="GB-ENG")
    found = baseline(METHODS["uk-bl01"], site, event(date(2023, 12, 25), zone=LONDON), HOUR)
    assert [day.day for day in found.days] == [24, 23, 17, 16]
    assert figures(found.history_w) == [20]


def test_a_day_of_low_use_makes_room_for_an_earlier_one() -> None:
    days = working_days_before(DAY, 6)
    powers_w = dict(zip(days, (100, 10, 104, 98, 110, 102), strict=True))
    site = site_of(csv_of(line for day, power_w in powers_w.items() for line in hours(day, {17: power_w})))
    found = baseline(METHODS["high-4-of-5"], site, event(), HOUR)
    assert found.days == (days[0], days[2], days[4], days[5])
    assert found.left_out == ((days[1], "it used less than 25 % of the days' mean in the event's hours"),)


def test_hours_before_and_after_the_event_on_the_same_day() -> None:
    """PJM's own example: an event in the hours ending 13 to 17 goes by those ending 9 to 11 and 19 to 20."""
    ending = {9: 90, 10: 100, 11: 110, 12: 1, 18: 1, 19: 120, 20: 130}
    site = site_of(csv_of(hours(DAY, {hour - 1: power_w for hour, power_w in ending.items()})))
    found = baseline(METHODS["pjm-3-plus-2"], site, event(starts="12:00", ends="17:00"), HOUR)
    assert figures(found.baseline_w) == [110] * 5
    assert found.days == (DAY,)
    later = baseline(METHODS["pjm-3-plus-2"], site, event(starts="12:20", ends="16:40"), HOUR)
    assert figures(later.baseline_w) == [110] * 5


def test_each_interval_has_a_history_of_its_own() -> None:
    days = working_days_before(DAY, 10)
    site = site_of(csv_of(line for day in days for line in hours(day, {16: day.day, 17: 100 + day.day})))
    found = baseline(METHODS["high-5-of-10"], site, event(starts="16:30", ends="18:00"), HOUR)
    assert [slot.ends_at - slot.starts_at for slot in found.slots] == [HOUR / 2, HOUR]
    assert found.history_w[1] - found.history_w[0] == 100


@pytest.mark.parametrize(
    ("day", "starts", "ends", "powers_w"),
    [
        (date(2024, 3, 31), "01:00", "04:00", [1, 3]),
        (date(2024, 10, 27), "01:00", "04:00", [1, 2, 2, 3]),
        (date(2024, 10, 26), "01:00", "04:00", [1, 2, 3]),
    ],
)
def test_hours_are_those_of_the_local_clock(day: date, starts: str, ends: str, powers_w: list[int]) -> None:
    before = [day - timedelta(days=back) for back in range(1, 46)]
    site = site_of(csv_of(line for each in before for line in hours(each, {1: 1, 2: 2, 3: 3})))
    found = baseline(METHODS["high-5-of-10"], site, event(day, starts, ends), HOUR)
    assert figures(found.history_w) == powers_w


def test_the_hour_that_a_day_skips_is_missing_on_it() -> None:
    sundays = [date(2024, 4, 7) - timedelta(days=7 * back) for back in range(1, 6)]
    site = site_of(csv_of(line for day in sundays for line in hours(day, {1: 1, 3: 3} if day.month == 3 else {})))
    night = event(date(2024, 4, 7), "02:00", "03:00")
    method = changed(METHODS["uk-bl01"], {"x_non_working": 1, "y_non_working": 1, "clock_change_days": True})
    with pytest.raises(NoBaseline, match="2024-03-31: the readings of 02:00 to 03:00 are missing"):
        baseline(method, site, night, HOUR)


def test_a_method_may_have_no_use_for_clock_change_days() -> None:
    days = [date(2024, 4, 6) - timedelta(days=back) for back in range(60)]
    site = site_of(csv_of(line for day in days for line in hours(day, {17: day.day})))
    found = baseline(METHODS["uk-bl01"], site, event(date(2024, 4, 7)), HOUR)
    assert [str(day) for day in found.days] == ["2024-04-06", "2024-03-30", "2024-03-24", "2024-03-23"]
    assert found.left_out == ((date(2024, 3, 31), "its clock was changed"),)


@pytest.mark.parametrize("quality", ["MISSING", "BAD", "UNKNOWN"])
def test_a_day_with_a_bad_reading_in_what_is_used_is_left_out(quality: str) -> None:
    lines = [f"{line},{'OK'}" for line in ten_days(DAY, WARM).splitlines()[1:]]
    bad = next(at for at, line in enumerate(lines) if line.startswith("2024-05-10T14:00"))
    lines[bad] = lines[bad].replace("OK", quality)
    site = site_of(csv_of(lines, "starts_at,ends_at,import_w,quality"))
    found = baseline(METHODS["caiso-10-of-10"], site, event(), HOUR)
    assert (date(2024, 5, 10), "the readings of 14:00 to 15:00 are said to be bad or missing") in found.left_out
    assert len(found.days) == 9
    assert found.notes[0].startswith("it goes by 9 days, fewer than 10: the period of 45 days before 2024-05-14")


def test_too_little_history_is_told_in_words() -> None:
    site = site_of(december(many=9), LONDON)
    with pytest.raises(NoBaseline) as none:
        baseline(METHODS["uk-bl01"], site, event(date(2023, 12, 25), zone=LONDON), HOUR)
    assert str(none.value).startswith(
        "uk-bl01 needs 10 working days with readings, no fewer, and the period of 60 days before 2023-12-25 has 9."
        " Left out: 2023-12-11: the readings of 17:00 to 18:00 are missing;"
    )
    assert str(none.value).endswith("What the site declared holds in its place.")


def test_a_declared_baseline_is_not_made_of_readings() -> None:
    with pytest.raises(NoBaseline, match="declared reads no history"):
        baseline(METHODS["declared"], site_of(ten_days(DAY, WARM)), event(), HOUR)


def test_a_site_that_fed_in_before_the_event_is_not_scaled() -> None:
    days = [DAY, *working_days_before(DAY, 10)]
    lines = [
        f"{line},{9 if at % 4 else 0}"
        for day in days
        for at, line in enumerate(hours(day, dict.fromkeys((17, 13, 14, 15), 5)))
    ]
    site = site_of(csv_of(lines, "starts_at,ends_at,import_w,export_w"))
    found = baseline(METHODS["caiso-10-of-10"], site, event(), HOUR)
    assert found.adjustment == ("SCALAR", None)
    assert figures(found.baseline_w) == [5]
    assert "a factor needs power taken from the grid" in found.notes[0]


def quarters(powers_w: list[int], zone: ZoneInfo = BERLIN) -> Site:
    """A site of quarter hours, the last of them at midnight before the day."""
    last = Calendar(zone).begins(DAY)
    said = [
        Said("main", last - (back + 1) * QUARTER, last - back * QUARTER, power_w)
        for back, power_w in enumerate(powers_w)
    ]
    return Site(History.by_days(said, Calendar(zone)), Calendar(zone))


@given(st.lists(st.integers(0, 10**9), min_size=96, max_size=96), st.integers(1, 95))
def test_a_history_is_the_mean_of_the_same_quarter_hours_of_its_days(powers_w: list[int], turned: int) -> None:
    site = quarters([*powers_w, *powers_w[turned:], *powers_w[:turned]] * 7)
    found = baseline(METHODS["high-4-of-5"], site, event(), QUARTER)
    for slot, history_w in zip(found.slots, found.history_w, strict=True):
        clock = slot.starts_at.astimezone(BERLIN).time()
        own = [
            Fraction(site.history.mean_w(at, at + QUARTER))
            for at in (site.calendar.at(day, clock) for day in found.days)
        ]
        assert history_w == sum(own, Fraction(0)) / len(own)


@settings(max_examples=examples(40))
@given(st.integers(0, 20 * 24), st.sampled_from([BERLIN, LONDON]))
def test_an_exchanged_meter_is_missing_on_the_day_of_its_exchange_alone(back: int, zone: ZoneInfo) -> None:
    calendar = Calendar(zone)
    last = calendar.begins(DAY)
    moment = last - back * HOUR
    starts = [last - number * HOUR for number in range(1, 25 * 24)]
    said = [Said("old" if at < moment else "new", at, at + HOUR, 100) for at in starts]
    day = calendar.day_of(moment)
    site = Site(History.by_days(said, calendar), calendar)
    found = baseline(changed(METHODS["uk-bl01"], {"lookback_days": 23}), site, event(zone=zone), HOUR)
    is_missing = calendar.begins(day) < moment and day in working_days_before(DAY, 10)
    assert [each.day for each in found.left_out] == [day] * is_missing
    assert set(found.history_w) == {100}


@given(st.data())
def test_picks_of_all_days_are_one_and_picks_are_in_order(data: st.DataObject) -> None:
    powers_w = data.draw(st.lists(st.integers(0, 1000), min_size=10, max_size=10))
    days = working_days_before(DAY, 10)
    site = site_of(
        csv_of(line for day, power_w in zip(days, powers_w, strict=True) for line in hours(day, {17: power_w}))
    )
    x = data.draw(st.integers(1, 10))

    def history_w(pick: str, many: int) -> Fraction:
        found = baseline(changed(METHODS["high-5-of-10"], {"pick": pick, "x": many}), site, event(), HOUR)
        assert list(found.days) == sorted(found.days, reverse=True)
        assert len(found.days) == many
        return found.history_w[0]

    assert history_w("HIGH", 10) == history_w("MID", 10) == history_w("LATEST", 10) == Fraction(sum(powers_w), 10)
    assert history_w("HIGH", x) >= max(history_w("MID", x), history_w("LATEST", x))
    ranked = sorted(powers_w, reverse=True)
    skipped = (10 - x) // 2
    assert history_w("HIGH", x) == Fraction(sum(ranked[:x]), x)
    assert history_w("MID", x) == Fraction(sum(ranked[skipped : skipped + x]), x)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(2, 50))
def test_a_site_twice_as_large_has_a_baseline_twice_as_large(event_w: int, window_w: int, times: int) -> None:
    def of(scale: int) -> Baseline:
        lines = [*hours(DAY, dict.fromkeys((13, 14, 15), (window_w + 7) * scale))]
        for day in working_days_before(DAY, 10):
            lines += hours(day, {13: window_w * scale, 14: window_w * scale, 15: window_w * scale, 17: event_w * scale})
        return baseline(METHODS["caiso-10-of-10"], site_of(csv_of(lines)), event(), HOUR)

    assert of(times).baseline_w[0] == times * of(1).baseline_w[0]


def test_no_reading_of_the_event_itself_moves_the_history() -> None:
    quiet = ten_days(DAY, WARM)
    loud = quiet + "\n".join(hours(DAY, {16: 10**6, 17: 10**6, 18: 10**6})) + "\n"
    for name in ("caiso-10-of-10", "high-5-of-10", "high-4-of-5"):
        assert baseline(METHODS[name], site_of(quiet), event(), HOUR) == baseline(
            METHODS[name], site_of(loud), event(), HOUR
        )


def test_an_event_over_midnight_goes_by_the_nights_before() -> None:
    days = working_days_before(DAY, 12)
    site = site_of(
        csv_of(line for day in days for line in [*hours(day, {23: 23}), *hours(day + timedelta(days=1), {0: 24})])
    )
    starts_at = datetime.combine(DAY, time(23), BERLIN)
    night = Event(DAY, Calendar(BERLIN).at(DAY, time(23)), Calendar(BERLIN).at(DAY + timedelta(days=1), time(1)))
    assert night.starts_at == starts_at
    assert figures(baseline(METHODS["high-5-of-10"], site, night, HOUR).history_w) == [23, 24]
