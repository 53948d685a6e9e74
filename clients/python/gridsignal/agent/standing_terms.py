"""How much a site stands by with, and which offer says so. Decisions: values in, values out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from gridsignal.agent.offering import Promise
from gridsignal_schemas.values import Identifier, Power, Revision, Shape, Timestamp

_RENEWED = 0.5
"""An offer is renewed when so much of its time is over."""


class Stands(Shape):
    """The offer as it was told last."""

    offer_id: Identifier
    revision: Revision
    power_w: Power
    """0: it was withdrawn."""
    since: Timestamp
    ends_at: Timestamp
    generation: int = 1
    """A withdrawn offer is followed by another one."""

    def again(self) -> Stands:
        """The same, to be told anew: it counts as old."""
        return self.model_copy(update={"since": self.since - (self.ends_at - self.since)})


def free_w(room_w: int, promised: Iterable[Promise], now: datetime, most_w: int, step_w: int) -> int:
    """What of the room nobody else is promised at any time from now on, in whole steps."""
    standing = [each for each in promised if each.ends_at is None or now < each.ends_at]
    starts = [max(now, each.starts_at) for each in standing]
    together = (
        sum(each.watts for each in standing if each.starts_at <= at and (each.ends_at is None or at < each.ends_at))
        for at in starts
    )
    free = min(most_w, room_w - max(together, default=0))
    return max(0, free // step_w * step_w)


def wanted(stands: Stands | None, watts: int, now: datetime, *, days: int, first: str) -> Stands | None:
    """What has to be told; None where what was told is true."""
    ends_at = now + timedelta(days=days)
    if stands is None:
        return Stands(offer_id=first, revision=1, power_w=watts, since=now, ends_at=ends_at) if watts else None
    is_over = not stands.power_w or stands.ends_at <= now
    if is_over:
        if not watts:
            return None
        generation = stands.generation + 1
        name = f"{first[:50]}-{generation}"
        return Stands(offer_id=name, revision=1, power_w=watts, since=now, ends_at=ends_at, generation=generation)
    if not watts:
        return stands.model_copy(update={"power_w": 0})
    is_old = now - stands.since >= _RENEWED * (stands.ends_at - stands.since)
    if watts == stands.power_w and not is_old:
        return None
    changes = {"revision": stands.revision + 1, "power_w": watts}
    return stands.model_copy(update=changes | {"since": now, "ends_at": ends_at})
