"""What the site does about an alert of its zone, and says of it. Decisions: values in, values out.

HOLD keeps what is in effect: nothing starts and nothing comes back, whatever orders say meanwhile. RESTORE_FORBIDDEN
and SHED let nothing come back, and SHED sheds what the configuration gives for it. A drill moves nothing, unless the
configuration says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from pydantic import Field

from gridsignal.agent.schedule import Bound, Commitment, lease_end
from gridsignal_schemas.messages import AlertAction, GridAlert
from gridsignal_schemas.values import Shape, Timestamp

Ack = Literal["UNDERSTOOD", "WILL_ACT", "APPLIED", "CANNOT_ACT"]


class Way(StrEnum):
    """What is done about an alert."""

    NOTHING = "NOTHING"
    HOLD = "HOLD"
    """What is held back stays, no more and no less."""
    KEEP = "KEEP"
    """Nothing comes back."""
    SHED = "SHED"
    """So much less is drawn beside orders, and nothing comes back."""


class Word(NamedTuple):
    """What the operator has still to be told."""

    state: Ack
    reason_code: str = ""
    reason: str = ""


class Heeded(Shape):
    """An alert and what has become of it at the site."""

    alert: GridAlert
    way: Way = Field(default=Way.NOTHING, strict=False)
    shed_w: int = 0
    """What it sheds beside orders."""
    longest_s: int = 0
    """How long it is believed."""
    said: tuple[str, ...] = Field(default=(), strict=False)
    """What the log has of this revision."""
    first_at: Timestamp | None = None
    """When the site kept to it first, whatever its revisions have said since."""
    taken_up_at: Timestamp | None = None
    held_w: int = 0
    """What was held back then."""
    is_applied: bool = False
    failed: str = ""
    """Why it is not applied, in words."""
    is_ended: bool = False
    """Another alert took its place, or the grid does not know it any more."""
    over_at: Timestamp | None = None
    back_w: int = 0
    """What comes back in steps after it."""

    @property
    def name(self) -> str:
        """How it is called among orders; no order's id has a space."""
        return f"alert {self.alert.alert_id} of {self.alert.provider}"

    @property
    def is_live(self) -> bool:
        """Whether the site keeps to it now."""
        return self.taken_up_at is not None and self.over_at is None

    @property
    def is_idle(self) -> bool:
        """Nothing is asked of the site, and nothing comes back."""
        return self.way is Way.NOTHING and self.taken_up_at is None

    @property
    def believed_until(self) -> datetime | None:
        """None before the site has kept to it."""
        since = self.first_at or self.taken_up_at
        return None if since is None else since + timedelta(seconds=self.longest_s)

    @property
    def ends_at(self) -> datetime | None:
        """By when it is over at the latest; None before it was taken up, where it names no end."""
        return min((at for at in (self.alert.ends_at, self.believed_until) if at is not None), default=None)

    def asks(self, now: datetime) -> bool:
        """Whether something is asked of the site at this moment."""
        is_over = self.is_ended or self.over_at is not None or (self.ends_at is not None and self.ends_at <= now)
        return self.way is not Way.NOTHING and self.alert.starts_at <= now and not is_over

    def so(self, **changes: Any) -> Heeded:
        """The same with these changes."""
        return self.model_copy(update=changes)


def heeded(
    before: Heeded | None,
    alert: GridAlert,
    way: Way,
    *,
    shed_w: int,
    longest_s: int,
    first_at: datetime | None = None,
) -> Heeded:
    """An alert as it was heard; an older revision than the one that is known changes nothing.

    `first_at`: when the site kept to it first, as far as that is known of an alert that was forgotten.
    """
    if before is not None and alert.revision <= before.alert.revision:
        return before
    if before is not None:
        first_at = before.first_at or before.taken_up_at or first_at
    since = Heeded(alert=alert) if before is None or before.over_at is not None else before
    failed = "" if since.is_applied else since.failed
    given_w = shed_w if way is Way.SHED else 0
    changes = {"alert": alert, "way": way, "shed_w": given_w, "longest_s": longest_s, "first_at": first_at}
    return since.so(**changes, said=(), failed=failed)


def way_of(alert: GridAlert, *, providers: Collection[str], acts_on_drills: bool = False) -> Way:
    """What an alert asks of a site. `providers`: whose alerts are obeyed."""
    if (alert.is_drill and not acts_on_drills) or alert.provider not in providers:
        return Way.NOTHING
    match alert.action:
        case AlertAction.HOLD:
            return Way.HOLD
        case AlertAction.RESTORE_FORBIDDEN:
            return Way.KEEP
        case AlertAction.SHED:
            return Way.SHED
        case _:
            return Way.NOTHING


_OBEYED = (AlertAction.HOLD, AlertAction.RESTORE_FORBIDDEN, AlertAction.SHED)


def due(held: Heeded, now: datetime) -> Word | None:
    """What the log has to be told of it next."""
    return next((word for word in _words(held, now) if word.state not in held.said), None)


def _words(held: Heeded, now: datetime) -> Iterator[Word]:
    alert = held.alert
    if held.way is Way.NOTHING:
        if alert.ends_at is not None and alert.ends_at <= now:
            return
        if alert.is_drill and alert.action in _OBEYED:
            yield Word("UNDERSTOOD", "DRILL", "an exercise: no power moves")
        elif alert.action in _OBEYED:
            yield Word("UNDERSTOOD", "NOT_CONFIGURED", "heard: this site does not move for alerts of this provider")
        elif alert.action is AlertAction.RAISE:
            yield Word("CANNOT_ACT", "NOT_CONFIGURED", "this site draws more for orders alone")
        return
    too_long = Word("CANNOT_ACT", "TOO_LONG", f"this site keeps to an alert for {held.longest_s} s at most")
    if not held.asks(now) and held.taken_up_at is None and alert.starts_at <= now:
        if not held.is_ended and held.believed_until is not None and held.ends_at == held.believed_until:
            yield too_long
        return  # it was over before it was heard
    yield Word("UNDERSTOOD")
    yield Word("WILL_ACT", reason=_PLANS[held.way].format(held.shed_w))
    if held.is_applied:
        yield Word("APPLIED")
    elif held.failed:
        yield Word("CANNOT_ACT", "ACTUATOR_HOLDS_LESS", held.failed)
    if held.over_at is not None and not held.is_ended and (alert.ends_at is None or held.over_at < alert.ends_at):
        yield too_long


_PLANS = {
    Way.HOLD: "nothing starts and nothing comes back",
    Way.KEEP: "nothing comes back",
    Way.SHED: "nothing comes back, and {} W less beside orders",
}


def bound_of(held: Heeded, now: datetime, lease_s: int) -> Bound | None:
    """Between what the site's schedule stays for it; one without an end is held for a lease at a time."""
    if not held.is_live or held.taken_up_at is None:
        return None
    named = held.alert.ends_at
    until = min(held.ends_at or named or now, named or lease_end(now, lease_s))
    high_w = held.held_w if held.way is Way.HOLD else None
    return Bound(held.name, held.taken_up_at, until, held.held_w, high_w) if now < until else None


def commitment_of(held: Heeded) -> Commitment | None:
    """What it sheds itself; once it is over, what comes back in steps."""
    if held.taken_up_at is None:
        return None
    if held.over_at is not None:
        ends_at = max(held.over_at, held.taken_up_at + timedelta(microseconds=1))
        return Commitment(held.name, held.taken_up_at, ends_at, held.back_w) if held.back_w else None
    if held.way is not Way.SHED or not held.shed_w:
        return None
    return Commitment(held.name, held.taken_up_at, held.alert.ends_at, held.shed_w)


def judged(held: Heeded, now: datetime, *, wanted_w: int, observed_w: int | None, apply_s: int) -> Heeded:
    """Whether it is applied, by what the actuator reads back."""
    if not held.is_live or held.taken_up_at is None or held.is_applied:
        return held
    if observed_w is not None and observed_w >= wanted_w:
        return held.so(is_applied=True)
    if now - held.taken_up_at < timedelta(seconds=apply_s):
        return held
    # what is held back in all says what others have ordered: the issuer is told of his own alert alone
    own = (
        f"the {held.shed_w} W of this alert are not all shed" if held.shed_w else "not all of what was held back stays"
    )
    return held if held.failed else held.so(failed="the actuator does not answer" if observed_w is None else own)
