"""What is told to a factory is the whole net schedule: caps with an end, never 0, and null for what is between."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.actuators.dsx_wire import Cap, Feed, Status, joined, split, standing, targets, wanted
from gridsignal.agent.schedule import Commitment, Manner, Stretch, net
from gridsignal_schemas.values import MW, rfc3339
from tests.builders import utc

NOW = utc("18:00")
MINUTE = timedelta(minutes=1)
FEEDS = [Feed("hall-1", 0.55), Feed("hall-2", 0.45)]
LEAST_W = 2 * MW


def a_status(caps: dict[str, list[Cap]] | None = None) -> Status:
    def power(watts: int) -> dict[str, Any]:
        return {"value": watts / MW, "unit": "megawatt"}

    metadata = {"power_minimum": power(LEAST_W), "power_maximum": power(40 * MW), "default_constraint": power(40 * MW)}
    feeds = {
        feed.tag: {
            "metadata": metadata,
            "calculated_load": power(9 * MW),
            "targets": [
                {
                    "load_constraint": {"value": cap.watts, "unit": "watt"},
                    "interval": {"start_time": rfc3339(cap.starts_at), "end_time": rfc3339(cap.ends_at)},
                }
                for cap in (caps or {}).get(feed.tag, [])
            ],
        }
        for feed in FEEDS
    }
    return Status.model_validate({"snapshot_time": rfc3339(NOW), "feeds": feeds})


def after(said: list[dict[str, Any]], before: dict[str, list[Cap]]) -> dict[str, list[Cap]]:
    """What stands in a factory that takes the newest word for each minute of each feed."""
    minutes: dict[str, dict[int, int | None]] = {tag: {} for tag in before}

    def within(start: datetime, end: datetime) -> range:
        return range((start - NOW) // MINUTE, (end - NOW) // MINUTE)

    for tag, caps in before.items():
        for cap in caps:
            minutes[tag] |= dict.fromkeys(within(cap.starts_at, cap.ends_at), cap.watts)
    for target in said:
        start, end = (datetime.fromisoformat(target["interval"][name]) for name in ("start_time", "end_time"))
        constraint = target["load_constraint"] or {"value": None}
        minutes[target["feed_tags"][0]] |= dict.fromkeys(within(start, end), constraint["value"])
    found = {tag: sorted((at, watts) for at, watts in each.items() if watts) for tag, each in minutes.items()}
    return {
        tag: joined([Cap(NOW + at * MINUTE, NOW + (at + 1) * MINUTE, watts) for at, watts in each])
        for tag, each in found.items()
    }


ORDER = st.tuples(st.integers(0, 90), st.integers(1, 90), st.integers(-4 * MW, 25 * MW).filter(bool))
ORDERS = st.lists(ORDER, max_size=4)


def a_schedule(orders: list[tuple[int, int, int]]) -> Any:
    named = (
        Commitment(f"o{at}", NOW + start * MINUTE, NOW + (start + length) * MINUTE, watts)
        for at, (start, length, watts) in enumerate(orders)
    )
    return net(named, NOW, manner=Manner(restore_s=0), baseline=[Stretch(NOW, NOW + 1000 * MINUTE, 20 * MW)])


@given(ORDERS, ORDERS)
def test_whatever_stood_there_the_factory_then_holds_the_schedule_and_nothing_else(
    first: list[tuple[int, int, int]], then: list[tuple[int, int, int]]
) -> None:
    before = wanted(a_schedule(first), a_status(), FEEDS)
    caps = wanted(a_schedule(then), a_status(before), FEEDS)
    said = targets(caps, {feed.tag: standing(a_status(before), feed.tag, NOW) for feed in FEEDS}, NOW)
    assert after(said, before) == caps
    for target in said:
        assert target["interval"]["start_time"] < target["interval"]["end_time"]
        assert target["load_constraint"] is None or target["load_constraint"]["value"] >= LEAST_W


@given(st.integers(1, 40 * MW), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_the_feeds_parts_are_the_whole(watts: int, weights: list[int]) -> None:
    parts = split(watts, [Feed(f"f{at}", each / sum(weights)) for at, each in enumerate(weights)])
    assert sum(parts.values()) == watts
    assert all(part >= 0 for part in parts.values())
