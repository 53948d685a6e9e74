"""Pages, and what touches a period."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.dispatch.views import overlaps, page
from tests.builders import utc


@given(st.lists(st.text(min_size=1), unique=True, max_size=30), st.integers(min_value=1, max_value=10))
def test_pages_one_after_the_other_hold_everything_once(ids: list[str], limit: int) -> None:
    seen: list[str] = []
    after: str | None = None
    while True:
        chosen, after = page(ids, after, limit)
        assert len(chosen) <= limit
        seen += chosen
        if after is None:
            break
    assert seen == ids


def test_a_page_after_something_unknown_is_no_page() -> None:
    with pytest.raises(LookupError):
        page(["a", "b"], "c", 10)


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "touches"),
    [("10:00", "11:00", False), ("10:00", "12:01", True), ("13:59", "15:00", True), ("14:00", "15:00", False)],
)
def test_periods_are_half_open(starts_at: str, ends_at: str, touches: bool) -> None:
    assert overlaps(utc(starts_at), utc(ends_at), utc("12:00"), utc("14:00")) is touches


def test_an_open_end_reaches_for_ever() -> None:
    assert overlaps(utc("10:00"), None, utc("23:00"), None)
    assert not overlaps(utc("10:00"), None, None, utc("10:00"))
