"""An answer to a poll is the same JSON, whole or part by part."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_schemas.frames import Gap
from gridsignal_services.gateway.hub import Prepared
from gridsignal_services.gateway.poll_answer import PollAnswer
from gridsignal_services.rest.problems import Problem
from tests.effort import examples

ACTS = st.lists(st.sampled_from(["signal", "two signals", "gap", "part"]), max_size=12)


@settings(max_examples=examples(100))
@given(acts=ACTS)
def test_its_parts_are_one_json_with_each_frame_once_and_the_last_cursor(acts: list[str]) -> None:
    answer, given_so_far, added = PollAnswer(), b"", 0
    for act in acts:
        match act:
            case "signal" | "two signals":
                count = 1 if act == "signal" else 2
                answer.add([Prepared(b'{"t":"signal","n":%d}' % (added + each)) for each in range(count)])
                added += count
            case "gap":
                answer.add_frame(Gap(sub="s", reason="retention"))
            case _ if added:  # a part is of what is long, and so of something
                given_so_far += answer.part()
    assert not answer.is_complete
    answer.add([Prepared(b'{"t":"position"}', is_position=True, cursor="here")])
    answer.is_over = True
    assert answer.is_complete
    said = json.loads(given_so_far + answer.body())
    assert [frame["n"] for frame in said["frames"] if frame["t"] == "signal"] == list(range(added))
    assert (said["frames"][-1], said["cursor"]) == ({"t": "position"}, "here")
    assert len(said["frames"]) == added + acts.count("gap") + 1


def test_a_megabyte_without_a_place_to_go_on_from_is_long_and_no_answer_yet() -> None:
    answer = PollAnswer()
    answer.add([Prepared(b"x" * 65_536)] * 15)
    assert not answer.is_long
    answer.add([Prepared(b"x" * 65_536)])
    assert (answer.is_long, answer.is_complete) == (True, False)
    with pytest.raises(Problem):
        answer.body()
    answer.part()
    assert answer.is_long
