"""Grid time is one function of the append time, whoever asks: it never runs back and never leaves the calendar."""

from __future__ import annotations

from datetime import datetime

from hypothesis import example, given
from hypothesis import strategies as st

from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.messages import GridClock
from gridsignal_services.clock import EARLIEST, EPOCH, LATEST, append_us, from_micros, grid_time, micros
from gridsignal_services.ledger.entry import Entry
from gridsignal_services.ledger.reduce import Ledger
from tests.builders import a_grid_clock, a_site_registration

MOMENTS = st.integers(micros(EARLIEST), micros(LATEST)).map(from_micros)
CLOCKS = st.builds(
    lambda origin, epoch, rate: a_grid_clock(origin=origin, epoch=epoch, rate=rate),
    MOMENTS,
    MOMENTS,
    st.floats(0, 1_000_000, exclude_min=True),
)
APPENDED = st.integers(-(2**62), 2**62)
FAST, SLOW = a_grid_clock(rate=1e6), a_grid_clock(rate=1e-9)


@given(CLOCKS | st.none(), APPENDED, APPENDED)
@example(FAST, -(2**60), 2**60)
@example(SLOW, -(2**60), 2**60)
def test_grid_time_never_runs_back_and_a_record_can_hold_it(grid: GridClock | None, one: int, other: int) -> None:
    earlier, later = grid_time(grid, min(one, other)), grid_time(grid, max(one, other))
    assert EARLIEST <= earlier <= later <= LATEST
    assert Receipt(sha256="0" * 64, received_at=later).received_at == later


@given(CLOCKS, APPENDED)
@example(FAST, 2**60)
@example(FAST, -(2**60))
def test_the_ledger_s_clock_is_grid_time(grid: GridClock, appended_us: int) -> None:
    ledger = Ledger(0)
    assert ledger.apply(Entry(0, 0, 0, grid, "0" * 64, "service:embedded", b"leaf")).accepted
    ledger.apply(Entry(0, 1, appended_us, a_site_registration(), "0" * 64, "service:dispatch", b"leaf"))
    assert ledger.book.now == max(EPOCH, grid_time(grid, appended_us))


@given(CLOCKS | st.none(), MOMENTS)
@example(SLOW, LATEST)
def test_every_moment_has_an_append_time_to_look_from(grid: GridClock | None, when: datetime) -> None:
    assert 0 <= append_us(grid, when) < 2**63
