"""The floors of coverage: one for each room, and a room below its own is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.floors import TABLE, faults, highest, lowered, moved, per_cent, raised, read, room_of, rooms, written


def test_every_room_has_a_floor() -> None:
    floors = read(TABLE.read_text("utf-8"))
    assert sorted(floors) == sorted(rooms()), "a new room has a line of its own, one that is gone has none"
    reasons = moved(TABLE.read_text("utf-8"))
    assert reasons.keys() <= floors.keys()
    assert TABLE.read_text("utf-8") == written(floors, reasons)


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("clients/python/gridsignal/cli/watch.py", "gridsignal"),
        ("schemas/gridsignal_schemas/rules/offers.py", "gridsignal_schemas"),
        ("services/gridsignal_services/clock.py", "gridsignal_services"),
        ("services/gridsignal_services/ingest/providers/aemo.py", "gridsignal_services.ingest"),
    ],
)
def test_a_file_lies_in_its_room(path: str, room: str) -> None:
    assert room_of(Path(path)) == room
    assert room in rooms()


def test_a_room_is_measured_by_its_statements_and_branches() -> None:
    bus = Path("services/gridsignal_services/bus")
    whole = {"num_statements": 10, "covered_lines": 10, "num_branches": 0, "covered_branches": 0}
    half = {"num_statements": 20, "covered_lines": 15, "num_branches": 10, "covered_branches": 5}
    assert per_cent({bus / "tail.py": whole, bus / "codec.py": half}) == {"gridsignal_services.bus": 75}


def test_a_room_below_its_floor_is_named() -> None:
    floors = {"gridsignal": 70, "gridsignal_services.bus": 70, "gridsignal_services.cli": 1}
    measured = {"gridsignal": 70.0, "gridsignal_services.bus": 69.9}
    assert [fault.split(":")[0] for fault in faults(floors, measured)] == [
        "gridsignal_services.bus",
        "gridsignal_services.cli",
    ]


def test_a_floor_only_rises() -> None:
    before = {"gridsignal": 70, "gridsignal_schemas": 80, "gone": 90}
    assert raised(before, {"gridsignal": 60.0, "gridsignal_schemas": 88.8}) == {
        "gridsignal": 70,
        "gridsignal_schemas": 85,
    }
    assert lowered(before, {"gridsignal": 70, "gridsignal_schemas": 81}) == []
    assert [fault.split(":")[0] for fault in lowered(before, {"gridsignal": 69, "gridsignal_schemas": 80})] == [
        "gridsignal"
    ]


def test_a_floor_that_sank_in_two_steps_is_seen() -> None:
    tables = ({"gridsignal": 60}, {"gridsignal": 65}, {"gridsignal": 70, "gridsignal_protocol": 91})
    before = highest([written(floors, {}) for floors in tables], {})
    assert before == {"gridsignal": 70, "gridsignal_protocol": 91}
    assert lowered(before, {"gridsignal": 65, "gridsignal_protocol": 91}) == lowered(before, {"gridsignal": 65})
    assert len(lowered(before, {"gridsignal": 65})) == 1


def test_a_room_that_code_left_has_a_new_floor_that_only_rises_again() -> None:
    went = {"gridsignal": "the protocol went to gridsignal_protocol"}
    tables = [written({"gridsignal": 70}, {}), written({"gridsignal": 50}, went), written({"gridsignal": 55}, went)]
    assert highest(tables, went) == {"gridsignal": 55}
    assert len(lowered(highest(tables, went), {"gridsignal": 50})) == 1
    assert highest(tables, {}) == {"gridsignal": 70}, "a reason that is taken back gives nothing"
