"""Rests: how often, and after which pause, a site can be activated again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from gridsignal_schemas.messages import OfferOption
from gridsignal_schemas.rules.profile import Block

_DAY = timedelta(days=1)


def rest_code(option: OfferOption, wanted: Block, activations: Iterable[Block]) -> str | None:
    """The rule of the option that one more activation of its site would break; None where it would break none.

    Overlapping activations are one stretch of work: what they add up to is for the headroom to say.
    The log knows no zone's calendar, so a day is any twenty-four hours: stricter than midnight to midnight.
    """
    if option.rest_s is None and option.max_activations_per_day is None:
        return None
    others = list(activations)
    if option.rest_s is not None and _breaks_rest(timedelta(seconds=option.rest_s), wanted, others):
        return "REST"
    if option.max_activations_per_day is not None:
        starts = [wanted.starts_at, *(other.starts_at for other in others)]
        if _most_in_a_day(wanted.starts_at, starts) > option.max_activations_per_day:
            return "ACTIVATIONS"
    return None


def _breaks_rest(rest: timedelta, wanted: Block, others: Iterable[Block]) -> bool:
    for other in others:
        after, before = wanted.starts_at - other.ends_at, other.starts_at - wanted.ends_at
        if timedelta(0) <= max(after, before) < rest:
            return True
    return False


def _most_in_a_day(wanted: datetime, starts: list[datetime]) -> int:
    anchors = [anchor for anchor in starts if anchor <= wanted < anchor + _DAY]
    return max(sum(anchor <= start < anchor + _DAY for start in starts) for anchor in anchors)
