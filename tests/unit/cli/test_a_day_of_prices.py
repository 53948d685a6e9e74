"""`prices` shows a day of the zone's, however it is asked for and whenever: also one of 23 or 25 hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.cli.prices import period_around

BERLIN = ZoneInfo("Europe/Berlin")
CHANGES = (date(2027, 3, 28), date(2027, 10, 31), date(2026, 12, 31), date(2028, 2, 29))


@given(
    day=st.sampled_from(CHANGES).flatmap(lambda day: st.sampled_from([day - timedelta(days=1), day])),
    past=st.floats(0, 1),
    later=st.integers(0, 3),
)
def test_a_day_is_one_of_the_zone_s_whichever_end_of_it_is_said(day: date, past: float, later: int) -> None:
    begins, ends, over = (
        datetime.combine(day + timedelta(days=n), time(), BERLIN).astimezone(UTC) for n in (0, 1, 1 + later)
    )
    now = begins + past * (over - begins) - timedelta(microseconds=1)
    whole = [begins, ends]
    assert list(period_around(begins, None, now, BERLIN)) == whole
    if now >= ends:
        assert list(period_around(None, ends, now, BERLIN)) == whole
    if begins <= now < ends:
        assert list(period_around(None, None, now, BERLIN)) == whole
