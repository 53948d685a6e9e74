"""Joint clearing by HiGHS: the most welfare over all zones and periods at once, and the prices that go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gridsignal_services.joint.case import Case
from gridsignal_services.joint.model import Key, Model
from gridsignal_services.joint.program import Program, Status

DEFAULT_TIME_LIMIT_S = 10.0
_PLACES = 6
_TINY = 0.5 * 10**-_PLACES


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
    from gridsignal_services.joint.solving import solve  # the extra `solver`, which the command's help needs not

    model = Model(case)
    status, gap, program = Status.OPTIMAL, 0.0, model.program
    if any(program.whole):
        whole = solve(program, time_limit_s)
        status, gap = whole.status, whole.gap
        program = _fixed(program, whole.columns)
    found = solve(program, time_limit_s)
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
