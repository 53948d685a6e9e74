"""What a site can still promise: its baseline, its minimum load and its connection, less what it is ordered to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from gridsignal_schemas.messages import Direction, DispatchOrder, DispatchRequest, RunMode, SiteRegistration
from gridsignal_schemas.rules.answers import Ordered
from gridsignal_schemas.rules.baselines import Declared, least_room_w, stretches
from gridsignal_schemas.rules.profile import Block, Profile

_OPEN_END = timedelta(days=3650)


def block_of(ordered: Ordered) -> Block:
    """An order as power over time; open ends reach to the far future."""
    order = ordered.order
    return Block(order.starts_at, order.ends_at or order.starts_at + _OPEN_END, ordered.power_w)


def counts_in(run_mode: RunMode, order: DispatchOrder) -> bool:
    """A dry run sees what is real; what is real sees no dry run."""
    return run_mode is RunMode.DRY_RUN or order.run_mode is not RunMode.DRY_RUN


def promised(live: Iterable[Ordered], request: DispatchRequest) -> Profile:
    """What a site's orders that are not over ask of it in the request's direction, answered or not."""
    same = (ordered for ordered in live if ordered.order.direction is request.direction)
    return Profile(block_of(ordered) for ordered in same if counts_in(request.run_mode, ordered.order))


def headroom_w(
    declared: Sequence[Declared],
    site: SiteRegistration,
    request: DispatchRequest,
    starts_at: datetime,
    ends_at: datetime,
    *,
    before: int,
    promised: Profile,
) -> int | None:
    """What the site can still promise the request over the whole period, in watts; None without a baseline.

    Down: baseline - minimum load - promised. Up: connection capacity - baseline - promised.
    `before` is the request's place: later baselines do not count.
    """
    found = stretches(declared, starts_at, ends_at, before)
    if not found:
        return None
    floor_w = site.minimum_load_w if request.direction is Direction.LOAD_DECREASE else None
    return least_room_w(found, promised, floor_w=floor_w, ceiling_w=site.capacity_w)
