"""Both days of the demo: what they say is so, is so for everyone who counts, and is believable."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridsignal_schemas.messages import Clearing, Direction, Record, Settlement
from gridsignal_services.demo.numbers import as_json
from gridsignal_services.demo.run import play_day
from gridsignal_services.demo.story import STORIES
from tests.journey.recount import QUARTER, Count, records_of
from tests.journey.resum import mishaps_of, money_of, sums_of

SUNNY, DARK = "2024-05-12", "2024-12-12"
DAY_S = 600.0
"""A day at half of the highest speed takes four minutes: whoever plays has more than a second for each answer."""
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
    "orders",
    "sites",
    "curves",
    "carbon",
    "moved_to_another_zone",
    "awards",
    "refusals",
    "voided",
    "reawards",
    "asked_wh",
    "offered_wh",
    "awarded_wh",
    "delivered_wh",
    "payments",
    "penalties",
    "settled",
    "proof",
    "energy_wh",
    "energy_bill",
    "net_cost",
    "co2_kg",
    "latency_ms",
}
DETAILS = {"requests", "offers", "orders", "sites", "curves", "carbon", "moved_to_another_zone"}
"""What the sums follow from."""


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gridsignal", "demo", "--json", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DAY_S, check=False)


def figures_of(day: str, directory: Path, speed: str = "max") -> dict[str, Any]:
    """What the command prints: one object, and nothing else."""
    ended = demo("--day", day, "--speed", speed, "--directory", str(directory))
    assert ended.returncode == 0, ended.stderr
    figures: dict[str, Any] = json.loads(ended.stdout)
    return figures


def plain(*arguments: str, encoding: str) -> str:
    """What a terminal without colours shows, of the width of a punched card."""
    environment = os.environ | {"PYTHONIOENCODING": encoding, "TERM": "dumb", "COLUMNS": "80"}
    command = [sys.executable, "-m", "gridsignal", "demo", *arguments]
    ended = subprocess.run(command, capture_output=True, timeout=DAY_S, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.decode(encoding)


def but_latencies(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name != "latency_ms"}


class Played:
    """A day that was played once for all tests here."""

    def __init__(self, day: str, directory: Path) -> None:
        self.day, self.directory = day, directory
        self.figures = figures_of(day, directory)
        self.records: list[Record] = asyncio.run(records_of(directory))
        self.count = Count(self.records)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Played, Played]:
    return Played(SUNNY, tmp_path_factory.mktemp(SUNNY)), Played(DARK, tmp_path_factory.mktemp(DARK))


@pytest.fixture(params=[SUNNY, DARK])
def played(request: pytest.FixtureRequest, both: tuple[Played, Played]) -> Played:
    return both[request.param == DARK]


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
    assert recounted.keys() >= KEYS - DETAILS - {"day", "seed", "net_cost", "latency_ms", "settled", "proof"}


def test_the_day_ends_settled_and_its_settlements_come_to_what_was_counted(played: Played) -> None:
    figures = played.figures
    held = [order for order in figures["orders"] if order["accepted_w"]]
    counted = Decimal(figures["payments"]) - Decimal(figures["penalties"])

    assert figures["settled"]["orders"] == len(held)
    # a settlement is in whole cents, carried from line to line
    assert abs(Decimal(figures["settled"]["total"]) - counted) <= Decimal("0.01") * len(held)


def test_the_days_log_proves_itself(played: Played) -> None:
    command = [sys.executable, "-m", "gridsignal", "audit", "verify", str(played.directory), "--json"]
    proof = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=DAY_S, check=True).stdout)
    assert proof["proven"]
    decided = [record for record in played.records if isinstance(record, Clearing)]
    assert sum(each["clearings"] for each in proof["partitions"]) == len(decided)
    settled = [record for record in played.records if isinstance(record, Settlement)]
    assert sum(each["settlements"] for each in proof["partitions"]) == len(settled) > 0
    assert played.figures["proof"] == {
        "holds": True,
        "faults": [],
        "clearings": len(decided),
        "settlements": len(settled),
    }
    assert all(each["covered"] >= each["records"] - 1 for each in proof["partitions"]), "the last head covers all"


def test_without_the_readings_every_settlement_is_told_of(played: Played, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(played.directory, folder)
    with closing(sqlite3.connect(folder / "log.db")) as log, log:
        (topic,) = log.execute("SELECT topic FROM topics WHERE name = 'gridsignal.readings'").fetchone()
        of_readings = "place >> 52 = ? AND instr(headers, 'MeterReading')"
        assert log.execute(f"DELETE FROM records WHERE {of_readings}", (topic,)).rowcount > 0
    command = [sys.executable, "-m", "gridsignal", "audit", "verify", str(folder), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DAY_S, check=False)
    faults = json.loads(ended.stdout)["faults"]
    assert ended.returncode == 1
    settled = [record for record in played.records if isinstance(record, Settlement)]
    assert len(faults) == len(settled)
    assert all("is from other readings than those on the log" in fault for fault in faults)


def test_every_printed_sum_follows_from_the_object_alone(played: Played) -> None:
    figures = played.figures
    assert {name: figures[name] for name in sums_of(figures)} == sums_of(figures)
    assert len(figures["requests"]) == 3
    for order in figures["orders"]:
        assert (order["paid"], order["penalty"]) == money_of(order)
    for request in figures["requests"]:
        accepted = sum(o["accepted_w"] or 0 for o in figures["orders"] if o["request_id"] == request["request_id"])
        assert request["lacking_w"] == max(0, request["power_w"] - accepted)


def test_the_readme_tells_the_same(played: Played) -> None:
    readme = (RECOUNT.parents[2] / "README.md").read_text("utf-8")
    cost, co2 = played.figures["net_cost"], played.figures["co2_kg"]
    assert f"{float(cost['without']) - float(cost['with']):,.0f} EUR better off" in readme
    assert f"{abs(co2['with'] - co2['without']) / 1000:.1f} t " in readme


def test_what_is_printed_is_what_the_object_says(played: Played) -> None:
    ended = plain("--day", played.day, "--speed", "max", encoding="utf-8")
    for name in ("payments", "penalties"):
        assert f"{Decimal(played.figures[name]):,.2f} EUR" in ended
    for name in ("energy_bill", "net_cost"):
        pair = {key: Decimal(value) for key, value in played.figures[name].items()}
        assert f"without orders {pair['without']:,.2f} EUR: {pair['with'] - pair['without']:+,.2f}" in ended
    assert ended.count("saved") <= 1


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_it_fits_a_plain_terminal(encoding: str) -> None:
    shown = plain("--speed", "max", encoding=encoding)
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    assert "m-" in shown
    assert "o+8.0" in shown
    if encoding != "utf-8":
        assert shown.isascii()


def test_no_bid_is_made_twice_and_no_load_is_sold_below_its_worth(both: tuple[Played, Played]) -> None:
    bids = [offer["price_per_mwh"] for played in both for offer in played.figures["offers"]]
    assert len(set(bids)) == len(bids)
    for played in both:
        for request in played.count.requests.values():
            if request.direction is Direction.LOAD_INCREASE:
                continue
            hours = [request.starts_at + i * QUARTER for i in range((request.ends_at - request.starts_at) // QUARTER)]
            worth = sum(played.count.prices[request.zone].at(hour) or Decimal(0) for hour in hours) / len(hours)
            asked = [o for o in played.figures["offers"] if o["request_id"] == request.request_id]
            assert asked
            assert all(Decimal(offer["price_per_mwh"]) >= worth for offer in asked)


def test_each_day_has_mishaps_of_its_own(both: tuple[Played, Played]) -> None:
    sunny, dark = (
        {(what, order["site"]) for order in played.figures["orders"] for what in mishaps_of(order)} for played in both
    )
    assert len(sunny) >= 4
    assert len(dark) >= 4
    assert not sunny & dark


def test_it_saves_money_and_says_what_became_of_the_co2(played: Played) -> None:
    cost, co2 = played.figures["net_cost"], played.figures["co2_kg"]
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
def test_another_speed_gives_the_same_figures(both: tuple[Played, Played], tmp_path: Path) -> None:
    _, stepped = both
    assert but_latencies(figures_of(DARK, tmp_path, "600")) == but_latencies(stepped.figures)


def test_a_speed_at_which_nobody_could_answer_is_refused() -> None:
    ended = demo("--speed", "5000")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "expected a speed of at most 1200, got 5000" in ended.stderr
