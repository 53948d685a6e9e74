"""Of overlapping declarations the later holds, whoever asks: an offer, a page, an order's delivery, or the ledger that
lets go of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.rules.baselines import (
    NEVER_LOGGED,
    Declared,
    Question,
    Stretch,
    counting,
    still_asked_for,
    stretches,
)
from tests.builders import utc
from tests.unit.dispatch.test_baselines import declarations

NOON, MINUTE = utc("12:00"), timedelta(minutes=1)


def holds(declared: list[Declared], when: datetime) -> Declared | None:
    return next((one for one in reversed(declared) if one.starts_at <= when < one.ends_at), None)


def told(found: list[Stretch], when: datetime) -> list[Declared]:
    return [one.declared for one in found if one.starts_at <= when < one.ends_at]


@given(declarations(), st.integers(-20, 20), st.integers(1, 20), st.integers(0, 5))
def test_of_overlapping_declarations_the_later_holds(
    declared: list[Declared], first: int, minutes: int, before: int
) -> None:
    since, until = NOON + first * MINUTE, NOON + (first + minutes) * MINUTE
    moments = [since + minute * MINUTE for minute in range(minutes)]
    logged = [one for one in declared if one.place < before]

    shown = list(counting(logged, since, until))
    assert all(since <= one.starts_at < one.ends_at <= until for one in shown)
    for when in moments:
        assert told(shown, when) == [one for one in [holds(logged, when)] if one is not None]

    promised = stretches(declared, since, until, before)
    assert (promised is None) == any(holds(logged, when) is None for when in moments)
    if promised is not None:
        assert sorted(promised, key=lambda one: one.starts_at) == shown

    asked = still_asked_for(logged, [Question(NEVER_LOGGED, since, until)])
    assert asked == [one for one in logged if any(holds(logged, when) is one for when in moments)]
