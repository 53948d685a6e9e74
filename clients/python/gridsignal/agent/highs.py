"""HiGHS as it is used here: it says nothing, uses one thread, and ends in time."""

from __future__ import annotations

import highspy


class Silent(highspy.Highs):
    """Its constructor enables callbacks, and the first call of a method writes a line to stdout, where answers go."""

    def enableCallbacks(self) -> None:  # noqa: N802 - its name
        """None is used."""


def quiet(solver: highspy.Highs, limit_s: float) -> None:
    """The same answer each time, and an end."""
    for option, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("time_limit", limit_s)):
        solver.setOptionValue(option, value)
