"""The solver of an owner: HiGHS, where it is installed and wanted."""

from __future__ import annotations

from importlib.util import find_spec

from gridsignal_services.joint.program import NoAnswer, Program, Solution
from gridsignal_services.owning.best import Solver
from gridsignal_services.telemetry import logger

_log = logger("solver")


def solver_of(limit_s: int) -> Solver | None:
    """What looks for better choices than the merit order, so long at most; None where none is wanted or installed."""
    return Solver(_solve, limit_s) if limit_s and find_spec("highspy") is not None else None


def _solve(program: Program, limit_s: float) -> Solution:
    try:
        from gridsignal_services.joint.solving import solve  # half a second, and 40 MB: where there is need of it

        return solve(program, limit_s)
    except NoAnswer:
        _log.info("no answer in time: the merit order decides", limit_s=round(limit_s, 3))
        raise
    except Exception as broken:  # whatever it is, a request is not left undecided for it
        _log.error("failed: the merit order decides", reason=f"{type(broken).__name__}: {broken!s:.200}")
        raise NoAnswer("it failed") from broken
