"""A ledger that was written and read back goes on as the one that reduced everything, whatever happened before."""

from __future__ import annotations

import json
from array import array
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import rule

from gridsignal_services.checkpoints.forms import form_of
from gridsignal_services.checkpoints.lines import Piece, book_of, bytes_of, ledger_of, pieces_of, written
from gridsignal_services.ledger.entry import Entry, Outcome
from gridsignal_services.ledger.reduce import Ledger
from tests.builders import a_grid_clock, utc
from tests.effort import examples
from tests.unit.ledger.market import Market
from tests.unit.ledger.stages import running
from tests.unit.ledger.test_forgetting import FOR_EVER, SHORT, ForgetfulDay
from tests.unit.ledger.test_laws import Day
from tests.unit.ledger.watched import Watched

_FEW = settings(
    max_examples=examples(25), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def lines_of(ledger: Ledger) -> list[bytes]:
    return list(written(list(pieces_of(ledger))))


def restarted(ledger: Ledger) -> Ledger:
    """As the next start finds it; it is the same in everything, and in the same order."""
    lines = lines_of(ledger)
    found = ledger_of(ledger.partition, ledger.position, lines)
    for name, value in vars(ledger).items():
        if name != "forgotten":  # taken by the caller of `apply`
            assert getattr(found, name) == value, name
    assert lines_of(found) == lines
    return found


class Restarting(Market):
    """Beside the market's ledger one that is restarted now and then, and both say the same of each record."""

    other: Ledger | None = None

    def add(self, record: Any, principal: str = "service:test") -> Outcome:
        before = restarted(self.ledger) if self.other is None else self.other
        outcome = super().add(record, principal)
        assert before.apply(self.log[-1][0]) == outcome
        assert before.forgotten == self.ledger.forgotten
        self.other = before
        return outcome

    def restart(self) -> None:
        assert self.other is not None
        assert self.other.book == self.ledger.book
        self.other = restarted(self.other)


class RestartingMarket(Restarting, Watched):
    pass


class RestartingForgetfulMarket(Restarting, Watched):
    """Beside it a ledger that keeps everything, for those who speak of what is over."""

    def __init__(self) -> None:
        super().__init__(kept=SHORT)
        self.whole = Ledger(0, FOR_EVER)

    @property
    def remembered(self) -> Ledger:
        return self.whole

    def add(self, record: Any, principal: str = "service:test") -> Outcome:
        outcome = super().add(record, principal)
        self.whole.apply(self.log[-1][0])
        return outcome


class RestartingDay(Day):
    """Any day."""

    market_class = RestartingMarket

    @rule()
    def restart(self) -> None:
        self.market.restart()  # type: ignore[attr-defined]  # the class is named above


class RestartingForgetfulDay(ForgetfulDay):
    """Any day on which what is over goes."""

    market_class = RestartingForgetfulMarket

    @rule()
    def restart(self) -> None:
        self.market.restart()  # type: ignore[attr-defined]  # the class is named above


RestartingDay.TestCase.settings = RestartingForgetfulDay.TestCase.settings = _FEW
TestAnyDay = RestartingDay.TestCase
TestAnyForgetfulDay = RestartingForgetfulDay.TestCase


def test_at_any_position_the_rest_gives_what_the_whole_gives() -> None:
    market = running(kept=SHORT)
    market.run_until(utc("20:00"))
    market.cancel("none")  # whatever comes next lets go of the request
    entries = [entry for entry, _ in market.log]
    for position in range(len(entries) + 1):
        ledger = reduced(Ledger(0, SHORT), entries[:position])
        found = reduced(restarted(ledger), entries[position:])
        assert found.book == market.ledger.book
        assert found.refused_offsets == market.ledger.refused_offsets


def reduced(ledger: Ledger, entries: list[Entry]) -> Ledger:
    for entry in entries:
        ledger.apply(entry)
    return ledger


def test_a_simulation_keeps_its_clock() -> None:
    market = Market()
    market.add(a_grid_clock(rate=600.5))
    found = restarted(market.ledger)
    assert found.grid == a_grid_clock(rate=600.5)
    assert market.add(a_grid_clock()).code == found.apply(market.log[-1][0]).code == "CLOCK_SET"


def test_who_could_see_a_request_is_kept_once() -> None:
    market = running(kept=SHORT)
    market.run_until(utc("20:00"))
    market.cancel("none")
    (audience,) = restarted(market.ledger).book.past.audiences.values()
    kept = restarted(market.ledger).book.past
    kept.keep_audience("another", audience)
    assert len({id(each) for each in kept.audiences.values()}) == 1


def test_a_request_that_left_is_the_same_from_bytes() -> None:
    market = running(kept=SHORT)
    market.run_until(utc("20:00"))
    market.cancel("none")
    (gone,) = market.ledger.forgotten
    assert book_of(bytes_of(gone)) == gone


def test_what_is_held_does_not_change_with_the_ledger() -> None:
    market = running()
    held = list(pieces_of(market.ledger))
    before = list(written(held))
    market.run_until(utc("20:00"))
    assert list(written(held)) == before
    assert lines_of(market.ledger) != before


@dataclass(frozen=True)
class Frozen:
    changing: list[int]


@pytest.mark.parametrize("kind", [Mapping[str, int], object, Frozen, set[int]])
def test_a_type_that_nobody_has_thought_of_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError):
        form_of(kind)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (dict[tuple[str, int], None], {("b", 1): None, ("a", 2): None}),
        (Counter[str], Counter({"a": -1, "b": 0})),
        (deque[tuple[timedelta, str]], deque([(timedelta(microseconds=1), "x")])),
        (array, array("q", [-1, 2**62])),
        (bytearray, bytearray(b"\x00\xff")),
        (frozenset[str], frozenset({"a"})),
        (Decimal | None, Decimal("1E+3")),
        (Decimal | None, None),
    ],
)
def test_each_kind_of_value_comes_back(kind: Any, value: Any) -> None:
    form = form_of(kind)
    held = value if form.hold is None else form.hold(value)
    (line,) = written([Piece("", held)])
    found = json.loads(line)[1]
    found = found if form.load is None else form.load(found)
    assert (type(found), repr(found)) == (type(value), repr(value))
