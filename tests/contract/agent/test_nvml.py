"""GPUs by NVIDIA's library: those that are named alone, given back whatever happens, and what goes wrong is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gridsignal.agent.actuators import ActuatorFailed
from gridsignal.agent.actuators.nvml import NvmlActuator, spread
from gridsignal_schemas.values import MW
from tests.contract.agent.gpus import Gpus
from tests.contract.agent.stands import END, START, scheduled

NAMED = ("GPU-a", "GPU-b", "GPU-c")


def actuator(gpus: Gpus, folder: Path, *named: str) -> NvmlActuator:
    return NvmlActuator(named or NAMED, folder / "nvml.json", gpus)


async def test_who_is_not_named_is_not_touched_and_a_release_gives_back_what_is_over(tmp_path: Path) -> None:
    gpus = Gpus()
    before = dict(gpus.limits)
    await actuator(gpus, tmp_path).apply(scheduled(7 * MW), START)
    assert gpus.limits["GPU-other"] == before["GPU-other"]
    assert sum(before.values()) - sum(gpus.limits.values()) == 7 * MW * 1000
    after = actuator(gpus, tmp_path)  # the one before it was killed
    assert await after.release(START) == ()
    over = END + timedelta(minutes=5)
    assert [action.reason for action in await after.release(over)] == ["it is over"]
    assert gpus.limits == before
    assert await after.release(over) == ()
    assert gpus.open == 0


async def test_whoever_is_killed_before_a_limit_was_set_is_undone(tmp_path: Path) -> None:
    gpus = Gpus()
    gpus.refuses = True
    with pytest.raises(ActuatorFailed, match="NVML: Insufficient Permissions"):
        await actuator(gpus, tmp_path).apply(scheduled(1 * MW), START)
    gpus.refuses = False
    after = actuator(gpus, tmp_path)
    assert (await after.observe(START)).shed_w == 0
    assert await after.release(START, everything=True)
    assert gpus.limits == Gpus().limits


async def test_what_does_not_work_is_told(tmp_path: Path) -> None:
    gpus = Gpus()
    with pytest.raises(ActuatorFailed, match="NVML: Not Found"):
        await actuator(gpus, tmp_path, "GPU-z").check(START)
    gpus.refuses = True
    with pytest.raises(ActuatorFailed, match="NVML: Insufficient Permissions"):
        await actuator(gpus, tmp_path).check(START)
    (tmp_path / "nvml.json").write_text('{"GPU-a": {}}', "utf-8")
    with pytest.raises(ActuatorFailed, match="expected what limits were"):
        await actuator(gpus, tmp_path).observe(START)


async def test_what_a_person_has_set_since_stays_and_counts_from_there(tmp_path: Path) -> None:
    gpus, over = Gpus(), END + timedelta(minutes=5)
    before = dict(gpus.limits)
    await actuator(gpus, tmp_path).apply(scheduled(3 * MW), START)
    gpus.limits["GPU-a"] = 2_500_000_000
    assert (await actuator(gpus, tmp_path).observe(START)).shed_w < 3 * MW
    (given,) = await actuator(gpus, tmp_path).release(over)
    assert given.what == "2 GPUs limited as before, 1 left as somebody else has set them"
    assert gpus.limits == before | {"GPU-a": 2_500_000_000}
    await actuator(gpus, tmp_path).apply(scheduled(3 * MW), START)
    gpus.limits["GPU-b"] = 3_500_000_000
    again = actuator(gpus, tmp_path)
    await again.apply(scheduled(4 * MW), START)
    assert (await again.observe(START)).shed_w == 4 * MW
    await again.release(over)
    assert gpus.limits == before | {"GPU-a": 2_500_000_000, "GPU-b": 3_500_000_000}


async def test_who_is_killed_between_two_limits_gives_back_what_they_were_first(tmp_path: Path) -> None:
    gpus = Gpus()
    await actuator(gpus, tmp_path).apply(scheduled(2 * MW), START)
    gpus.refuses = True
    with pytest.raises(ActuatorFailed):
        await actuator(gpus, tmp_path).apply(scheduled(5 * MW), START)
    gpus.refuses = False
    assert (await actuator(gpus, tmp_path).observe(START)).shed_w == 2 * MW
    await actuator(gpus, tmp_path).release(START, everything=True)
    assert gpus.limits == Gpus().limits


async def test_one_program_at_a_time_changes_limits(tmp_path: Path) -> None:
    gpus = Gpus()
    await actuator(gpus, tmp_path).apply(scheduled(3 * MW), START)
    lowered = dict(gpus.limits)
    beside = NvmlActuator(NAMED, tmp_path / "nvml.json", gpus, timeout_s=0.1)
    async with actuator(gpus, tmp_path)._alone():
        for changes in (beside.release(START, everything=True), beside.apply(scheduled(7 * MW), START)):
            with pytest.raises(ActuatorFailed, match="expected to change limits alone"):
                await changes
        assert gpus.limits == lowered
    assert await actuator(gpus, tmp_path).release(START, everything=True)


def test_each_gives_whole_watts_in_proportion_to_what_it_can() -> None:
    limits = {"a": (700_000, 200_000), "b": (700_000, 200_000), "c": (300_000, 100_000)}
    assert spread(limits, 600) == {"a": 450_000, "b": 450_000, "c": 200_000}
    assert sum(was - new for (was, _), new in zip(limits.values(), spread(limits, 7).values(), strict=True)) == 7_000
    assert spread(limits, 5_000) == {"a": 200_000, "b": 200_000, "c": 100_000}
    assert spread({"a": (100_000, 200_000)}, 5) == {"a": 100_000}
