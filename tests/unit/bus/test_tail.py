"""The tail of a partition in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.tail import Tail


def _record(offset: int, size: int = 1) -> LogRecord:
    return LogRecord("prices", 0, offset, "FR", b"x" * size, 0)


def test_a_tail_gives_what_it_holds_and_knows_what_it_lacks() -> None:
    tail = Tail(5)
    assert tail.since(5, 10) == []
    assert tail.since(4, 10) is None
    for offset in range(5, 9):
        tail.add(_record(offset))
    assert [record.offset for record in tail.since(6, 2) or []] == [6, 7]
    assert tail.since(4, 10) is None
    assert (tail.start, tail.end) == (5, 9)


def test_a_record_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="expected offset 5, got 6"):
        Tail(5).add(_record(6))


def test_a_tail_that_forgot_goes_on_elsewhere() -> None:
    tail = Tail(0)
    tail.add(_record(0))
    tail.forget(7)
    assert (tail.start, tail.end) == (7, 7)
    tail.add(_record(7))
    assert [record.offset for record in tail.since(7, 9) or []] == [7]


@given(st.lists(st.integers(0, 50), max_size=300))
def test_a_tail_is_bounded_and_has_no_hole(sizes: list[int]) -> None:
    tail = Tail(0, max_records=10, max_bytes=100)
    for offset, size in enumerate(sizes):
        tail.add(_record(offset, size))
        held = tail.since(tail.start, 1000)
        assert held is not None
        assert [record.offset for record in held] == list(range(tail.start, tail.end))
        assert len(held) < 20
        assert sum(len(record.value) for record in held) < 200
    assert tail.end == len(sizes)
