"""The machine, its cores, and how figures are summed up."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

SERVER, GENERATOR = 0, 1
"""Which of the cores at hand each side gets."""


def pin(side: int) -> None:
    """Keeps this process on one core, where the system allows it and there are two."""
    if sys.platform == "linux":
        # a child inherits its parent's core: first all that the system grants, then one
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[side % len(cores)]})


def described() -> str:
    """One line about the machine."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    python = f"Python {platform.python_version()}, websockets {version('websockets')}"
    load = f"load average {os.getloadavg()[0]:.2f} before" if hasattr(os, "getloadavg") else "load average unknown"
    return f"{platform.system()} {platform.machine()}, {cores} cores, {python}, {load}"


def cpu_s() -> float:
    """CPU seconds of this process so far, all threads, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_s_of(pid: int) -> float:
    """CPU seconds of another process so far, all threads, user and system; not a number off Linux."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The nearest rank; not a number where there is nothing."""
    if not sorted_values:
        return float("nan")
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]
