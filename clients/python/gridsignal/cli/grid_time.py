"""What time it is on the grid that a command talks to."""

from __future__ import annotations

import os
from datetime import UTC, datetime

VARIABLE = "GRIDSIGNAL_GRID_CLOCK"
"""Three words: grid time at an instant, grid seconds in a second, that instant. An accelerated stack writes it."""


def grid_now() -> datetime:
    """Grid time: the wall's, unless the environment describes the clock of an accelerated stack."""
    now = datetime.now(UTC)
    try:
        origin, rate, epoch = os.environ.get(VARIABLE, "").split()
        return datetime.fromisoformat(origin) + (now - datetime.fromisoformat(epoch)) * float(rate)
    except (ValueError, TypeError, OverflowError):
        return now
