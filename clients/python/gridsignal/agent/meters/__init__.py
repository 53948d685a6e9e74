"""What a site draws, as its meters tell: one port, and who reads a file or asks Prometheus."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from gridsignal.errors import GridsignalError


class MeterFailed(GridsignalError):
    """The meter can't be reached, or says what can't be read."""

    retriable = True


class Meter(Protocol):
    """The port. Every call is bounded in time."""

    async def mean_w(self, start: datetime, end: datetime) -> int | None:
        """Mean power taken from the grid over [start, end), in watts; None where a part of it is not known.

        Raises MeterFailed.
        """

    async def check(self, now: datetime) -> str:
        """What was reached, in a few words."""
