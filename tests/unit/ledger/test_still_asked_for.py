"""Which of a site's declarations somebody may still ask for: as a look at each question finds, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.rules.baselines import NEVER_LOGGED, Declared, Question, counting, still_asked_for
from tests.builders import a_baseline_declaration, utc
from tests.unit.ledger.cost import lines_of

NOON = utc("12:00")
QUARTER = timedelta(minutes=15)


def declared(place: int, first: int, quarters: int) -> Declared:
    baseline = a_baseline_declaration(starts_at=NOON + first * QUARTER, resolution_s=900, power_w=[1] * quarters)
    return Declared.of(place, baseline, Receipt(sha256="0" * 64, received_at=NOON))


def asked_for(declarations: Sequence[Declared], questions: Sequence[Question]) -> list[Declared]:
    """By a look at each question, of those that are between the same two declarations at all they ask for."""
    counts = set()
    for place, _, _ in questions:
        before = [each for each in declarations if each.place < place]
        alike = [each for each in questions if [d for d in declarations if d.place < each.place] == before]
        since, until = min(each.starts_at for each in alike), max(each.ends_at for each in alike)
        counts |= {stretch.declared.place for stretch in counting(before, since, until)}
    return [each for each in declarations if each.place in counts]


periods = st.tuples(st.integers(0, 30), st.integers(1, 12))


@given(st.lists(periods, max_size=12), st.lists(st.tuples(st.integers(0, 26), periods), max_size=8))
def test_what_may_still_be_asked_for_is_kept_and_nothing_else(
    said: list[tuple[int, int]], asked: list[tuple[int, tuple[int, int]]]
) -> None:
    declarations = [declared(2 * place, *period) for place, period in enumerate(said)]
    questions = [
        Question(place, NOON + first * QUARTER, NOON + (first + quarters - 1) * QUARTER)
        for place, (first, quarters) in asked
    ]
    assert still_asked_for(declarations, questions) == asked_for(declarations, questions)


def test_many_questions_about_many_declarations_are_no_look_at_every_pair() -> None:
    costs = []
    for count in (20, 80):
        declarations = [declared(2 * place, 3 * (29 * place % count), 2) for place in range(count)]
        places = [*range(1, 2 * count, 2), NEVER_LOGGED]
        questions = [Question(place, NOON, NOON + 300 * QUARTER) for place in places]
        assert still_asked_for(declarations, questions) == declarations
        costs.append(lines_of(partial(still_asked_for, declarations, questions)))
    assert costs[1] < 5 * costs[0]
