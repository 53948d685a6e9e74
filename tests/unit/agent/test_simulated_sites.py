"""A simulated cluster cuts as field trials have shown, and days that are played keep every deadline."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.cluster import GPUS, Cluster, cluster_of, cut
from gridsignal.agent.report import page
from gridsignal.agent.simulation import simulate, synthetic
from gridsignal.agent.study import POLICIES, Setting, bound, play
from gridsignal.cli.agent_simulate import _CLASSES, cuts_of

START = datetime(2030, 6, 3, tzinfo=UTC)
H100 = cluster_of("256xH100")


def clock() -> object:
    left = iter(range(12, -1, -1))
    return lambda: float(next(left, 0))


@given(st.sampled_from(sorted(GPUS)), st.floats(0, 0.98))
def test_the_last_watts_bring_the_least_speed(kind: str, speed: float) -> None:
    cluster = Cluster(1, kind)
    first, then, last = (cluster.watts(speed + each) for each in (0, 0.01, 0.02))
    assert first < then < last
    assert last - then > then - first


def test_a_quarter_less_for_three_hours_keeps_the_quality_of_every_class() -> None:
    found = cut(H100, _CLASSES, 0.25, 10_800, 10_800)
    assert found.reached >= 0.25
    assert all(each.slowdown <= each.tolerated for each in found.qualities)
    assert found.qualities[0].slowdown == 0


def test_thirty_per_cent_less_is_there_within_thirty_seconds() -> None:
    _, (_, found) = cuts_of(H100)
    assert found.seconds is not None
    assert found.seconds <= 30
    assert found.after_30_s >= 0.30
    assert all(each.slowdown <= each.tolerated for each in found.qualities)


@given(st.floats(0.05, 0.9), st.floats(60, 10_800))
def test_a_cut_never_says_more_than_it_reaches(asked: float, lasts_s: float) -> None:
    found = cut(H100, _CLASSES, asked, lasts_s, 10_800)
    assert (found.seconds is not None) == (found.reached > asked)
    assert all(each.slowdown <= each.tolerated + 1e-9 for each in found.qualities)
    assert found.after_30_s <= found.reached


@pytest.mark.parametrize("text", ["256", "0xH100", "8xTPU", "9999999xH100"])
def test_a_cluster_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a cluster such as 256xH100"):
        cluster_of(text)


@pytest.mark.parametrize("mix", ["training", "serving"])
def test_of_a_days_jobs_none_is_late_and_no_policy_falls_below_the_bound(mix: str) -> None:
    setting = Setting(synthetic("DE-LU", START, 3, 1), mix, 0, 80.0, (START + timedelta(days=1),), timedelta(days=1))
    played = {name: play(setting, name, clock) for name in POLICIES}
    assert all(each.misses == 0 and each.jobs == played["plan"].jobs > 0 for each in played.values())
    assert bound(setting).objective <= min(each.objective for each in played.values()) * (1 + 1e-6)
    assert played["plan"].objective < played["at once"].objective


def test_a_simulation_ends_with_a_page_that_needs_nothing_else() -> None:
    cluster, series = cluster_of("32xA100"), synthetic("DE-LU", START, 2, 0)
    played = simulate(cluster, series, 2, 0, 80.0, clock)
    assert (played.late, len(played.load_w)) == (0, len(played.at_once_w))
    assert played.orders
    assert all(each.delivered_w >= each.power_w for each in played.orders)
    assert played.money(played.load_w) < played.money(played.at_once_w)
    shown = page(cluster, "DE-LU", played, cuts_of(cluster), "<made up>", "EUR")
    assert re.findall(r"(?:src|href|url)\s*[=(]|<script|https?:", shown) == []
    assert "&lt;made up&gt;" in shown
    assert shown.count("<svg") == 3
