"""Both days of the demo: what they say is so, is so for everyone who counts, and is believable."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from gridsignal_schemas.messages import Record
from gridsignal_services.demo.numbers import as_json
from gridsignal_services.demo.run import play_day
from gridsignal_services.demo.story import STORIES
from tests.journey.recount import Count, records_of

SUNNY, DARK = "2024-05-12", "2024-12-12"
RECOUNT = Path(__file__).with_name("recount.py")
KEYS = {
    "day",
    "zone",
    "seed",
    "prices",
    "price_min",
    "price_max",
    "requests",
    "offers",
    "awards",
    "refusals",
    "voided",
    "reawards",
    "asked_wh",
    "offered_wh",
    "awarded_wh",
    "delivered_wh",
    "cost",
    "penalties",
    "energy_wh",
    "energy_cost",
    "co2_kg",
    "latency_ms",
}


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gridsignal", "demo", "--json", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def figures_of(day: str, directory: Path, speed: str = "max") -> dict[str, Any]:
    """What the command prints: one object, and nothing else."""
    ended = demo("--day", day, "--speed", speed, "--directory", str(directory))
    assert ended.returncode == 0, ended.stderr
    figures: dict[str, Any] = json.loads(ended.stdout)
    return figures


def but_latencies(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name != "latency_ms"}


class Played:
    """A day that was played once for all tests here."""

    def __init__(self, day: str, directory: Path) -> None:
        self.day, self.directory = day, directory
        self.figures = figures_of(day, directory)
        self.records: list[Record] = asyncio.run(records_of(directory))
        self.count = Count(self.records)


@pytest.fixture(scope="module", params=[SUNNY, DARK])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(request.param, tmp_path_factory.mktemp(request.param))


def test_it_prints_every_figure(played: Played) -> None:
    assert played.figures.keys() >= KEYS
    assert (played.figures["day"], played.figures["prices"]) == (played.day, 24)
    assert played.figures["latency_ms"]["price_to_client"]["n"] > 0
    assert played.figures["latency_ms"]["offer_to_receipt"]["n"] > 0


async def test_the_same_seed_gives_the_same_figures(played: Played, tmp_path: Path) -> None:
    again = await play_day(STORIES[played.day], seed=1, speed=None, directory=tmp_path)
    assert but_latencies(as_json(again)) == but_latencies(played.figures)


def test_whoever_recounts_the_log_gets_the_same_figures(played: Played) -> None:
    ended = subprocess.run(
        [sys.executable, str(RECOUNT), str(played.directory)], capture_output=True, text=True, timeout=60, check=True
    )
    recounted = json.loads(ended.stdout)
    assert recounted == {name: played.figures[name] for name in recounted}
    assert recounted.keys() >= KEYS - {"day", "seed", "latency_ms"}


def test_it_saves_money_and_says_what_became_of_the_co2(played: Played) -> None:
    cost, co2 = played.figures["energy_cost"], played.figures["co2_kg"]
    assert float(cost["with"]) < float(cost["without"])
    if played.day == SUNNY:
        assert co2["with"] < co2["without"]
    else:
        assert co2["with"] > co2["without"]


def test_not_everything_goes_well(played: Played) -> None:
    figures, count = played.figures, played.count
    assert (figures["refusals"], figures["voided"]) == (1, 1)
    assert figures["reawards"] >= 1
    in_part = [i for i, power in count.accepted.items() if power < count.orders[i].power_w]
    assert len(in_part) == 1
    delivered: dict[str, int] = defaultdict(int)
    for order, _, power, _ in count.deliveries():
        delivered[order.order_id] += power // 4
    accepted = {i: power * len(count.quarters(count.orders[i])) // 4 for i, power in count.accepted.items()}
    assert sum(delivered[i] < 0.95 * accepted[i] for i in accepted) >= 1
    assert 0.90 <= figures["delivered_wh"] / figures["awarded_wh"] <= 0.999


def test_nobody_is_ordered_beyond_what_was_offered(played: Played) -> None:
    for order in played.count.orders.values():
        offer = played.count.offers[order.participant, order.offer_id or ""]
        (option,) = [option for option in offer.options if option.option == order.option]
        assert order.power_w <= option.power_w
        assert option.starts_at <= order.starts_at
        assert order.ends_at is not None
        assert order.ends_at <= option.ends_at


@pytest.mark.parametrize(("site", "kept"), [("fra-1", 1.0), ("muc-1", 0.94 * 0.94)])
def test_what_was_moved_in_time_is_made_up_for(played: Played, site: str, kept: float) -> None:
    """`kept` is what a battery gives back of what it took: 94 % each way, so more comes in than went out."""
    count = played.count
    deviations = [power - count.baseline[place] for place, power in count.metered.items() if place[0] == site]
    more, less = sum(d for d in deviations if d > 0), -sum(d for d in deviations if d < 0)
    assert less > 0
    assert abs(more * kept - less) <= 0.03 * less


@pytest.mark.slow
def test_another_speed_gives_the_same_figures(tmp_path: Path) -> None:
    stepped, scaled = figures_of(DARK, tmp_path / "max"), figures_of(DARK, tmp_path / "1200", "1200")
    assert but_latencies(scaled) == but_latencies(stepped)


def test_a_speed_at_which_nobody_could_answer_is_refused() -> None:
    ended = demo("--speed", "5000")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "expected a speed of at most 1200, got 5000" in ended.stderr
