"""What is declared over a period, against a look at each minute."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from itertools import pairwise
from types import FrameType

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.rules.baselines import Declared
from gridsignal_services.dispatch.baselines import stretches
from tests.builders import a_baseline_declaration, utc

NOON, MINUTE = utc("12:00"), timedelta(minutes=1)


@st.composite
def declarations(draw: st.DrawFn) -> list[Declared]:
    found = []
    for place in range(draw(st.integers(0, 4))):
        powers = draw(st.lists(st.integers(0, 2), min_size=1, max_size=6))
        starts_at = NOON + draw(st.integers(-20, 20)) * MINUTE
        resolution_s = draw(st.sampled_from([60, 300]))
        said = a_baseline_declaration(starts_at=starts_at, resolution_s=resolution_s, power_w=powers)
        found.append(Declared.of(place, said, Receipt(sha256="0" * 64, received_at=NOON)))
    return found


def holds(declared: list[Declared], when: datetime) -> int | None:
    return next((one.at(when) for one in reversed(declared) if one.starts_at <= when < one.ends_at), None)


@given(declarations())
def test_each_moment_has_the_newest_word_on_it_and_no_other(declared: list[Declared]) -> None:
    since, until = NOON - 15 * MINUTE, NOON + 15 * MINUTE
    found = list(stretches(declared, since, until))
    assert all(since <= one.starts_at < one.ends_at <= until for one in found)
    assert all(one.ends_at <= next_.starts_at for one, next_ in pairwise(found))
    for minute in range(30):
        when = since + minute * MINUTE
        assert [one.power_w for one in found if one.starts_at <= when < one.ends_at] == [
            power for power in [holds(declared, when)] if power is not None
        ]


def test_a_long_stretch_takes_no_more_steps_than_a_short_one() -> None:
    def steps(minutes: int) -> int:
        said = a_baseline_declaration(starts_at=NOON, resolution_s=60, power_w=[1] * minutes)
        declared = [Declared.of(0, said, Receipt(sha256="0" * 64, received_at=NOON))]
        calls = 0

        def count(_frame: FrameType, _event: str, _of: object) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count)
        try:
            (one,) = stretches(declared, NOON, NOON + minutes * MINUTE)
        finally:
            sys.setprofile(None)
        assert one.ends_at == NOON + minutes * MINUTE
        return calls

    assert steps(3000) == steps(2)
