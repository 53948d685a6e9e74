"""What is logged while there is no connection: enough to see what is the matter, and no flood."""

from __future__ import annotations

import logging

from gridsignal.absence import KINDS, NOTE_EVERY_S, Absence


def level(absence: Absence, trouble: str, now_s: float, *, unusual: bool = False) -> int:
    return absence.noted(trouble, now_s, unusual=unusual)[0]


def test_a_trouble_is_told_once_and_again_as_long_as_it_lasts() -> None:
    absence = Absence()
    told = [level(absence, "refused", float(now_s)) for now_s in range(0, 70, 10)]
    assert [spoken > logging.DEBUG for spoken in told] == [True, False, False, True, False, False, True]
    assert told[0] == logging.INFO
    assert told[3] == logging.WARNING


def test_what_waiting_may_not_heal_is_a_warning_at_once() -> None:
    assert level(Absence(), "HTTP 403", 0.0, unusual=True) == logging.WARNING


def test_a_trouble_that_was_told_is_told_again_however_many_kinds_there_were() -> None:
    absence = Absence()
    kinds = [f"closed with {number}" for number in range(KINDS + 5)]
    told = [level(absence, kind, 0.0) > logging.DEBUG for kind in kinds]
    assert told == [True] * KINDS + [False] * 5
    later = [level(absence, kind, NOTE_EVERY_S) > logging.DEBUG for kind in kinds]
    assert later == told


def test_the_next_absence_begins_anew() -> None:
    absence = Absence()
    assert absence.over(0.0) is None
    absence.noted("refused", 1.0, unusual=False)
    assert absence.noted("refused", 3.0, unusual=False) == (logging.DEBUG, 2.0)
    assert absence.over(5.0) == (logging.INFO, 4.0)
    assert absence.noted("refused", 9.0, unusual=False) == (logging.INFO, 0.0)


def test_that_it_is_over_is_told_as_loud_as_the_trouble_was() -> None:
    absence = Absence()
    absence.noted("HTTP 503", 1.0, unusual=True)
    absence.noted("refused", 2.0, unusual=False)
    assert absence.over(4.0) == (logging.WARNING, 3.0)
    absence.noted("refused", 9.0, unusual=False)
    assert absence.over(9.5) == (logging.INFO, 0.5), "the next absence is another"
