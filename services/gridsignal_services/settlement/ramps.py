"""Whether a site's power changed no faster than it may: what readings can tell of it.

Of two means that follow one another the change is at most the ramp x the distance of their middles, whatever the power
did within them. So a faster change is certain whatever the resolution is; that there was none is known only of means
of a minute or less, for ramps are said by the minute.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from gridsignal_services.settlement.energy import Mean

_MICROSECOND = timedelta(microseconds=1)
_MINUTE_US = 60_000_000


class _Window(NamedTuple):
    """A stretch at whose ends every meter's reading begins or ends, so that its mean is one."""

    starts_at: datetime
    ends_at: datetime
    mean_w: Fraction | None
    """None in a gap."""

    @property
    def length_us(self) -> int:
        return (self.ends_at - self.starts_at) // _MICROSECOND


class Ramps:
    """What the means of a connection point, in order of time, tell of its ramps."""

    def __init__(self, means: Sequence[Mean]) -> None:
        self._windows = _windows(means)
        self._starts = [window.starts_at for window in self._windows]

    def are_kept(self, w_per_min: int, starts_at: datetime, ends_at: datetime) -> bool | None:
        """Whether power changed no faster where a window begins from then to then; None where it can't be known."""
        first = max(bisect_right(self._starts, starts_at) - 1, 0)
        near = self._windows[max(first - 1, 0) : bisect_right(self._starts, ends_at)]
        is_known = self._covers(near, starts_at, ends_at)
        for before, after in pairwise(near):
            if not (starts_at <= after.starts_at < ends_at and before.ends_at == after.starts_at):
                continue
            if before.mean_w is None or after.mean_w is None:
                continue
            change_w, lengths_us = abs(after.mean_w - before.mean_w), before.length_us + after.length_us
            if 2 * change_w * _MINUTE_US > w_per_min * lengths_us:
                return False
        return True if is_known else None

    def _covers(self, near: Sequence[_Window], starts_at: datetime, ends_at: datetime) -> bool:
        """Whether there is a figure for all of it, by the minute or finer, and one for the moment before."""
        at = starts_at
        has_before = any(window.ends_at == starts_at or window.starts_at < starts_at for window in near)
        for window in near:
            if window.ends_at <= starts_at or window.starts_at >= ends_at:
                continue
            if window.starts_at > at or window.mean_w is None or window.length_us > _MINUTE_US:
                return False
            at = window.ends_at
        return has_before and at >= ends_at


def _windows(means: Sequence[Mean]) -> list[_Window]:
    """Means together from where all meters begin to where all end."""
    found: list[_Window] = []
    together: list[Mean] = []
    for mean in means:
        if together and (mean.is_cut or mean.starts_at != together[-1].ends_at):
            found.append(_window(together))
            together = []
        together.append(mean)
    return [*found, _window(together)] if together else found


def _window(means: Sequence[Mean]) -> _Window:
    starts_at, ends_at = means[0].starts_at, means[-1].ends_at
    energy = Fraction(0)
    for mean in means:
        if mean.net_w is None:
            return _Window(starts_at, ends_at, None)
        energy += Fraction(mean.net_w) * ((mean.ends_at - mean.starts_at) // _MICROSECOND)
    return _Window(starts_at, ends_at, energy / ((ends_at - starts_at) // _MICROSECOND))
