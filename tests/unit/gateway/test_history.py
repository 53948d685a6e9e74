"""The ring of recent records, the table of last values, the wheel, the bucket, the bytes on the wire."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode

from gridsignal_protocol.bucket import Bucket
from gridsignal_schemas.messages import GridAlert, Record, SpotPrice
from gridsignal_services.bus import LogRecord
from gridsignal_services.gateway.cursor import Place
from gridsignal_services.gateway.history import Ring, Stream, StreamEntry
from gridsignal_services.gateway.lastvalues import LastValues, utc_day_start
from gridsignal_services.gateway.rendering import BINARY, TEXT, message, signal_avro, signal_json
from gridsignal_services.gateway.wheel import Wheel
from tests.builders import a_carbon_intensity, a_grid_alert, a_spot_price, utc


def an_entry(offset: int, record: Record | None = None, partition: int = 0) -> StreamEntry:
    return StreamEntry(LogRecord("prices", partition, offset, "", b"\0\0\0\0\1x", 1000 + offset), record)


def offsets(entries: list[StreamEntry]) -> list[int]:
    return [entry.offset for entry in entries]


def test_the_ring_gives_what_follows_a_position_in_order() -> None:
    ring = Ring({0: 0, 1: 0}, records=100, weight=1 << 20)
    for offset in (0, 1, 3, 7):
        ring.add(an_entry(offset))
    ring.add(an_entry(2, partition=1))
    assert offsets(ring.after(0, 1, 10)) == [1, 3, 7]
    assert offsets(ring.after(0, 2, 1)) == [3]
    assert ring.after(0, 8, 10) == []
    assert ring.appended_us(0, 3) == 1003
    assert ring.appended_us(0, 2) is None


@given(st.integers(1, 50), st.lists(st.integers(0, 2), max_size=400))
def test_a_full_ring_says_from_where_it_is_complete(limit: int, partitions: list[int]) -> None:
    ring = Ring(dict.fromkeys(range(3), 0), records=limit, weight=1 << 30)
    ends = [0, 0, 0]
    for partition in partitions:
        ring.add(an_entry(ends[partition], partition=partition))
        ends[partition] += 1
    for partition in range(3):
        assert offsets(ring.after(partition, ring.low[partition], 1000)) == list(
            range(ring.low[partition], ends[partition])
        )
    assert sum(ends) - sum(ring.low.values()) == min(limit, sum(ends))
    assert ring.covers(tuple(ring.low[partition] for partition in range(3)))
    assert not ring.covers(tuple(ring.low[partition] - 1 for partition in range(3)))


def test_a_ring_forgets_by_weight_too() -> None:
    ring = Ring({0: 0}, records=1000, weight=10 * an_entry(0).weight)
    for offset in range(1500):
        ring.add(an_entry(offset))
    assert ring.low == {0: 1490}


def test_a_stream_knows_its_head_and_who_is_behind() -> None:
    stream = Stream("prices", {0: 5, 1: 0}, records=10, weight=1 << 20)
    assert stream.head == Place((5, 0))
    stream.move(an_entry(5))
    assert stream.head == Place((6, 0), 0, 1005)
    assert stream.behind(Place((2, 0))) == 4
    assert stream.has_passed(Place((6, 0)))
    assert not stream.has_passed(Place((6, 1)))


def current(*records: Record, now: Any = None) -> list[Any]:
    table = LastValues(utc_day_start)
    for offset, record in enumerate(records):
        table.add(an_entry(offset, record))
    return [entry.offset for entry in table.current(now or utc("12:00"))]


def test_the_newest_of_a_series_is_its_last_value() -> None:
    assert current(a_spot_price(), a_spot_price(dataset="EXAA"), a_spot_price(revision=2)) == [1, 2]


def test_a_market_day_that_is_over_is_no_current_value() -> None:
    assert current(a_spot_price(), now=utc("2024-05-13T01:00")) == []
    assert current(a_carbon_intensity(), now=utc("2024-05-12T23:00")) == [0]


def test_an_alert_is_current_until_it_ends_or_is_superseded() -> None:
    later = a_grid_alert(alert_id="later", supersedes=a_grid_alert().alert_id)
    ended = a_grid_alert(revision=2, ends_at=utc("12:00"))
    assert current(a_grid_alert(), now=utc("2024-05-30T00:00")) == [0]
    assert current(a_grid_alert(), ended) == []
    assert current(a_grid_alert(), later) == [1]


@given(
    st.lists(
        st.builds(
            a_grid_alert,
            provider=st.sampled_from(["tso-north", "tso-fr"]),
            zone=st.sampled_from(["DE-LU", "FR"]),
            alert_id=st.sampled_from(["em-1", "em-2", "em-3"]),
            supersedes=st.sampled_from([None, "em-1", "em-2", "em-3"]),
        ),
        max_size=40,
    )
)
def test_an_alert_is_ended_by_its_own_provider_in_its_own_zone_alone(alerts: list[GridAlert]) -> None:
    tables: dict[tuple[str, str], LastValues] = {}
    together = LastValues(utc_day_start)
    for offset, alert in enumerate(alerts):
        together.add(an_entry(offset, alert))
        alone = tables.setdefault((alert.provider, alert.zone), LastValues(utc_day_start))
        alone.add(an_entry(offset, alert))
    now = utc("12:00")
    assert offsets(together.current(now)) == sorted(
        offset for table in tables.values() for offset in offsets(table.current(now))
    )


def test_series_of_two_providers_are_two() -> None:
    for like in (a_spot_price, a_carbon_intensity, a_grid_alert):
        assert current(like(provider="one"), like(provider="two")) == [0, 1]


@given(st.lists(st.tuples(st.sampled_from(["feed", "flood"]), st.integers(0, 30)), max_size=200), st.integers(1, 10))
def test_a_full_table_keeps_what_a_small_provider_has(written: list[tuple[str, int]], limit: int) -> None:
    table = LastValues(utc_day_start, limit=limit)
    feed = sorted({number for provider, number in written if provider == "feed"})[: limit // 2]
    for offset, (provider, number) in enumerate(written):
        if provider == "flood" or number in feed:
            table.add(an_entry(offset, a_spot_price(provider=provider, dataset=f"D{number}")))
    shown = [entry.record for entry in table.current(utc("12:00"))]
    assert len(shown) <= limit
    kept = {record.dataset for record in shown if isinstance(record, SpotPrice) and record.provider == "feed"}
    assert kept == {f"D{number}" for number in feed}


def test_a_full_table_forgets_what_was_written_longest_ago() -> None:
    table = LastValues(utc_day_start, limit=2)
    for number in range(3):
        table.add(an_entry(number, a_spot_price(dataset=f"D{number}")))
    assert offsets(table.current(utc("12:00"))) == [1, 2]


def test_the_wheel_returns_what_is_due_once() -> None:
    wheel: Wheel[str] = Wheel(0.25)
    wheel.schedule("late", 2.0)
    wheel.schedule("soon", 0.5)
    wheel.schedule("late", 1.0)
    wheel.schedule("late", 3.0)
    assert wheel.advance(0.4) == []
    assert wheel.advance(0.1) == ["soon"]
    assert wheel.advance(0.5) == ["late"]
    assert wheel.advance(1.0) + wheel.advance(1.0) + wheel.advance(1.0) == []


def test_a_stall_of_ours_is_no_time_for_the_wheel() -> None:
    wheel: Wheel[str] = Wheel(0.25)
    wheel.schedule("dead", 16.0)
    assert wheel.advance(20.0) == []
    assert wheel.now_s == 1.0


def test_a_bucket_lets_a_burst_pass_and_tells_a_flood() -> None:
    bucket = Bucket(10.0, 3, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.is_flooded
    assert bucket.wait_s == pytest.approx(0.2)
    assert bucket.take(0.3)
    for _ in range(5):
        bucket.take(0.3)
    assert bucket.is_flooded


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
def test_messages_are_framed_as_the_rfc_says(length: int) -> None:
    payload = b"x" * length
    assert message(TEXT, payload) == WireFrame(Opcode.TEXT, payload).serialize(mask=False)
    assert message(BINARY, payload) == WireFrame(Opcode.BINARY, payload).serialize(mask=False)


def test_a_signal_is_the_frame_the_contract_names() -> None:
    entry = an_entry(0, a_spot_price())
    built = signal_json("json", "s1", "c1", "SpotPrice", entry.body())
    assert built[4:].startswith(b'{"t":"signal","sub":"s1","cursor":"c1","type":"SpotPrice","body":{"zone":"DE-LU"')
    assert b'"cursor"' not in signal_json("json", "s1", None, "SpotPrice", entry.body())
    assert signal_avro("s1", "c12", b"\0value")[2:] == b"\x01\x02s1\x00\x03c12\0value"


def test_a_series_goes_on_past_its_day() -> None:
    coming = a_spot_price(starts_at=a_spot_price().starts_at + timedelta(days=1))
    assert current(a_spot_price(), coming) == [0, 1]
