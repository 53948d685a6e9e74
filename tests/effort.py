"""How many generated cases a law is held to: all of them in `make test`, some of them in `make unit`."""

from __future__ import annotations

from hypothesis import settings

ALL = 100
"""Cases of a law that names no number of its own, in the profiles of `make test`."""
QUICK = 5
"""The same in `make unit`: enough to see that a law holds at all, while one waits."""


def examples(number: int) -> int:
    """So many cases where all are asked for, and the same share of them as of every law's where not; at least one."""
    return max(1, number * settings.default.max_examples // ALL)
