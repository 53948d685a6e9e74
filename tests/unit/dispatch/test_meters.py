"""Readings in memory: by time, bounded, the later word on the same interval counts."""

from __future__ import annotations

from datetime import timedelta

from gridsignal_schemas.messages import MeterReading
from gridsignal_services.dispatch.meters import Meters
from tests.builders import a_meter_reading, utc

QUARTER = timedelta(minutes=15)


def reading(minutes: int, **changes: object) -> MeterReading:
    starts_at = utc("18:00") + timedelta(minutes=minutes)
    return a_meter_reading(**{"starts_at": starts_at, "ends_at": starts_at + QUARTER, "seq": minutes + 1000} | changes)


def starts(meters: Meters, from_: str, to: str | None, site: str = "fra-1") -> list[str]:
    found = meters.between(site, utc(from_), utc(to) if to else None)
    return [f"{each.starts_at:%H:%M}" for each in found]


def test_readings_come_in_the_order_of_time_whenever_they_arrived() -> None:
    meters = Meters()
    for minutes in (30, 0, 45, 15):
        assert meters.add(reading(minutes))
    assert starts(meters, "17:00", "20:00") == ["18:00", "18:15", "18:30", "18:45"]


def test_a_period_takes_what_touches_it() -> None:
    meters = Meters()
    for minutes in (0, 15, 30, 45):
        meters.add(reading(minutes))
    assert starts(meters, "18:14", "18:30") == ["18:00", "18:15"]
    assert starts(meters, "18:15", "18:16") == ["18:15"]
    assert starts(meters, "18:31", None) == ["18:30", "18:45"]
    assert starts(meters, "17:00", "18:00") == []
    assert starts(meters, "17:00", None, site="ber-1") == []


def test_the_later_word_on_an_interval_counts() -> None:
    meters = Meters()
    assert meters.add(reading(0, seq=5, import_w=1))
    assert meters.add(reading(0, seq=6, import_w=2))
    assert not meters.add(reading(0, seq=4, import_w=3))
    assert not meters.add(reading(0, seq=6, import_w=4))
    assert [each.import_w for each in meters.between("fra-1", utc("18:00"))] == [2]


def test_two_meters_of_a_site_stand_beside_each_other() -> None:
    meters = Meters()
    meters.add(reading(0, meter="north"))
    meters.add(reading(0, meter="south"))
    assert len(list(meters.between("fra-1", utc("18:00")))) == 2


def test_what_is_no_interval_is_not_remembered() -> None:
    meters = Meters()
    starts_at = utc("18:00")
    for ends_at in (starts_at, starts_at - QUARTER, starts_at + timedelta(days=2)):
        assert not meters.add(reading(0, ends_at=ends_at))
    assert list(meters.between("fra-1", utc("2024-05-01T00:00"))) == []


def test_when_full_the_oldest_is_forgotten_and_an_older_one_not_taken() -> None:
    meters = Meters(per_site=2)
    meters.add(reading(15))
    meters.add(reading(30))
    meters.add(reading(45))
    assert not meters.add(reading(0))
    meters.add(reading(0, site="ber-1"))
    assert starts(meters, "17:00", None) == ["18:30", "18:45"]
    assert starts(meters, "17:00", None, site="ber-1") == ["18:00"]
