"""What the log's port promises, asked of every implementation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_services.bus import Log, LogRecord, LogUnavailable, PositionGone, Reader, Unwritable
from tests.patience import SOON_S

STREAM = "dispatch"
PARTITIONS = TOPICS[STREAM].partitions


async def _append(log: Log, n: int, key: str = "FR", stream: str = STREAM) -> list[int]:
    return [(await log.append(stream, key, b"%d" % at, {})).offset for at in range(n)]


async def _read(reader: Reader, enough: int | Callable[[list[LogRecord]], bool], limit: int = 1000) -> list[LogRecord]:
    records: list[LogRecord] = []
    async with asyncio.timeout(SOON_S):
        while not (len(records) >= enough if isinstance(enough, int) else enough(records)):
            records += await reader.read(limit)
    return records


async def _from_start(log: Log, stream: str = STREAM) -> Reader:
    return await log.reader(stream, await log.start_positions(stream))


async def test_a_new_log_is_empty(log: Log) -> None:
    nothing = dict.fromkeys(range(PARTITIONS), 0)
    assert await log.start_positions(STREAM) == nothing
    assert await log.end_positions(STREAM) == nothing


async def test_an_append_says_where_the_record_lies(log: Log) -> None:
    first = await log.append(STREAM, "FR", b"one", {})
    second = await log.append(STREAM, "FR", b"two", {})
    assert first.partition == second.partition == partition_of("FR", PARTITIONS)
    assert (first.offset, second.offset) == (0, 1)


async def test_a_record_comes_back_untouched(log: Log) -> None:
    headers = {"ce_type": "gridsignal.FlexOffer", "note": "Größe → ünïcode", "empty": ""}
    appended = await log.append(STREAM, "DE-LU", b"\x00\x00\x00\x00\x07\xff\x00", headers)
    reader = await _from_start(log)
    (record,) = await _read(reader, 1)
    assert record == LogRecord(
        STREAM, appended.partition, 0, "DE-LU", b"\x00\x00\x00\x00\x07\xff\x00", appended.appended_us, headers
    )
    await reader.aclose()


async def test_every_key_has_its_partition(log: Log) -> None:
    zones = ["DE-LU", "FR", "GB", "NO2", "IT-NORD", "", "ünïcode"]
    for zone in zones:
        appended = await log.append(STREAM, zone, b"x", {})
        assert appended.partition == partition_of(zone, PARTITIONS)


async def test_a_given_partition_is_taken(log: Log) -> None:
    for partition in range(PARTITIONS):
        appended = await log.append(STREAM, "", b"clock", {}, partition=partition)
        assert (appended.partition, appended.offset) == (partition, 0)


@pytest.mark.parametrize(
    ("stream", "partition"), [("nonsense", None), ("nonsense", 0), (STREAM, PARTITIONS), (STREAM, -1)]
)
async def test_a_place_that_is_not_there_is_refused(log: Log, stream: str, partition: int | None) -> None:
    with pytest.raises(ValueError, match="expected a stream and partition"):
        await log.append(stream, "FR", b"x", {}, partition=partition)


async def test_a_value_of_nearly_a_megabyte_is_kept_and_a_longer_one_refused(log: Log) -> None:
    value = bytes(range(250)) * 4000
    await log.append(STREAM, "FR", value, {})
    with pytest.raises(Unwritable, match="at most 1000000 bytes"):
        await log.append(STREAM, "FR", value + b"x", {})
    reader = await _from_start(log)
    (record,) = await _read(reader, 1)
    assert record.value == value
    await reader.aclose()


async def test_streams_do_not_mix(log: Log) -> None:
    await log.append("prices", "FR", b"a price", {})
    await log.append("carbon", "FR", b"a curve", {})
    reader = await _from_start(log, "carbon")
    assert [record.value for record in await _read(reader, 1)] == [b"a curve"]
    await reader.aclose()


async def test_one_callers_appends_lie_in_their_order(log: Log) -> None:
    assert await _append(log, 50) == list(range(50))
    reader = await _from_start(log)
    assert [record.value for record in await _read(reader, 50)] == [b"%d" % at for at in range(50)]
    await reader.aclose()


async def test_many_callers_lose_and_repeat_nothing(log: Log) -> None:
    async def caller(name: int) -> None:
        for at in range(20):
            await log.append(STREAM, f"Z{name % 9}", b"%d/%d" % (name, at), {})

    async with asyncio.TaskGroup() as group:
        for name in range(40):
            group.create_task(caller(name))
    reader = await _from_start(log)
    records = await _read(reader, 800)
    await reader.aclose()
    values = [record.value for record in records]
    assert sorted(values) == sorted(b"%d/%d" % (name, at) for name in range(40) for at in range(20))
    for name in range(40):
        own = [value for value in values if value.startswith(b"%d/" % name)]
        assert own == [b"%d/%d" % (name, at) for at in range(20)]


async def test_offsets_of_a_partition_have_no_hole(log: Log) -> None:
    for at in range(60):
        await log.append(STREAM, f"Z{at % 13}", b"x", {})
    reader = await _from_start(log)
    offsets: dict[int, list[int]] = {}
    for record in await _read(reader, 60, limit=7):
        offsets.setdefault(record.partition, []).append(record.offset)
    await reader.aclose()
    assert all(seen == list(range(len(seen))) for seen in offsets.values())
    ends = await log.end_positions(STREAM)
    assert {partition: len(seen) for partition, seen in offsets.items()} == {p: e for p, e in ends.items() if e}


async def test_what_was_acknowledged_lies_before_the_end(log: Log) -> None:
    appended = await log.append(STREAM, "FR", b"x", {})
    assert (await log.end_positions(STREAM))[appended.partition] == appended.offset + 1


async def test_a_read_returns_no_more_than_its_limit(log: Log) -> None:
    await _append(log, 30)
    reader = await _from_start(log)
    assert 1 <= len(await _read(reader, 1, limit=4)) <= 4
    await reader.aclose()


async def test_positions_move_with_what_was_handed_out(log: Log) -> None:
    await _append(log, 10)
    partition = partition_of("FR", PARTITIONS)
    reader = await log.reader(STREAM, {partition: 0})
    assert dict(reader.positions) == {partition: 0}
    read = await _read(reader, 3, limit=3)
    assert dict(reader.positions) == {partition: len(read)}
    await reader.aclose()


async def test_a_reader_begins_where_it_is_told(log: Log) -> None:
    await _append(log, 10)
    reader = await log.reader(STREAM, {partition_of("FR", PARTITIONS): 6})
    assert [record.offset for record in await _read(reader, 4)] == [6, 7, 8, 9]
    await reader.aclose()


async def test_a_reader_sees_its_own_partitions_only(log: Log) -> None:
    here, elsewhere = partition_of("FR", PARTITIONS), partition_of("DE-LU", PARTITIONS)
    assert here != elsewhere
    reader = await log.reader(STREAM, {here: 0})
    await log.append(STREAM, "DE-LU", b"elsewhere", {})
    await log.append(STREAM, "FR", b"here", {})
    assert [record.value for record in await _read(reader, 1)] == [b"here"]
    await reader.aclose()


async def test_a_reader_at_the_end_waits_and_is_woken_by_the_next_append(log: Log) -> None:
    await _append(log, 3)
    reader = await log.reader(STREAM, await log.end_positions(STREAM))
    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as group:
        reading = group.create_task(reader.read())
        await log.append(STREAM, "GB", b"news", {})
    assert [record.value for record in reading.result()] == [b"news"]
    await reader.aclose()


async def test_two_readers_do_not_disturb_each_other(log: Log) -> None:
    await _append(log, 5)
    one, other = await _from_start(log), await _from_start(log)
    assert len(await _read(one, 5)) == len(await _read(other, 5)) == 5
    await one.aclose()
    await other.aclose()


async def test_a_cancelled_read_loses_nothing(log: Log) -> None:
    reader = await _from_start(log)
    reading = asyncio.ensure_future(reader.read())
    done, _ = await asyncio.wait([reading], timeout=0.05)
    assert not done
    reading.cancel()
    await asyncio.wait([reading])
    await _append(log, 2)
    assert [record.value for record in await _read(reader, 2)] == [b"0", b"1"]
    await reader.aclose()


async def test_no_busy_partition_keeps_another_waiting(log: Log) -> None:
    busy, quiet = partition_of("FR", PARTITIONS), partition_of("DE-LU", PARTITIONS)
    await _append(log, 300)
    await log.append(STREAM, "DE-LU", b"quiet", {})
    reader = await log.reader(STREAM, {busy: 0, quiet: 0})
    read = await _read(reader, lambda records: any(record.partition == quiet for record in records), limit=10)
    assert len(read) < 300
    await reader.aclose()


@pytest.mark.parametrize("offset", [-1, 4, 1_000_000])
async def test_a_position_outside_the_log_is_gone(log: Log, offset: int) -> None:
    await _append(log, 3)
    with pytest.raises(PositionGone):
        await log.reader(STREAM, {partition_of("FR", PARTITIONS): offset})


async def test_times_find_positions(log: Log) -> None:
    partition = partition_of("FR", PARTITIONS)
    times = []
    for at in range(6):
        times.append((await log.append(STREAM, "FR", b"%d" % at, {})).appended_us)
        await asyncio.to_thread(_let_a_millisecond_pass)
    for at, time_us in enumerate(times):
        assert (await log.position_at(STREAM, time_us))[partition] == times.index(time_us) == at
    assert (await log.position_at(STREAM, times[-1] + 60_000_000))[partition] == 6
    assert (await log.position_at(STREAM, 0))[partition] == 0


def _let_a_millisecond_pass() -> None:
    # Kafka counts in milliseconds: two records of the same one can't be told apart by time
    import time

    started = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 < started + 2:
        pass


async def test_a_log_opened_again_goes_on_where_it_was(log_factory: Any) -> None:
    log = await log_factory.open()
    epoch = log.epoch
    await _append(log, 5)
    await log_factory.close()

    again = await log_factory.open()
    assert again.epoch == epoch
    assert await _append(again, 1) == [5]
    reader = await _from_start(again)
    assert [record.value for record in await _read(reader, 6)] == [b"0", b"1", b"2", b"3", b"4", b"0"]
    await reader.aclose()


async def test_a_closed_log_refuses_everything_as_unavailable(log: Log) -> None:
    reader = await _from_start(log)
    await log.aclose()
    await log.aclose()
    with pytest.raises(LogUnavailable):
        await log.append(STREAM, "FR", b"x", {})
    with pytest.raises(LogUnavailable):
        await reader.read()
    with pytest.raises(LogUnavailable):
        await log.end_positions(STREAM)
    await reader.aclose()


@pytest.mark.parametrize("turns", [1, 3, 10, 30, 100], ids=lambda turns: f"after {turns} turns of the loop")
async def test_closing_sends_waiting_readers_away_and_keeps_accepted_appends(log_factory: Any, turns: int) -> None:
    log = await log_factory.open()
    reader = await _from_start(log)
    reading = asyncio.ensure_future(reader.read())
    appends = [asyncio.ensure_future(log.append("readings", "FR", b"%d" % at, {})) for at in range(100)]
    for _ in range(turns):  # a reader is sent away at whatever point of its start it has reached
        await asyncio.sleep(0)
    async with asyncio.timeout(SOON_S):
        await log_factory.close()
        outcomes = await asyncio.gather(*appends, return_exceptions=True)
        with pytest.raises(LogUnavailable):
            await reading
    acknowledged = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert all(isinstance(outcome, LogUnavailable) for outcome in outcomes if isinstance(outcome, BaseException))
    await reader.aclose()
    again = await log_factory.open()
    assert sum((await again.end_positions("readings")).values()) >= len(acknowledged)
