"""From orders to what the site holds itself to: overlapping orders add up to one schedule, and every part of it ends.

A decision: commitments in, slots out. Power is in watts at the connection point. `shed_w` is less than the baseline, a
negative one is more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from gridsignal_schemas.values import rfc3339

LOST_CONTACT = "lost contact"
"""What the failsafe's limit is called among orders; no order's id has a space."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Commitment:
    """What the site has accepted of one order."""

    order_id: str
    starts_at: datetime
    """Full power from here."""
    ends_at: datetime | None
    """To here; None until it is released: it is held for a lease at a time."""
    shed_w: int
    import_limit_w: int | None = None
    """Of an order to stay at or below so much: `shed_w` follows from the baseline then."""
    ramp_w_per_min: int | None = None
    """How fast power may change at most."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the declared baseline."""

    starts_at: datetime
    ends_at: datetime
    power_w: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a commitment, at constant power."""

    order_id: str
    starts_at: datetime
    ends_at: datetime
    shed_w: int
    import_limit_w: int | None
    share: float
    """How much of the way to the limit it asks for."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Between what the sum of all commitments stays for a time."""

    name: str
    starts_at: datetime
    ends_at: datetime
    low_w: int
    high_w: int | None = None
    """None: more may be shed."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the site begins and ends an order."""

    lead_s: int = 0
    """How long before an order's start it begins to shed."""
    restore_s: int = 60
    """Over how long load comes back after an order's end."""
    steps: int = 4
    """In how many steps of equal power it does either."""
    lease_s: int = 900
    """How long an order without an end is held before it is renewed."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A time of constant change against the baseline."""

    starts_at: datetime
    ends_at: datetime
    shed_w: int
    baseline_w: int | None
    """What was declared for it; None: nothing."""
    orders: tuple[str, ...]
    """The orders it is for, in alphabetical order."""

    @property
    def cap_w(self) -> int | None:
        """What the site draws in it."""
        return None if self.baseline_w is None else max(0, self.baseline_w - self.shed_w)

    @property
    def reason(self) -> str:
        """For people, and beside every action."""
        orders = [name for name in self.orders if " " not in name]
        said = f"order{'s' if len(orders) > 1 else ''} {', '.join(orders)}" if orders else ""
        return "; ".join(filter(None, (*(name for name in self.orders if " " in name), said)))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Slots in order of time, none overlapping, each with an end; outside of them nothing is asked of the site."""

    slots: tuple[Slot, ...] = ()

    def at(self, when: datetime) -> Slot | None:
        """The slot of this moment."""
        return next((slot for slot in self.slots if slot.starts_at <= when < slot.ends_at), None)

    def until(self, when: datetime) -> datetime | None:
        """When the slots that follow each other from this moment on come to an end; None where there is none."""
        end: datetime | None = None
        for slot in self.slots:
            if slot.starts_at <= when < slot.ends_at or slot.starts_at == end:
                end = slot.ends_at
        return end

    def changes_after(self, when: datetime) -> datetime | None:
        """The next moment at which another slot begins, or one ends."""
        moments = (moment for slot in self.slots for moment in (slot.starts_at, slot.ends_at))
        return min((moment for moment in moments if moment > when), default=None)

    def as_json(self) -> list[dict[str, Any]]:
        """For programs: times in RFC 3339, power in watts, `cap_w` where a baseline was declared."""
        return [
            {
                "starts_at": rfc3339(slot.starts_at),
                "ends_at": rfc3339(slot.ends_at),
                "shed_w": slot.shed_w,
                "cap_w": slot.cap_w,
                "orders": list(slot.orders),
            }
            for slot in self.slots
        ]


def net(
    commitments: Iterable[Commitment],
    now: datetime,
    *,
    manner: Manner = Manner(),
    baseline: Sequence[Stretch] = (),
    bounds: Sequence[Bound] = (),
) -> Schedule:
    """The schedule that keeps all commitments from now on: at each moment the sum of what they ask, within bounds.

    A slot of a bound may ask for nothing: where a counterpart keeps work from starting, it does so in it, too.

    A limit on import holds beside the sum, and never asks for more load. Where no baseline is declared it asks for
    nothing. An order without an end is held until the second next whole lease, so that the schedule changes once in a
    lease and what was applied ends by itself when nobody renews it.
    """
    parts = [part for each in commitments for part in _parts(each, now, manner)]
    moments = {moment for part in parts for moment in (part.starts_at, part.ends_at)}
    moments |= {moment for bound in bounds for moment in (bound.starts_at, bound.ends_at)}
    if not moments:
        return Schedule()
    first, last = max(now, min(moments)), max(moments)
    borders = {moment for stretch in baseline for moment in (stretch.starts_at, stretch.ends_at)}
    inside = {moment for moment in moments | borders if first < moment < last}
    cuts = sorted({first, last} | inside) if first < last else []
    slots = (_slot(start, end, parts, baseline, bounds) for start, end in pairwise(cuts))
    return Schedule(tuple(_joined(slot for slot in slots if slot is not None)))


def _parts(each: Commitment, now: datetime, manner: Manner) -> Iterator[_Part]:
    """The commitment as parts of constant power: stairs up, the whole, stairs down."""
    ends_at = each.ends_at or lease_end(max(now, each.starts_at), manner.lease_s)
    if ends_at <= each.starts_at:
        return
    ramp_s = -(-abs(each.shed_w) * 60 // each.ramp_w_per_min) if each.ramp_w_per_min else 0
    rise, fall = (timedelta(seconds=max(ramp_s, s) / manner.steps) for s in (manner.lead_s, manner.restore_s))

    def part(start: datetime, end: datetime, share: int) -> _Part:
        shed_w = each.shed_w * share // manner.steps
        return _Part(each.order_id, start, end, shed_w, each.import_limit_w, share / manner.steps)

    for step in range(1, manner.steps) if rise else ():
        start = each.starts_at - rise * (manner.steps - step)
        yield part(start, start + rise, step)
    yield part(each.starts_at, ends_at, manner.steps)
    for step in range(1, manner.steps) if fall and each.ends_at else ():
        start = ends_at + fall * (step - 1)
        yield part(start, start + fall, manner.steps - step)


def lease_end(now: datetime, lease_s: int) -> datetime:
    """The second next whole lease."""
    lease = timedelta(seconds=lease_s)
    return now - (now - _EPOCH) % lease + 2 * lease


def _slot(
    start: datetime, end: datetime, parts: Sequence[_Part], baseline: Sequence[Stretch], bounds: Sequence[Bound]
) -> Slot | None:
    asked = [part for part in parts if part.starts_at <= start and end <= part.ends_at]
    declared = [each.power_w for each in baseline if each.starts_at <= start and end <= each.ends_at]
    baseline_w = declared[-1] if declared else None
    limits = [(part.import_limit_w, part.share) for part in asked if part.import_limit_w is not None]
    shed_w = sum(part.shed_w for part in asked if part.import_limit_w is None)
    if limits and baseline_w is not None:
        over = [(baseline_w - limit_w, share) for limit_w, share in limits]
        shed_w = max(shed_w, *(math.ceil(watts * share) if watts > 0 else watts for watts, share in over))
    within = [bound for bound in bounds if bound.starts_at <= start and end <= bound.ends_at]
    for bound in sorted(within, key=lambda bound: (bound.high_w is None, bound.starts_at), reverse=True):
        shed_w = max(bound.low_w, shed_w if bound.high_w is None else min(bound.high_w, shed_w))
    orders = tuple(sorted({part.order_id for part in asked} | {bound.name for bound in within}))
    return Slot(start, end, shed_w, baseline_w, orders) if shed_w or within else None


def _joined(slots: Iterable[Slot]) -> Iterator[Slot]:
    """Neighbours that say the same become one."""
    held: Slot | None = None
    for slot in slots:
        if held is not None and _says(held) == _says(slot) and held.ends_at == slot.starts_at:
            held = Slot(held.starts_at, slot.ends_at, *_says(held))
            continue
        if held is not None:
            yield held
        held = slot
    if held is not None:
        yield held


def _says(slot: Slot) -> tuple[int, int | None, tuple[str, ...]]:
    return slot.shed_w, slot.baseline_w, slot.orders
