"""A day that is told as it happens: never silent for long, and silence says what it waits for."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from rich.text import Text

from gridsignal_services.demo.narration import Narrator
from gridsignal_services.demo.story import BEFORE, STORIES, Story
from tests.builders import a_spot_price


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
@pytest.mark.parametrize("speed", [100, 900])
def test_no_more_than_five_seconds_pass_without_a_line(story: Story, speed: int) -> None:
    told: list[tuple[int, Text]] = []
    wall = 0
    narrator = Narrator(lambda line: told.append((wall, line)), story, lambda: wall)
    now = story.midnight - BEFORE
    while now < story.midnight + timedelta(days=1):
        wall, now = wall + 1, now + timedelta(seconds=speed)
        narrator(None, now)
    moments = [0, *(at for at, _ in told), wall]
    assert max(later - sooner for sooner, later in pairwise(moments)) <= 5
    first = told[0][1].plain
    assert f"{story.asks[0].operator} asks at" in first
    assert "the last meters" in told[-1][1].plain


def test_an_event_puts_the_clock_off() -> None:
    (story, *_) = STORIES.values()
    told: list[Text] = []
    wall = 4.0
    narrator = Narrator(told.append, story, lambda: wall)
    narrator(a_spot_price(), story.midnight)
    wall = 8.0
    narrator(None, story.midnight)
    assert len(told) == 1
