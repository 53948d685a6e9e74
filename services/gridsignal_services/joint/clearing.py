"""Joint clearing by HiGHS: the most welfare over all zones and periods at once, and the prices that go with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import highspy

from gridsignal_services.joint.case import Case
from gridsignal_services.joint.model import Key, Model, Program

DEFAULT_TIME_LIMIT_S = 10.0
_PLACES = 6
_TINY = 0.5 * 10**-_PLACES


class NoAnswer(RuntimeError):
    """The solver found nothing in its time."""


class Status(StrEnum):
    """How good an answer is."""

    OPTIMAL = "OPTIMAL"
    TIME_LIMIT = "TIME_LIMIT"
    """The best that was found in time: `gap` says how far from the best there may be."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What a case comes to; quantities in MW, prices and welfare in the case's currency per MW and period."""

    welfare: float
    prices: dict[Key, float]
    """The value of one MW more there. Where several prices fit, one of them."""
    cleared: list[float]
    """Of each demand bid, in the case's order; what was shifted away included."""
    supplied: list[float]
    shifts: list[float]
    """Of each link."""
    flows: dict[tuple[int, int | str], float]
    """Of each line and period, negative against the line's direction."""
    uplift: float
    """What must be paid beside the prices, for nobody to lose who was taken whole: 0 without such."""
    status: Status
    gap: float
    """How far the best may be from it, as a share of the welfare; with whole numbers OPTIMAL is a gap of 0.0001."""


def clear(case: Case, time_limit_s: float = DEFAULT_TIME_LIMIT_S) -> Cleared:
    """Decides a case. With whole numbers the prices are those of the program in which these are fixed.

    Raises NoAnswer.
    """
    model = Model(case)
    status, gap, program = Status.OPTIMAL, 0.0, model.program
    if any(program.whole):
        whole = _solve(program, time_limit_s)
        status, gap = whole.status, whole.gap
        program = _fixed(program, whole.columns)
    found = _solve(program, time_limit_s)
    prices = {place: _rounded(-found.duals[row]) for place, row in model.prices.items()}
    answer = Cleared(
        welfare=_rounded(found.welfare),
        prices=prices,
        cleared=[_rounded(found.columns[column]) for column in model.cleared],
        supplied=[_rounded(found.columns[column]) for column in model.supplied],
        shifts=[_rounded(found.columns[column]) for column in model.shifted],
        flows={key: _rounded(found.columns[there] - found.columns[back]) for key, (there, back) in model.flows.items()},
        uplift=0.0,
        status=status,
        gap=gap,
    )
    return _with_uplift(case, answer) if any(model.program.whole) else answer


@dataclass(frozen=True, slots=True)
class _Found:
    welfare: float
    columns: Sequence[float]
    duals: Sequence[float]
    status: Status
    gap: float


class _Silent(highspy.Highs):
    """HiGHS that says nothing.

    Its constructor enables callbacks, and the first call of any method but the one that sets options writes a line to
    stdout, where our answers go.
    """

    def enableCallbacks(self) -> None:  # noqa: N802 - its name
        """None is used."""


def _solve(program: Program, time_limit_s: float) -> _Found:
    solver = _Silent()  # type: ignore[no-untyped-call]  # its constructor has no types
    for option, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("time_limit", time_limit_s)):
        solver.setOptionValue(option, value)
    solver.passModel(_as_highs(program))
    solver.run()
    status, info = solver.getModelStatus(), solver.getInfo()
    is_whole = any(program.whole)
    in_time = status in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kModelEmpty)
    if not in_time and not (is_whole and math.isfinite(info.mip_gap) and info.primal_solution_status == 2):
        raise NoAnswer(f"expected an answer within {time_limit_s:g} s, got none ({solver.modelStatusToString(status)})")
    solution = solver.getSolution()
    gap = float(info.mip_gap) if is_whole else 0.0
    outcome = Status.OPTIMAL if in_time else Status.TIME_LIMIT
    return _Found(info.objective_function_value, solution.col_value, solution.row_dual, outcome, gap)


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


def _fixed(program: Program, columns: Sequence[float]) -> Program:
    """The program in which every whole number is what was found for it."""
    fixed = [round(columns[place]) if whole else None for place, whole in enumerate(program.whole)]
    return Program(
        gain=program.gain,
        lower=[low if at is None else at for low, at in zip(program.lower, fixed, strict=True)],
        upper=[high if at is None else at for high, at in zip(program.upper, fixed, strict=True)],
        whole=[False] * len(fixed),
        rows=program.rows,
        least=program.least,
        most=program.most,
    )


def _with_uplift(case: Case, answer: Cleared) -> Cleared:
    prices = answer.prices
    lost = [
        *(
            (bid.price - prices[bid.zone, bid.period]) * power_mw
            for bid, power_mw in zip(case.supply, answer.supplied, strict=True)
        ),
        *(
            (prices[bid.zone, bid.period] - bid.price) * power_mw
            for bid, power_mw in zip(case.demand, answer.cleared, strict=True)
        ),
        *(
            (link.cost - prices[link.from_.zone, link.from_.period] + prices[link.to.zone, link.to.period]) * power_mw
            for link, power_mw in zip(case.links, answer.shifts, strict=True)
        ),
    ]
    return replace(answer, uplift=_rounded(sum(each for each in lost if each > _TINY)))


def _rounded(value: float) -> float:
    return round(value, _PLACES) + 0.0  # no minus nothing
