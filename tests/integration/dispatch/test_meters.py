"""Readings by time, the newest in memory and older ones on disk; the later word on the same interval counts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridsignal_schemas.messages import MeterReading
from gridsignal_schemas.messages.certificates import EnergyCertificate
from gridsignal_schemas.values import MW
from gridsignal_services.carbon.certificates import Taken
from gridsignal_services.carbon.matching import Site
from gridsignal_services.dispatch.matching import read_month
from gridsignal_services.dispatch.metering import Measuring
from gridsignal_services.kept_file import TooMany, Unreadable
from gridsignal_services.metering.counting import CountingReadings
from gridsignal_services.metering.meters import Meters
from gridsignal_services.metering.older_readings import Held
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.work import NOBODYS
from tests.builders import a_meter_reading, utc
from tests.metered import add_reading
from tests.unit.ledger.market import Market

QUARTER = timedelta(minutes=15)


@pytest.fixture
def meters(tmp_path: Path) -> Iterator[Meters]:
    made = Meters(tmp_path)
    yield made
    made.close()


def reading(minutes: int, **changes: object) -> MeterReading:
    starts_at = utc("18:00") + timedelta(minutes=minutes)
    return a_meter_reading(**{"starts_at": starts_at, "ends_at": starts_at + QUARTER, "seq": minutes + 1000} | changes)


def files_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


def damage(directory: Path) -> None:
    """Something else lies where the file was."""
    for file in directory.iterdir():
        file.unlink()
    (directory / "readings.db").write_bytes(b"no tables at all" * 1000)


async def starts(meters: Meters, from_: str, to: str | None, site: str = "fra-1") -> list[str]:
    found = await meters.between(site, utc(from_), utc(to) if to else None)
    return [f"{each.starts_at:%H:%M}" for each in found]


async def test_readings_come_in_the_order_of_time_whenever_they_arrived(meters: Meters) -> None:
    for minutes in (30, 0, 45, 15):
        add_reading(meters, reading(minutes))
    assert await starts(meters, "17:00", "20:00") == ["18:00", "18:15", "18:30", "18:45"]


async def test_a_period_takes_what_touches_it(meters: Meters) -> None:
    for minutes in (0, 15, 30, 45):
        add_reading(meters, reading(minutes))
    assert await starts(meters, "18:14", "18:30") == ["18:00", "18:15"]
    assert await starts(meters, "18:15", "18:16") == ["18:15"]
    assert await starts(meters, "18:31", None) == ["18:30", "18:45"]
    assert await starts(meters, "17:00", "18:00") == []
    assert await starts(meters, "17:00", None, site="ber-1") == []


async def test_the_later_word_on_an_interval_counts(meters: Meters) -> None:
    for seq, import_w in ((5, 1), (6, 2), (4, 3), (6, 4)):
        add_reading(meters, reading(0, seq=seq, import_w=import_w))
    assert [each.import_w for each in await meters.between("fra-1", utc("18:00"))] == [2]


async def test_two_meters_of_a_site_stand_beside_each_other(meters: Meters) -> None:
    add_reading(meters, reading(0, meter="north"))
    add_reading(meters, reading(0, meter="south"))
    assert len(await meters.between("fra-1", utc("18:00"))) == 2


async def test_the_next_owner_of_a_site_changes_nothing_of_what_was_said_before(tmp_path: Path) -> None:
    meters = Meters(tmp_path, per_site=1, at_once=1)
    for quarter in range(4):
        add_reading(meters, reading(15 * quarter, seq=1, import_w=28, participant="acme-ai"))
        await meters.write()
    for quarter in range(4):
        add_reading(meters, reading(15 * quarter, seq=2, import_w=60, participant="volt-dc"))
        await meters.write()
    for who, import_w in (("acme-ai", 28), ("volt-dc", 60)):
        said = await meters.in_order_of_log("fra-1", who, utc("18:00"))
        assert [each.import_w for each in said] == [import_w] * 4
    assert len(await meters.between("fra-1", utc("18:00"))) == 8
    meters.close()


async def test_a_reading_that_lay_on_disk_says_all_it_said(tmp_path: Path) -> None:
    """Also of a day, which touches what begins long after it."""
    meters, day = Meters(tmp_path, per_site=1, at_once=1), {"starts_at": utc("00:00"), "ends_at": utc("23:59")}
    certificates = [EnergyCertificate(certificate_id="c-1", energy_wh=5)]
    said = [
        reading(0, certificates=certificates, register_wh=7, export_w=3, quality="ESTIMATED"),
        reading(0, point="BATTERY", **day),
        reading(15),
    ]
    for each in said:
        add_reading(meters, each)
        await meters.write()
    found = await meters.in_order_of_log("fra-1", "acme-ai", utc("18:05"), utc("18:20"))
    assert found == said
    assert [each.certificates for each in found] == [certificates, None, None]
    assert await meters.in_order_of_log("fra-1", "acme-ai", utc("23:00"), utc("23:10")) == said[1:2]
    meters.close()


async def test_what_is_no_interval_is_not_remembered(meters: Meters) -> None:
    starts_at = utc("18:00")
    for ends_at in (starts_at, starts_at - QUARTER, starts_at + timedelta(days=2)):
        add_reading(meters, reading(0, ends_at=ends_at))
    assert await meters.between("fra-1", utc("2024-05-01T00:00")) == []


said = st.lists(
    st.tuples(st.integers(0, 14), st.sampled_from([5, 15, 40]), st.integers(1, 3), st.sampled_from(["fra-1", "ber-1"])),
    max_size=60,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(said, st.integers(1, 5), st.integers(0, 300), st.integers(1, 300))
async def test_it_makes_no_difference_how_many_there_is_room_for(
    tmp_path: Path, said: list[tuple[int, int, int, str]], room: int, since: int, length: int
) -> None:
    """Whatever the order they came in, corrected or not, written by then or not."""
    all_of_them, few = Meters(tmp_path / "all"), Meters(tmp_path / "few", per_site=room, at_once=7)
    try:
        for number, (quarter, minutes, seq, site) in enumerate(said):
            starts_at = utc("18:00") + quarter * QUARTER
            times = {"starts_at": starts_at, "ends_at": starts_at + timedelta(minutes=minutes)}
            one = a_meter_reading(site=site, seq=seq, import_w=number, **times)
            for meters in (all_of_them, few):
                add_reading(meters, one)
            if number % 5 == 0:
                await few.write()
        from_ = utc("17:30") + timedelta(minutes=since)
        for site in ("fra-1", "ber-1"):
            for to in (from_ + timedelta(minutes=length), None):
                assert await few.between(site, from_, to) == await all_of_them.between(site, from_, to)
                at_hand = few.at_hand(site, "acme-ai", from_, to)
                assert at_hand in (None, all_of_them.at_hand(site, "acme-ai", from_, to))
                in_order = [await each.in_order_of_log(site, "acme-ai", from_, to) for each in (few, all_of_them)]
                assert in_order[0] == in_order[1]
    finally:
        all_of_them.close()
        few.close()


async def test_what_has_no_room_is_on_disk_and_not_in_memory(tmp_path: Path) -> None:
    meters = Meters(tmp_path, per_site=2, at_once=1)
    for quarter in range(100):
        add_reading(meters, reading(15 * quarter))
        await meters.write()
    held = meters._sites["fra-1"]
    assert (len(held.places), len(held.readings), meters._older._waiting.count) == (2, 2, 0)
    found = await meters.between("fra-1", utc("18:00"))
    assert [each.starts_at for each in found] == [utc("18:00") + quarter * QUARTER for quarter in range(100)]
    meters.close()
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("in_memory", [1, 7, 30])
async def test_all_sites_together_have_so_much_in_memory(tmp_path: Path, in_memory: int) -> None:
    """Sites that come later take room from those before them; each has at least one."""
    meters = Meters(tmp_path, at_once=5, in_memory=in_memory)
    for quarter in range(20):
        for site in range(quarter + 1):
            add_reading(meters, reading(15 * quarter, site=f"site-{site}"))
        await meters.write()
    assert sum(len(site.places) for site in meters._sites.values()) <= max(in_memory, len(meters._sites))
    for site in range(20):
        found = await meters.between(f"site-{site}", utc("18:00"))
        assert [each.starts_at for each in found] == [utc("18:00") + each * QUARTER for each in range(site, 20)]
    meters.close()


async def test_what_is_written_while_more_comes_is_found_once_and_by_its_highest_seq(tmp_path: Path) -> None:
    """Whether its file can be written, or only later."""
    meters, blocked = Meters(tmp_path / "it", per_site=1, at_once=4), tmp_path / "it"
    blocked.write_text("a file where a folder should be")
    for seq in range(1, 9):
        if seq == 5:
            blocked.unlink()
        writing = asyncio.create_task(meters.write())
        await asyncio.sleep(0)
        for quarter in range(5):
            add_reading(meters, reading(15 * quarter, seq=seq if quarter % 2 else 10 - seq, import_w=seq))
        await writing
    await meters.write()
    assert [each.import_w for each in await meters.between("fra-1", utc("18:00"))] == [1, 8, 1, 8, 1]
    meters.close()


async def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    meters = Meters(tmp_path, per_site=2, at_once=1)
    for quarter in range(100):
        add_reading(meters, reading(15 * quarter))
    await meters.write()
    damage(tmp_path)
    with pytest.raises(Unreadable):
        await meters.between("fra-1", utc("18:00"))
    meters.close()


async def test_a_folder_that_takes_no_file_is_told_once_and_what_waits_is_found(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    meters = Meters(tmp_path / "taken", per_site=2, at_once=1)
    for quarter in range(10):
        add_reading(meters, reading(15 * quarter))
        await meters.write()
    assert len(await meters.between("fra-1", utc("18:00"))) == 10
    said = "".join(capfd.readouterr())
    assert said.count("older readings can't be written") == 1
    meters.close()


def an_order() -> Market:
    """12 MW for 45 minutes at 90 EUR, accepted."""
    market = Market("acme")
    assert market.offer("acme", 12 * MW, "90").accepted
    market.close()
    assert market.answer("acme").accepted
    return market


def in_quarter(quarter: int) -> MeterReading:
    starts_at = utc("18:00") + quarter * QUARTER
    times = {"starts_at": starts_at, "ends_at": starts_at + QUARTER, "seq": quarter}
    return a_meter_reading(site="acme-1", participant="acme", import_w=28 * MW, **times)


@pytest.mark.parametrize(("room", "most", "worth"), [(100, 3, "810"), (1, 3, "810"), (1, 2, None), (100, 2, None)])
async def test_an_order_is_measured_by_all_that_was_said_and_by_nothing_where_that_is_too_much(
    tmp_path: Path, room: int, most: int, worth: str | None
) -> None:
    market, meters = an_order(), Meters(tmp_path, per_site=room, at_once=1, most_read=most)
    for quarter in range(5):
        add_reading(meters, in_quarter(quarter))
        await meters.write()
    metered = await Measuring(meters).of(market.ledger.book, market.order("acme"), NOBODYS)
    assert metered.totals.amount == (None if worth is None else Decimal(worth))
    gap = None if worth else Gap.TOO_MANY_READINGS
    assert {each.gap for each in metered.page} == {gap}
    assert (metered.page[0].starts_at, metered.page[-1].ends_at) == (utc("18:00"), utc("18:45"))
    assert {each.ordered_w for each in metered.page} == {12 * MW}
    meters.close()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("room", [1, 4, 100])
async def test_however_much_another_says_of_a_site_each_is_answered_by_its_own_words(
    tmp_path: Path, seed: int, room: int
) -> None:
    """Who has the site by now may speak of any time before, and as often as it likes."""
    chance, market = random.Random(seed), an_order()
    own = [in_quarter(quarter) for quarter in range(3)]
    seconds = [(reading(0).starts_at + timedelta(seconds=chance.randrange(2700)), number) for number in range(40)]
    others = [
        a_meter_reading(site="acme-1", participant="rival", starts_at=at, ends_at=at + timedelta(seconds=1), seq=number)
        for at, number in seconds
    ]
    said = [*own, *others]
    chance.shuffle(said)
    meters = Meters(tmp_path, per_site=room, at_once=chance.choice([1, 7]), most_read=len(own))
    for each in said:
        add_reading(meters, each)
        await meters.write()
    assert await meters.between("acme-1", utc("18:00"), participant="acme") == own
    metered = await Measuring(meters).of(market.ledger.book, market.order("acme"), NOBODYS)
    assert metered.totals.amount == Decimal(810)
    meters.close()


@pytest.mark.parametrize("room", [1, 3, 7, 100])
@pytest.mark.parametrize("at_once", [1, 5, 1000])
@pytest.mark.parametrize("most", [11, 12])
async def test_how_many_are_too_many_is_the_same_wherever_they_lie(
    tmp_path: Path, room: int, at_once: int, most: int
) -> None:
    """A dozen places, each spoken of again, beside what another participant says; the audit hears them one by one."""
    counting, offset = CountingReadings(utc("18:00"), utc("21:00"), "acme", most), 0
    meters = Meters(tmp_path, per_site=room, at_once=at_once, most_read=most)
    for quarter in [*range(12), *reversed(range(12))]:
        said = in_quarter(quarter)
        for each in (said, said.model_copy(update={"seq": said.seq + 1}), said.model_copy(update={"participant": "b"})):
            offset += 1
            meters.add(each, offset, b"")
            counting.hear(Held(offset, each, b""))
            await meters.write()
    asked = "acme-1", "acme", utc("18:00"), utc("21:00")
    assert counting.are_too_many is (most < 12)
    if most < 12:
        assert meters.at_hand(*asked) is None
        with pytest.raises(TooMany, match="more than 11 readings"):
            await meters.held(*asked)
    else:
        assert await meters.held(*asked) == counting.held
        assert len(counting) == 12
    meters.close()


@pytest.mark.parametrize("room", [1, 100])
async def test_a_period_of_which_too_much_was_said_takes_nothing_from_the_others(tmp_path: Path, room: int) -> None:
    meters = Meters(tmp_path, per_site=room, at_once=1, most_read=2)
    for quarter in range(5):
        add_reading(meters, in_quarter(quarter))
        await meters.write()
    periods = [(utc("18:00"), utc("18:45")), (utc("18:45"), utc("19:15"))]
    found = await meters.held_of_each("acme-1", "acme", periods)
    assert [each.reading for each in found] == [in_quarter(3), in_quarter(4)]
    meters.close()


async def test_a_list_of_more_readings_than_are_read_is_refused(tmp_path: Path) -> None:
    meters = Meters(tmp_path, per_site=1, at_once=1, most_read=3)
    for quarter in range(10):
        add_reading(meters, in_quarter(quarter))
        await meters.write()
    with pytest.raises(TooMany, match="more than 3 readings"):
        await meters.between("acme-1", utc("18:00"))
    meters.close()


async def test_a_day_of_more_readings_than_are_read_is_matched_by_the_hour_and_nothing_counts_twice(
    tmp_path: Path,
) -> None:
    """18:00 and 19:00 are read by themselves; 20:00 has too many, and may have what 21:00 names."""
    meters = Meters(tmp_path, per_site=1, at_once=1, most_read=5)
    hour = timedelta(hours=1)
    hours = [(utc("18:00") + at * hour, utc("19:00") + at * hour) for at in range(4)]
    for quarter in range(12):
        add_reading(meters, named(in_quarter(quarter), f"gc-{quarter // 4}"))
    for minute in range(3):
        at = utc("20:00") + timedelta(minutes=minute)
        add_reading(meters, in_quarter(8).model_copy(update={"starts_at": at, "ends_at": at + timedelta(minutes=1)}))
    add_reading(meters, named(in_quarter(12), "gc-2"))
    await meters.write()
    site, taken = Site("acme-1", "DE-LU", "Europe/Berlin", 60 * MW, {}), Taken()

    read = await read_month(meters, "acme", site, hours, taken, NOBODYS)

    assert read.certified == {hours[0][0]: {"gc-0": 7 * MW}, hours[1][0]: {"gc-1": 7 * MW}}
    assert [(each.certificate_id, each.starts_at, each.why) for each in read.uncounted] == [
        ("gc-2", utc("21:00"), "UNREAD_BEFORE")
    ]
    assert [energy.gap for _, energy in read.energies][:3] == [None, None, Gap.TOO_MANY_READINGS]
    meters.close()


def named(reading: MeterReading, certificate_id: str) -> MeterReading:
    said = EnergyCertificate(certificate_id=certificate_id, energy_wh=7 * MW)
    return reading.model_copy(update={"certificates": [said]})
