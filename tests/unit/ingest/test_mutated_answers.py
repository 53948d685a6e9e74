"""Mutated answers are read or refused, and what is read keeps the laws; `python -m benchmarks fuzz` does 100,000."""

from __future__ import annotations

from benchmarks.fuzz import fuzzed
from tests.feed_documents import one_of_each


def test_no_mutated_answer_crashes_a_parser_or_breaks_a_law() -> None:
    outcomes, faults, _ = fuzzed(one_of_each(), count=1600, seed=20241006)
    assert faults == []
    assert outcomes["figures"] > 100
    assert outcomes["Malformed"] > 100
