"""Rests: how often, and after which pause, a site can be activated again.

What is asked of a site's activations costs by the logarithm of their number, and by those around one day where they are
about as many as an option allows.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from operator import sub

from gridsignal_schemas.messages import OfferOption
from gridsignal_schemas.rules.profile import Block
from gridsignal_services.clock import micros

LONGEST_REST = timedelta(days=367)
"""No option asks for a longer rest, and none counts activations of more than a day."""
_SECOND, _DAY = 1_000_000, 86_400_000_000


def _no_moments() -> array[int]:
    return array("q")


@dataclass(slots=True)
class Activations:
    """When a site was or will be active: starts and ends, each in order of time, in microseconds since 1970.

    Bounded: 16 bytes for each activation of a year.
    """

    starts: array[int] = field(default_factory=_no_moments)
    ends: array[int] = field(default_factory=_no_moments)

    def add(self, block: Block) -> None:
        """One more."""
        insort(self.starts, micros(block.starts_at))
        insort(self.ends, micros(block.ends_at))

    def remove(self, block: Block) -> None:
        """One less: it will not be, or it is over for so long that it was dropped."""
        _remove(self.starts, micros(block.starts_at))
        _remove(self.ends, micros(block.ends_at))

    def drop(self, now: datetime) -> None:
        """Forgets what lies too far back for any rest; of starts as many as of ends, so that they can be counted."""
        gone = bisect_left(self.ends, micros(now - LONGEST_REST))
        del self.starts[:gone], self.ends[:gone]

    def touch(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether the site was or will be active at any moment of a period."""
        return bisect_left(self.starts, micros(ends_at)) > bisect_right(self.ends, micros(starts_at))

    def copy(self) -> Activations:
        """As they are now."""
        return Activations(self.starts[:], self.ends[:])

    def __len__(self) -> int:
        return len(self.starts)


def _remove(moments: array[int], moment: int) -> None:
    at = bisect_left(moments, moment)
    if moments[at : at + 1] == array("q", (moment,)):
        del moments[at]


def rest_code(option: OfferOption, wanted: Block, active: Sequence[Activations]) -> str | None:
    """The rule of the option that one more activation of its site would break; None where it would break none.

    Overlapping activations are one stretch of work: what they add up to is for the headroom to say.
    The log knows no zone's calendar, so a day is any twenty-four hours: stricter than midnight to midnight.
    """
    if option.rest_s is not None and any(_breaks_rest(option.rest_s * _SECOND, wanted, each) for each in active):
        return "REST"
    most = option.max_activations_per_day
    if most is not None and _is_more_in_a_day(most, micros(wanted.starts_at), active):
        return "ACTIVATIONS"
    return None


def _breaks_rest(rest: int, wanted: Block, active: Activations) -> bool:
    since, until = micros(wanted.starts_at), micros(wanted.ends_at)
    last, following = bisect_right(active.ends, since) - 1, bisect_left(active.starts, until)
    return (last >= 0 and since - active.ends[last] < rest) or (
        following < len(active) and active.starts[following] - until < rest
    )


def _is_more_in_a_day(most: int, wanted: int, active: Sequence[Activations]) -> bool:
    """Whether one more start at this moment lies in a day with more than so many."""
    around = [(bisect_right(a.starts, wanted - _DAY), bisect_left(a.starts, wanted + _DAY)) for a in active]
    count = sum(until - since for since, until in around)
    if count < most or count >= 2 * most:
        return count >= most  # on one side of it lie enough
    near = list(chain.from_iterable(a.starts[since:until] for a, (since, until) in zip(active, around, strict=True)))
    near = sorted([wanted, *near])
    # all lie within a day of it: where a day without it has more, one with it has, too
    return any(map(_DAY.__gt__, map(sub, near[most:], near)))
