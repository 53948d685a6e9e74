"""What Slurm's jobs say of themselves, and whom an order pauses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.slurm import Mark, SlurmJob, Way, chosen, jobs_of, label_of, mark_of, to_plan
from gridsignal_schemas.values import rfc3339
from tests.builders import utc

NOW = utc("18:00")
HOUR = timedelta(hours=1)
UNTIL = NOW + HOUR
WHOLE = st.integers(0, 10**8).map(lambda seconds: NOW + timedelta(seconds=seconds))
MARKS = st.builds(Mark, st.sampled_from(Way), WHOLE, WHOLE, st.integers(0, 86_400), st.text(max_size=40))


def printed(job_id: int, comment: str = "", state: Any = "RUNNING", **fields: Any) -> dict[str, Any]:
    row = {"job_id": job_id, "comment": comment, "admin_comment": "", "job_state": state, "priority": 5}
    return row | {"start_time": int((NOW - HOUR).timestamp()), "time_limit": 180, "het_job_id": 0} | fields


def read(*rows: dict[str, Any]) -> list[SlurmJob]:
    jobs, faults = jobs_of({"jobs": list(rows)}, {})
    assert not faults
    return jobs


@given(MARKS, st.text("ab [] x", max_size=10))
def test_a_mark_is_read_as_it_was_written_and_leaves_what_else_stands_there(mark: Mark, other: str) -> None:
    (job,) = read(printed(1, "gridsignal power_w=1", admin_comment=f"{other} {mark}"))
    found = job.mark
    assert found is not None
    assert (found.way, found.since, found.until, found.paused_s) == (mark.way, mark.since, mark.until, mark.paused_s)
    assert str(found) == str(mark)
    assert mark_of(job.with_mark(found)) == found
    assert mark_of(job.with_mark(None)) is None


@pytest.mark.parametrize(
    ("comment", "fault"),
    [
        ("gridsignal", "power_w: expected a value, got nothing"),
        ("gridsignal power_w=40kW", "power_w: expected a valid integer, got '40kW'"),
        ("gridsignal power_w=1 pause=kill", "pause: "),
        ("gridsignal power_w=1 pause=hold", "expected pause=stop, pause=suspend or pause=requeue, got hold"),
        ("gridsignal power_w=1 deadlin=2030-01-01T00:00:00Z", "deadlin: "),
        ("gridsignal power_w=1 deadline=tomorrow", "deadline: "),
        ("gridsignal power_w=100000000 pause=stop", "power_w: expected at most 10000000, got 100000000"),
    ],
)
def test_a_label_with_a_fault_is_named_and_the_job_is_not_touched(comment: str, fault: str) -> None:
    jobs, faults = jobs_of({"jobs": [printed(7, comment)]}, {})
    assert not jobs
    assert [line[: len("job 7: ")] for line in faults] == ["job 7: "]
    assert fault in faults[0]


def test_a_mark_without_an_offset_is_none() -> None:
    assert mark_of("[gridsignal way=stop since=2024-05-12T17:00:00 until=2024-05-12T19:00:00Z for=x]") is None


def test_what_is_not_labelled_or_over_or_part_of_several_is_nobodys() -> None:
    assert label_of("a nightly run of gridsignals") is None
    over = printed(2, "gridsignal power_w=1", "COMPLETED")
    assert not read(printed(1, "a run"), over, printed(3, "gridsignal power_w=1", het_job_id=3))


def test_later_versions_print_numbers_and_states_in_another_way() -> None:
    number = {"set": True, "infinite": False, "number": 90}
    (job,) = read(printed(1, "gridsignal power_w=1", ["RUNNING"], time_limit=number, priority=number))
    assert (job.state, job.limit_s, job.is_held) == ("RUNNING", 5400, False)
    (job,) = read(printed(1, "gridsignal power_w=1", ["PENDING"], time_limit=number | {"infinite": True}))
    assert job.limit_s is None


@given(st.lists(st.integers(1, 50), max_size=8), st.integers(0, 200), st.integers(0, 8))
def test_enough_is_paused_where_there_is_enough_and_nobody_who_is_not_needed(
    powers: list[int], shed_w: int, already: int
) -> None:
    mark = Mark(Way.STOP, NOW, UNTIL)
    paused = {"state": "STOPPED", "admin_comment": str(mark)}
    labels = (f"gridsignal power_w={w} pause=stop restart_s={w}" for w in powers)
    jobs = read(*(printed(at, label, **(paused if at < already else {})) for at, label in enumerate(labels)))
    ways = chosen(jobs, shed_w, UNTIL, NOW)
    taken = [powers[at] for at in ways]
    assert sum(taken) >= min(shed_w, sum(powers))
    assert all(sum(taken) - w < shed_w for w in taken)
    assert set(ways.values()) <= {Way.STOP}


def test_nobody_is_paused_who_would_be_late_or_may_not_be() -> None:
    late = rfc3339(NOW + 2 * HOUR)
    soon = printed(1, f"gridsignal power_w=5 pause=stop deadline={late} duration_s=7260")
    just = printed(2, f"gridsignal power_w=4 pause=stop deadline={late} duration_s=7200")
    again = printed(3, f"gridsignal power_w=3 pause=requeue deadline={late} duration_s=7200")
    never = printed(4, "gridsignal power_w=2")
    waits = printed(5, f"gridsignal power_w=1 hold=yes deadline={late} duration_s=3600", "PENDING")
    urgent = printed(6, f"gridsignal power_w=1 hold=yes deadline={late} duration_s=3660", "PENDING")
    theirs = printed(8, "gridsignal power_w=1 hold=yes", "PENDING", priority=0)
    jobs = read(soon, just, again, never, waits, urgent, theirs)
    assert chosen(jobs, 100, UNTIL, NOW) == {2: Way.STOP, 5: Way.HOLD}
    assert chosen(jobs, 0, UNTIL, NOW) == {5: Way.HOLD}, "nobody pauses, and nobody starts"
    assert chosen(jobs, -1, UNTIL, NOW) == {}


def test_who_starts_while_it_is_being_held_is_paused() -> None:
    held = str(Mark(Way.HOLD, NOW, UNTIL))
    (started,) = read(printed(1, "gridsignal power_w=5 pause=suspend hold=yes", admin_comment=held))
    assert chosen([started], 5, UNTIL, NOW) == {1: Way.SUSPEND}
    requeued = str(Mark(Way.REQUEUE, NOW, UNTIL))
    (waits,) = read(printed(1, "gridsignal power_w=5 pause=stop", "PENDING", priority=0, admin_comment=requeued))
    assert chosen([waits], 5, UNTIL, NOW) == {1: Way.REQUEUE}


@pytest.mark.parametrize("number", [7, {"set": True, "infinite": False, "number": 7}])
def test_an_array_is_left_alone_and_named_once_where_it_is_labelled(number: Any) -> None:
    label = "gridsignal power_w=5 pause=stop"
    tasks = [printed(job_id, label, array_job_id=number) for job_id in (7, 8)]
    jobs, faults = jobs_of({"jobs": [*tasks, printed(9, "a run", array_job_id=number)]}, {})
    assert not jobs
    assert faults == ["job 7: expected a job of its own, got an array: Slurm stops its tasks together"]


@pytest.mark.parametrize(
    "number", [0, None, {"set": True, "infinite": False, "number": 0}, {"set": False, "number": 0}]
)
def test_a_job_of_its_own_is_no_array(number: Any) -> None:
    assert [job.job_id for job in read(printed(7, "gridsignal power_w=5", array_job_id=number))] == [7]


def test_a_plan_has_the_jobs_with_a_deadline_and_says_who_has_none() -> None:
    label = f"gridsignal power_w=9 pause=stop deadline={rfc3339(NOW + 5 * HOUR)}"
    jobs, progress, faults = to_plan(read(printed(1, label), printed(2, "gridsignal power_w=9")), NOW)
    assert [(job.job_id, job.duration_s, job.pausable) for job in jobs] == [("slurm-1", 7200, True)]
    assert progress["slurm-1"].is_running
    assert faults == ["job 2: expected a deadline and a duration_s or a time limit, got none"]
