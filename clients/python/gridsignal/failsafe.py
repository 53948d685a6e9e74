"""What a site does that no longer hears the grid: a decision, told what happened and when. No clock, no dice.

    failsafe = Failsafe(FailsafeProfile(heartbeat_s=60, limit_w=30 * MW, minimum_s=7200), grid.now(), random.random)
    failsafe.heard(grid.now())              # whenever the log has answered something that the site sent
    told = failsafe.at(grid.now())          # told.limit_w: at most so much, or None; told.until: ask again by then

After EEBus "Limitation of Power Consumption": silence longer than the heartbeat's limit is lost contact. The site then
keeps the failsafe limit for the minimum duration at least, whatever it hears meanwhile, unless a permit lets it go: ten
sites that hear the grid again at once would come back at once. Without a permit it returns by itself after the minimum
duration and a random part of `spread_s`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gridsignal_schemas.messages import DispatchOrder, OnCommsLoss


class Contact(enum.StrEnum):
    """How a site stands with the grid."""

    HEARD = "HEARD"
    FAILSAFE = "FAILSAFE"
    """The limit holds."""
    ALONE = "ALONE"
    """The failsafe's time is over and the grid is still silent: no limit of this kind, until it is heard."""


@dataclass(frozen=True, slots=True)
class FailsafeProfile:
    """A site's agreement with its operator, as the registry has it."""

    heartbeat_s: int
    """So long a silence is lost contact."""
    limit_w: int | None
    """What the site then takes from the grid at most, in watts; None: nothing was agreed, and orders alone matter."""
    minimum_s: int
    """For how long at least."""
    orders: OnCommsLoss = OnCommsLoss.COMPLETE
    """What becomes of an order that does not say so itself."""
    spread_s: int = 600
    """Sites return within so long after the minimum duration."""


@dataclass(frozen=True, slots=True)
class FailsafeDecision:
    """What holds now."""

    contact: Contact
    limit_w: int | None
    """The failsafe limit, in watts taken from the grid; None: no limit of this kind."""
    until: datetime | None
    """When it changes if nothing happens; None: only when the grid is heard."""
    is_silent: bool
    """The grid has not been heard for the heartbeat's limit: orders go by their `on_comms_loss`."""


@dataclass(frozen=True, slots=True)
class FailsafeState:
    """Where a site stands, as it is kept over a restart of its controller."""

    contact: Contact
    heard_at: datetime
    free_at: datetime
    """When it returns by itself, of a FAILSAFE."""

    def later(self, by: timedelta) -> FailsafeState:
        """The same by another clock."""
        return FailsafeState(self.contact, self.heard_at + by, self.free_at + by)


class Failsafe:
    """Where one site stands. Times that go back are taken as the latest that was told."""

    def __init__(
        self, profile: FailsafeProfile, now: datetime, draw: Callable[[], float], state: FailsafeState | None = None
    ) -> None:
        """As it was kept, or heard now. `draw` gives a number from 0 to 1 for each loss, such as random.random."""
        self._profile, self._draw = profile, draw
        kept = state or FailsafeState(Contact.HEARD, now, now)
        self._now = now
        self._contact, self._heard_at, self._free_at = kept.contact, min(kept.heard_at, now), kept.free_at

    @property
    def state(self) -> FailsafeState:
        """What to keep over a restart."""
        return FailsafeState(self._contact, self._heard_at, self._free_at)

    def heard(self, now: datetime) -> None:
        """The grid was heard: its log has answered. That alone ends no failsafe."""
        self._advance(now)
        self._heard_at = self._now
        if self._contact is Contact.ALONE:
            self._contact = Contact.HEARD

    def permit(self, now: datetime) -> None:
        """The operator lets the site return; who permits is heard."""
        self._advance(now)
        self._heard_at, self._contact = self._now, Contact.HEARD

    def at(self, now: datetime) -> FailsafeDecision:
        """What holds now."""
        self._advance(now)
        is_silent = self._now >= self._lost_at
        match self._contact:
            case Contact.HEARD:
                return FailsafeDecision(self._contact, None, self._lost_at, is_silent)
            case Contact.FAILSAFE:
                return FailsafeDecision(self._contact, self._profile.limit_w, self._free_at, is_silent)
            case Contact.ALONE:
                return FailsafeDecision(self._contact, None, None, is_silent)

    def of(self, order: DispatchOrder) -> OnCommsLoss:
        """What becomes of an order while the contact is lost: as it says itself, else as the profile says."""
        known = order.on_comms_loss is not OnCommsLoss.UNKNOWN
        return order.on_comms_loss if known else self._profile.orders

    @property
    def _lost_at(self) -> datetime:
        return self._heard_at + timedelta(seconds=self._profile.heartbeat_s)

    def _advance(self, now: datetime) -> None:
        """Everything that time alone has done since."""
        self._now = max(self._now, now)
        while True:
            if self._contact is Contact.HEARD and self._now >= self._lost_at:
                self._contact = Contact.FAILSAFE
                least_s = self._profile.minimum_s + self._profile.spread_s * self._draw()
                self._free_at = self._lost_at + timedelta(seconds=least_s)
            elif self._contact is Contact.FAILSAFE and self._now >= self._free_at:
                self._contact = Contact.HEARD if self._free_at < self._lost_at else Contact.ALONE
            else:
                return
