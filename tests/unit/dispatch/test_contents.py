"""What lies where on the log: found once, bounded, asked by time."""

from __future__ import annotations

from gridsignal_services.dispatch.contents import Contents, ListedSeries

HOUR = 3_600_000_000


def place(block: int) -> tuple[str, str, int]:
    return ("prices", "DE-LU", block)


def test_what_touches_a_period_is_found_by_half_open_hours() -> None:
    contents = Contents()
    contents.keep(place(0), [ListedSeries(offset, offset * HOUR, (offset + 1) * HOUR) for offset in range(5)])
    assert contents.touching(place(0), HOUR, 3 * HOUR) == [1, 2]
    assert contents.touching(place(0), 9 * HOUR, 10 * HOUR) == []
    assert contents.touching(place(1), HOUR, 2 * HOUR) is None


def test_when_full_the_block_asked_for_longest_ago_is_forgotten() -> None:
    contents = Contents(max_entries=20)
    for block in range(3):
        contents.keep(place(block), [ListedSeries(block, 0, HOUR)] * 3)
        contents.touching(place(0), 0, HOUR)
    assert contents.touching(place(1), 0, HOUR) is None
    assert contents.touching(place(0), 0, HOUR) == [0, 0, 0]
    assert contents.touching(place(2), 0, HOUR) == [2, 2, 2]
