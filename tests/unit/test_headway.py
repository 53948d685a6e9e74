"""How far a stream is followed: what state each partition is in, after whatever happened, and what is told of it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.headway import STUCK_S, Headway, Phase
from gridsignal_services.ops import Headways
from gridsignal_services.telemetry import metrics
from tests.builders import a_spot_price

CODEC = Codec.from_lock()


class Ticks:
    """A clock that is set by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def of_three(clock: Ticks | None = None) -> Headway:
    return Headway("tests", "prices", 3, now_s=clock or Ticks())


def phases(headway: Headway) -> list[str]:
    return [phase.value for _, phase in headway.phases()]


def begun(positions: list[int], ends: list[int], clock: Ticks | None = None) -> Headway:
    headway = of_three(clock)
    headway.begin(dict(enumerate(positions)), dict(enumerate(ends)))
    return headway


def test_it_fills_has_caught_up_and_is_live() -> None:
    headway = of_three()
    assert phases(headway) == ["filling"] * 3
    headway.begin({0: 0, 1: 5, 2: 0}, {0: 2, 1: 5, 2: 1})
    assert phases(headway) == ["filling", "caught up", "filling"]
    assert [headway.behind(partition) for partition in range(3)] == [2, 0, 1]
    headway.move({0: 1, 1: 6, 2: 1})
    assert phases(headway) == ["filling", "caught up", "caught up"]
    assert not headway.has_caught_up
    headway.move({0: 2, 1: 6, 2: 1})
    assert phases(headway) == ["live"] * 3
    assert headway.trouble == ""
    headway.look({0: 9, 1: 9, 2: 9})  # records come, and are on their way
    assert phases(headway) == ["live"] * 3


def test_a_partition_with_records_ahead_and_none_taken_is_stuck_and_no_other_is() -> None:
    clock = Ticks()
    headway = begun([0, 0, 0], [0, 0, 0], clock)
    headway.look({0: 1, 1: 1, 2: 0})
    clock.now_s = STUCK_S
    headway.move({0: 0, 1: 1, 2: 0})
    headway.look({0: 1, 1: 9, 2: 0})
    assert phases(headway) == ["stuck", "live", "live"]
    assert headway.stuck() == {0}
    assert headway.trouble == "prices 0: stuck"
    headway.move({0: 1, 1: 1, 2: 0})
    assert headway.trouble == ""


def test_another_reader_is_tried_once_in_a_while_as_long_as_something_is_stuck() -> None:
    clock = Ticks()
    headway = begun([0, 0, 0], [1, 0, 0], clock)
    tried = []
    for _ in range(6):
        tried.append(headway.doubt())
        clock.now_s += STUCK_S / 2
    assert tried == [False, False, True, False, True, False]
    headway.move({0: 1, 1: 0, 2: 0})
    assert not headway.doubt()


def test_a_partition_that_is_never_at_the_end_and_always_moves_is_not_stuck() -> None:
    clock = Ticks()
    headway = begun([0, 0, 0], [0, 0, 0], clock)
    for step in range(5):
        headway.look({0: 100 + step, 1: 0, 2: 0})
        clock.now_s += STUCK_S - 1
        assert not headway.stuck()
        headway.move({0: step + 1, 1: 0, 2: 0})


def test_while_the_log_is_away_only_what_is_read_all_the_same_is_live() -> None:
    headway = begun([0, 0, 0], [0, 0, 0])
    headway.away("no leader")
    headway.move({0: 0, 1: 1, 2: 0})
    assert phases(headway) == ["away", "live", "away"]
    assert headway.trouble == "prices 0, 2: away (no leader)"
    headway.look({0: 0, 1: 1, 2: 0})
    assert phases(headway) == ["live"] * 3


def test_what_is_lost_stays_lost_until_it_goes_on() -> None:
    headway = begun([0, 0, 0], [9, 9, 9])
    headway.lose("offset 0 is no longer kept")
    headway.look({0: 9, 1: 9, 2: 9})
    assert headway.trouble == "prices 0, 1, 2: lost (offset 0 is no longer kept)"
    headway.move({0: 7, 1: 7, 2: 7})
    assert phases(headway) == ["filling"] * 3


def test_poison_is_counted_and_the_first_of_each_kind_is_told() -> None:
    headway = of_three()
    values = [b"", b"{}", b"\0\0\0\xff\xff", b"\0\0\0\xff\xfe", CODEC.encode(a_spot_price())[:-1], b"", b"\1"]
    assert [headway.pass_over(reason_of(value)) for value in values] == [True, False, True, False, True, False, False]
    assert headway.poison == len(values)


def test_however_many_kinds_of_poison_there_are_only_so_many_are_told() -> None:
    headway = of_three()
    assert sum(headway.pass_over(f"expected kind {kind}, got none") for kind in range(1000)) == 64
    assert headway.poison == 1000


def test_prometheus_is_told_of_all_in_one_family() -> None:
    one, other = begun([4, 0, 0], [6, 0, 0]), Headway("others", "prices", 1, now_s=Ticks())
    other.begin({0: 1}, {0: 1})
    other.pass_over("expected a record, got none")
    registry = CollectorRegistry()
    registry.register(Headways([one, other]))
    lines = metrics(registry).decode().splitlines()
    assert 'gridsignal_follow_position{by="tests",partition="0",stream="prices"} 4.0' in lines
    assert 'gridsignal_follow_behind{by="tests",partition="0",stream="prices"} 2.0' in lines
    assert 'gridsignal_follow_state{by="tests",partition="0",state="filling",stream="prices"} 1.0' in lines
    assert 'gridsignal_follow_state{by="others",partition="0",state="live",stream="prices"} 1.0' in lines
    assert 'gridsignal_follow_poison_total{by="others",stream="prices"} 1.0' in lines
    assert len([line for line in lines if line.startswith("# TYPE gridsignal_follow_state ")]) == 1
    assert {Phase(line.partition('state="')[2].partition('"')[0]) for line in lines if 'state="' in line} == {
        Phase.FILLING,
        Phase.CAUGHT_UP,
        Phase.LIVE,
    }


def reason_of(value: bytes) -> str:
    try:
        CODEC.decode(value)
    except Poison as poison:
        return poison.reason
    raise AssertionError("expected poison")
