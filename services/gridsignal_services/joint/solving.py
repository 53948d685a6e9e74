"""HiGHS as it is used here: it says nothing, uses one thread, and ends in time. Without it this can't be imported."""

from __future__ import annotations

import math

import highspy

from gridsignal_services.joint.program import NoAnswer, Program, Solution, Status


class _Silent(highspy.Highs):
    """HiGHS that says nothing.

    Its constructor enables callbacks, and the first call of any method but the one that sets options writes a line to
    stdout, where our answers go.
    """

    def enableCallbacks(self) -> None:  # noqa: N802 - its name
        """None is used."""


def solve(program: Program, time_limit_s: float) -> Solution:
    """The best of a program, or what was found in time. The interpreter is free meanwhile. Raises NoAnswer, and
    ValueError for what is no program."""
    solver = _Silent()  # type: ignore[no-untyped-call]  # its constructor has no types
    for option, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("time_limit", time_limit_s)):
        solver.setOptionValue(option, value)
    if solver.passModel(_as_highs(program)) == highspy.HighsStatus.kError:
        raise ValueError("expected a program with an entry for each column and row")
    solver.run()
    status, info = solver.getModelStatus(), solver.getInfo()
    is_whole = any(program.whole)
    in_time = status in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kModelEmpty)
    if not in_time and not (is_whole and math.isfinite(info.mip_gap) and info.primal_solution_status == 2):
        raise NoAnswer(f"expected an answer within {time_limit_s:g} s, got none ({solver.modelStatusToString(status)})")
    found = solver.getSolution()
    return Solution(
        welfare=info.objective_function_value,
        columns=found.col_value,
        duals=found.row_dual,
        status=Status.OPTIMAL if in_time else Status.TIME_LIMIT,
        gap=float(info.mip_gap) if is_whole else 0.0,
        bound=info.mip_dual_bound if is_whole else info.objective_function_value,
    )


def _as_highs(program: Program) -> highspy.HighsLp:
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(program.gain), len(program.rows)
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = program.gain, program.lower, program.upper
    lp.row_lower_, lp.row_upper_ = program.least, program.most
    starts, columns = [0], list[int]()
    values = list[float]()
    for row in program.rows:
        columns += row.keys()
        values += row.values()
        starts.append(len(columns))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = starts, columns, values
    if any(program.whole):
        kinds = highspy.HighsVarType
        lp.integrality_ = [kinds.kInteger if whole else kinds.kContinuous for whole in program.whole]
    return lp
