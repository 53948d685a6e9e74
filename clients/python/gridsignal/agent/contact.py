"""How the site stands with the grid, over restarts: the SDK's failsafe, what is kept of it, and what people are told.

Bounded: one row of the state. When full: nothing grows. Conflates: words of the grid within KEEP_S of each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from gridsignal.agent.kept import Kept, StateFailed
from gridsignal.agent.orders import Followed, Stage
from gridsignal.agent.schedule import LOST_CONTACT, Commitment
from gridsignal.agent.words import power
from gridsignal.failsafe import Contact, Failsafe, FailsafeDecision, FailsafeProfile, FailsafeState
from gridsignal_schemas.messages import OnCommsLoss
from gridsignal_schemas.values import rfc3339

KEEP_S = 15
"""Words of the grid that follow each other sooner are not all written down."""
Say = Callable[[str], None]
"""Tells a person one line."""


class GridContact:
    """Whether the grid is heard, and what holds where it isn't."""

    def __init__(
        self,
        profile: FailsafeProfile,
        kept: Kept,
        now: datetime,
        say: Say,
        *,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """As it was kept; heard now where nothing was. Raises StateFailed."""
        self._profile, self._kept, self._draw, self._say = profile, kept, draw, say
        found = kept.contact()
        self._failsafe = Failsafe(profile, now, draw, found)
        self._written = found
        self._is_grid_time = found is not None  # what is kept was heard by the grid's clock
        self._told: tuple[Contact, bool] = (Contact.HEARD, False)
        self.limit: Commitment | None = None
        """The failsafe's limit as the schedule holds it; one that is over comes back in steps like any order."""
        self.decision = self._settled(now)
        """What held when it was looked at last."""

    def look(self, now: datetime) -> bool:
        """Whether something else holds now; a permit that a person has written down lets go of a failsafe."""
        before = self.decision
        if self._permitted() and self._failsafe.at(now).contact is Contact.FAILSAFE:
            self._failsafe.permit(now)
            self._say("a permit lets the site return")
        self.decision = self._settled(now)
        return before != self.decision

    def heard(self, now: datetime) -> None:
        """The grid has answered."""
        self._failsafe.heard(now)
        self.decision = self._settled(now)

    def other_clock(self, before: datetime, now: datetime) -> None:
        """Time is another clock's from now on; silence goes on as long as it was."""
        state = self._failsafe.state
        by = timedelta(0) if self._is_grid_time else now - before
        self._failsafe, self._is_grid_time = Failsafe(self._profile, now, self._draw, state.later(by)), True

    @property
    def heard_at(self) -> datetime:
        """When the grid last answered."""
        return self._failsafe.state.heard_at

    def is_let_go(self, followed: Followed) -> bool:
        """Whether silence lets go of this order."""
        return self.decision.is_silent and self._failsafe.of(followed.order) is OnCommsLoss.RESTORE

    def is_held(self, followed: Followed) -> bool:
        """Whether silence holds this order beyond its end, until the grid is heard."""
        if not followed.is_live or followed.stage is Stage.RESTORING:
            return False
        return self.decision.is_silent and self._failsafe.of(followed.order) is OnCommsLoss.HOLD

    def _permitted(self) -> bool:
        try:
            return self._kept.take_permit()
        except StateFailed as failed:
            self._say(str(failed))
            return False

    def _settled(self, now: datetime) -> FailsafeDecision:
        decision, state = self._failsafe.at(now), self._failsafe.state
        if decision.limit_w is not None:
            self.limit = Commitment(LOST_CONTACT, state.heard_at, decision.until, 0, decision.limit_w)
        elif self.limit is not None and self.limit.ends_at is not None and now < self.limit.ends_at:
            self.limit = replace(self.limit, ends_at=now)
        if (decision.contact, decision.is_silent) != self._told:
            was_silent, self._told = self._told[1], (decision.contact, decision.is_silent)
            is_over = not was_silent and not decision.is_silent
            self._say("the failsafe is over" if is_over else described(decision, state))
        before = self._written
        if before is None or before.contact is not state.contact or _seconds(before, state) >= KEEP_S:
            try:
                self._kept.keep_contact(state)
                self._written = state
            except StateFailed as failed:
                self._say(str(failed))
        return decision


def described(decision: FailsafeDecision, state: FailsafeState) -> str:
    """For people."""
    holds = ""
    if decision.limit_w is not None and decision.until is not None:
        holds = f"; at most {power(decision.limit_w)} is drawn, to {rfc3339(decision.until)} or a permit"
    if not decision.is_silent:
        return f"the grid is heard again{holds}"
    return f"the grid is silent since {rfc3339(state.heard_at)}: orders go by their on_comms_loss{holds}"


def _seconds(before: FailsafeState, after: FailsafeState) -> float:
    return abs(after.heard_at - before.heard_at) / timedelta(seconds=1)
