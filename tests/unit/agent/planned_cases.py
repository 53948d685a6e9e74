"""Small sites with jobs and curves, as strategies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from gridsignal.agent.curves import SLOT_S, Curve, Outlook
from gridsignal.agent.jobs import Job, Level, Progress
from gridsignal.agent.site import PuePoint, Site

START = datetime(2030, 5, 12, tzinfo=UTC)


def an_outlook(prices: list[float], carbon: float = 300.0) -> Outlook:
    curve = Curve(values=tuple(prices), known_at=START)
    return Outlook(starts_at=START, prices=curve, carbon=Curve(values=(carbon,) * len(prices), known_at=START))


def a_site(capacity_w: int = 1_000_000, **more: object) -> Site:
    pue = (PuePoint(load=0.2, pue=1.4), PuePoint(load=1.0, pue=1.2))
    said = {"site": "fra-1", "zone": "DE-LU", "it_capacity_w": capacity_w, "connection_limit_w": 2 * capacity_w}
    return Site.model_validate({**said, "pue": pue, **more})


def a_job(job_id: str = "a", *, slots: float = 2, opens: float = 0, closes: float = 8, **more: object) -> Job:
    said = {"job_id": job_id, "power_w": 100_000, "duration_s": round(slots * SLOT_S)}
    said["earliest"] = START + timedelta(seconds=opens * SLOT_S)
    said["deadline"] = START + timedelta(seconds=closes * SLOT_S)
    return Job.model_validate({**said, **more})


prices = st.floats(-100, 500).map(lambda value: round(value, 2))


@st.composite
def some_jobs(draw: st.DrawFn, slots: int, most: int) -> tuple[list[Job], dict[str, Progress]]:
    """Jobs of every kind, each of which could be done in time if it were alone, some of them begun."""
    jobs, progress = list[Job](), dict[str, Progress]()
    for number in range(draw(st.integers(1, most))):
        length = draw(st.integers(1, max(1, slots // 2)))
        opens = draw(st.integers(0, slots - length))
        closes = draw(st.integers(opens + length, slots))
        levels = draw(st.sampled_from([(), (Level(power_w=70_000, speed=0.9),), (Level(power_w=40_000, speed=0.5),)]))
        pausable = draw(st.booleans())
        pause_s = draw(st.sampled_from([0, 300, 450, 1_000])) if pausable else 0
        cost = {"checkpoint_s": pause_s, "restart_j": draw(st.sampled_from([0, 10**7])) if pausable else 0}
        window = {"slots": length, "opens": opens, "closes": closes}
        job = a_job(f"j{number}", **window, levels=levels, pausable=pausable, **cost)
        jobs.append(job)
        if opens == 0 and length > 1 and draw(st.booleans()):
            progress[job.job_id] = Progress(done_s=SLOT_S, is_running=True)
    return jobs, progress
