"""What PJM's and ERCOT's people write: levels, drills and regions in other words and places than usual."""

from __future__ import annotations

import pytest

from gridsignal_services.ingest.feed import Malformed
from tests.feed_documents import ercot, pjm, pjm_message
from tests.unit.ingest.asking import alerts, told

PJM_KINDS = [
    ("EEA3", "Alert", "GRID_EMERGENCY", 3, "SHED"),
    ("NERC Energy Emergency Alert 2", "Alert", "GRID_EMERGENCY", 3, "PREPARE"),
    ("Energy Emergency Alert (EEA) 1", "", "GRID_EMERGENCY", 2, "PREPARE"),
    ("Energy Emergency Alert Level Three", "Warning", "GRID_EMERGENCY", 3, "SHED"),
    ("Curtailment of Non-Essential Building Load", "Action", "GRID_EMERGENCY", 3, "PREPARE"),
    ("High System Voltage", "Action", "OTHER", 1, "INFORM"),
    ("Heavy Load Voltage Schedule Action", "Action", "OTHER", 3, "PREPARE"),
]


@pytest.mark.parametrize(("kind", "priority", "meaning", "level", "action"), PJM_KINDS)
def test_a_posting_means_what_its_name_says(kind: str, priority: str, meaning: str, level: int, action: str) -> None:
    alert = alerts("us_emergency", pjm(pjm_message(messageType=kind, priority=priority)))[0]
    assert (alert.kind, alert.level, alert.action) == (meaning, level, action)


@pytest.mark.parametrize(
    ("text", "drill"),
    [
        ("THIS IS A DRILL. Load is to be shed.", True),
        ("This is only a test", True),
        ("This is a PJM emergency procedures drill", True),
        ("This is not a drill", False),
        ("A unit tripped during a test", False),
    ],
)
def test_a_drill_is_one_although_only_its_words_say_so(text: str, drill: bool) -> None:
    assert alerts("us_emergency", pjm(pjm_message(message=text)))[0].is_drill is drill


def test_a_posting_s_regions_are_found_wherever_they_are_named() -> None:
    plain = pjm(pjm_message())
    wrapped = plain.replace(b"<Region>", b"<regions><Region>").replace(b"</Region>", b"</Region></regions>")
    deeper = plain.replace(b"<EmergencyMessage>", b"<all><EmergencyMessage>").replace(
        b"Message></", b"Message></all></"
    )
    bare = plain.replace(b"<Region>", b"").replace(b"</Region>", b"")
    for body in (wrapped, deeper, bare):
        assert alerts("us_emergency", body) == alerts("us_emergency", plain)
    with pytest.raises(Malformed, match="expected EmergencyMessage, got Message"):
        told("us_emergency", plain.replace(b"EmergencyMessage", b"Message"))


@pytest.mark.parametrize(
    ("state", "title", "level"),
    [
        ("emergency", "Emergency: load shed in progress", 3),
        ("rotating outages", "", 3),
        ("EEA Level Three", "", 3),
        ("3", "EEA", 3),
        ("TXANS", "TXANS Weather Watch", 1),
        ("Grid Conditions: Normal", "", 0),
        ("emergency", "Emergency, no load shed expected", 2),
    ],
)
def test_a_condition_is_read_in_other_words(state: str, title: str, level: int) -> None:
    assert alerts("us_emergency", ercot(state, title=title))[0].level == level


@pytest.mark.parametrize("state", ["not normal", "abnormal", "unavailable"])
def test_what_is_not_normal_is_no_all_clear(state: str) -> None:
    with pytest.raises(Malformed, match=state):
        told("us_emergency", ercot(state, title=""))
