"""How much a site stands by with, and which offer says so. Decisions: values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from gridsignal.agent.offering import Promise
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.values import Identifier, Power, Revision, Shape, Timestamp

_RENEWED = 0.5
"""An offer is renewed when so much of its time is over."""
RAISED_AFTER = timedelta(minutes=15)
"""It is raised no sooner after it was told last, so that headroom that flickers makes few revisions."""


class Stands(Shape):
    """A revision of the offer, or its withdrawal."""

    offer_id: Identifier
    revision: Revision
    power_w: Power
    """0: it is withdrawn."""
    since: Timestamp
    ends_at: Timestamp
    generation: int = 1
    """A withdrawn offer is followed by another one."""

    def again(self) -> Stands:
        """The same, to be told anew: it counts as old."""
        return self.model_copy(update={"since": self.since - (self.ends_at - self.since)})


class Standing(Shape):
    """Where the offer stands, as far as the agent knows."""

    taken: Stands | None = None
    """What the log has, by its receipt."""
    sent: Stands | None = None
    """What was told since and is not answered so far: the log may have it, and may not."""

    def promised_w(self, now: datetime) -> int:
        """The most that the log may have standing."""
        return max((each.power_w for each in (self.taken, self.sent) if each and now < each.ends_at), default=0)

    def named(self, offer_id: str) -> bool:
        """Whether that offer is it."""
        return any(each is not None and each.offer_id == offer_id for each in (self.taken, self.sent))


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


def wanted(taken: Stands | None, watts: int, now: datetime, *, days: int, named: Callable[[int], str]) -> Stands | None:
    """What has to be told beside what the log has; None where that is true. `named`: the id of each generation."""
    ends_at = now + timedelta(days=days)
    if taken is None or not taken.power_w or taken.ends_at <= now:
        rests = taken is not None and not taken.power_w and now < taken.since + RAISED_AFTER
        if not watts or rests:
            return None
        number = 1 if taken is None else taken.generation + 1
        return Stands(offer_id=named(number), revision=1, power_w=watts, since=now, ends_at=ends_at, generation=number)
    if not watts:
        return taken.model_copy(update={"power_w": 0, "since": now})
    is_old = now - taken.since >= _RENEWED * (taken.ends_at - taken.since)
    rests = watts > taken.power_w and now < taken.since + RAISED_AFTER
    if not is_old and (rests or watts == taken.power_w):
        return None
    if taken.revision >= LIMITS.revisions_of_offer:  # no further one is taken: it makes room for another offer
        return taken.model_copy(update={"power_w": 0}).again()
    changes = {"revision": taken.revision + 1, "power_w": watts, "since": now, "ends_at": ends_at}
    return taken.model_copy(update=changes)


def as_read(told: Stands, revision: int, power_w: int, ends_at: datetime) -> Stands:
    """What the log was found to have in the place of what it refused; it is told anew."""
    found = {"revision": revision, "power_w": power_w, "since": told.since, "ends_at": ends_at}
    return told.model_copy(update=found | {"since": min(told.since, ends_at - timedelta(days=1))}).again()
