"""Orders in hand: kept on disk, netted into one schedule, held by the actuator, read back, seen by the meter.

Bounded: by what the state keeps. When full: a further order is not taken on. Conflates: looks that were missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from gridsignal.agent.actuators import Action, Actuator, ActuatorFailed, Observed, guarded
from gridsignal.agent.contact import GridContact, Say
from gridsignal.agent.heeding import Heeding
from gridsignal.agent.kept import Kept
from gridsignal.agent.meters import Meter, MeterFailed
from gridsignal.agent.orders import (
    ACTUATOR,
    Due,
    Followed,
    Patience,
    Stage,
    accepted,
    commitment_of,
    due,
    heard,
    judged,
    shares,
    told,
)
from gridsignal.agent.schedule import Bound, Commitment, Manner, Schedule, Slot, Stretch, net
from gridsignal.agent.words import power
from gridsignal_schemas.messages import DispatchOrder
from gridsignal_schemas.rules.lifecycle import ORDER_OVER
from gridsignal_schemas.values import rfc3339


class Seen(NamedTuple):
    """What a look found."""

    at: datetime
    slot: Slot | None
    """What is asked of the site then."""
    observed: Observed | None
    """What the actuator reads back; None where it does not answer."""
    drawn_w: int | None
    """What the meter shows of a time in which the same held; None where it is not known."""


class Follower:
    """Follows the site's orders; it needs no connection to the grid for that."""

    def __init__(
        self,
        actuator: Actuator,
        meter: Meter | None,
        kept: Kept,
        *,
        manner: Manner,
        patience: Patience,
        window_s: int,
        baseline: Callable[[datetime], Sequence[Stretch]],
        moves: bool,
        contact: GridContact,
        heeding: Heeding,
        say: Say,
    ) -> None:
        self._actuator, self._meter, self._kept, self.contact = actuator, meter, kept, contact
        self.heeding = heeding
        self._manner, self._patience, self._window = manner, patience, timedelta(seconds=window_s)
        self._baseline, self._moves, self._say = baseline, moves, say
        self._steady: tuple[Slot | None, int | None, datetime] | None = None
        self._trouble = {"actuator": "", "meter": ""}
        self.orders: dict[str, Followed] = kept.orders()
        """By id, those that are not over and those of which the grid has still to hear something."""
        self.changed, self.owed = heeding.changed, asyncio.Event()
        self.seen: Seen | None = None
        """What the last look found."""
        self.looked = asyncio.Event()
        """There was one."""

    # --- what the grid says --------------------------------------------------------------------------------------

    def hear(self, order: DispatchOrder, now: datetime, accepted_w: int | None = None) -> None:
        """An order as it stands. Raises StateFailed."""
        before = self.orders.get(order.order_id)
        if before is None and order.state in ORDER_OVER:
            return
        self._put(heard(before, order, accepted_w), now)

    def accept(self, order: DispatchOrder, watts: int, now: datetime) -> None:
        """The log has the site's acceptance of so much. Raises StateFailed."""
        before = self.orders.get(order.order_id) or Followed(order=order)
        if before.stage is Stage.RECEIVED:  # else the order itself has said so already
            self._put(accepted(before, watts), now)

    def let_go(self, order_id: str, now: datetime) -> None:
        """The grid knows of this order no more. Raises StateFailed."""
        if (followed := self.orders.get(order_id)) is not None:
            ends_at = followed.order.ends_at
            has_ended = ends_at is not None and ends_at <= now
            self._put((followed.at_its_end() if has_ended else followed.so(stage=Stage.OVER)).so(told_w=0), now)

    def reports(self) -> list[tuple[Followed, Due]]:
        """What the grid has still to be told."""
        return [(followed, report) for followed in self.orders.values() if (report := due(followed)) is not None]

    def reported(self, order_id: str, report: Due, now: datetime) -> None:
        """The log has it. Raises StateFailed."""
        if (followed := self.orders.get(order_id)) is not None:
            self._put(told(followed, report), now)

    # --- what the site does --------------------------------------------------------------------------------------

    def schedule(self, now: datetime, *, without: str | None = None) -> Schedule:
        """What the site holds itself to from now on; without one of its orders."""
        asked = [*self._bound(now, without), self.contact.limit, *self.heeding.commitments()]
        return self._net(asked, now, self.heeding.bounds(now))

    async def observe(self, now: datetime) -> Observed:
        """What is in effect. Raises ActuatorFailed."""
        with guarded("observe"):
            return await self._actuator.observe(now)

    async def aclose(self) -> None:
        """Ends what is open towards the actuator; leaves in effect what is."""
        with suppress(ActuatorFailed):
            await self._actuator.aclose()

    async def look(self, now: datetime) -> datetime | None:
        """Makes the schedule hold, reads back, asks the meter, and says what has changed by that.

        Returns when the schedule changes next. Raises StateFailed.
        """
        is_settled = await self._settle_alerts(now)
        schedule = self.schedule(now)
        slot = schedule.at(now)
        observed = await self._reconcile(schedule, now) if is_settled else None
        drawn_w = await self._drawn_w(slot, observed, now)
        self.seen = Seen(now, slot, observed, drawn_w)
        self.looked.set()
        self._judge(now)
        observed_w = None if observed is None else observed.shed_w
        self.heeding.judge(0 if slot is None else slot.shed_w, observed_w, self._patience.apply_s, now)
        ends = [each.order.ends_at for each in self.orders.values()] + [self.heeding.changes_after(now)]
        return min((at for at in (schedule.changes_after(now), *ends) if at and at > now), default=None)

    async def _settle_alerts(self, now: datetime) -> bool:
        """Whether it is known what each alert found in effect: before that nothing is moved."""
        if not self.heeding.begins_or_ends(now):
            return True
        try:
            found = await self.observe(now)
        except ActuatorFailed as failed:
            self._tell_trouble("actuator", str(failed))
            return False
        usual = self._net([*self._bound(now), self.contact.limit], now).at(now)
        self.heeding.settle(found.shed_w, 0 if usual is None else usual.shed_w, now)
        return True

    def _judge(self, now: datetime) -> None:
        """Where each order stands by what was seen: what the failsafe's limit asks beyond orders none of them lacks."""
        seen = self.seen
        assert seen is not None
        asked = self._net(self._bound(now), now).at(now)
        wanted_w, cap_w = (0, None) if asked is None else (asked.shed_w, asked.cap_w)
        running = [self._as_held(each) for each in self.orders.values()]
        at_meter = None if seen.drawn_w is None or cap_w is None else shares(seen.drawn_w - cap_w, running, now)
        missing_w = wanted_w if seen.observed is None else wanted_w - seen.observed.shed_w
        applied = at_meter if seen.observed is None and at_meter is not None else shares(missing_w, running, now)
        for each in running:
            name = each.order.order_id
            metered_w = None if at_meter is None else at_meter.get(name, 0)
            seen_w, lacks = applied.get(name, 0), self.heeding.lacks(now, ACTUATOR)
            found = judged(each, now, applied_w=seen_w, metered_w=metered_w, patience=self._patience, lacks=lacks)
            found = found.so(order=self.orders[name].order)
            if found.stage is Stage.RESTORING and not self._parts(found, now):
                found = found.so(stage=Stage.OVER)
            if found != self.orders[name]:
                self._put(found, now)

    async def _reconcile(self, schedule: Schedule, now: datetime) -> Observed | None:
        """What is in effect after the schedule was applied, or was refused; None where the actuator does not answer."""
        trouble = ""
        try:
            for action in await self._apply(schedule, now) if self._moves else ():
                self._say(f"{action.what} ({action.reason})")
        except ActuatorFailed as failed:
            trouble = str(failed)
        try:
            observed = await self.observe(now)
        except ActuatorFailed as failed:
            self._tell_trouble("actuator", trouble or str(failed))
            return None
        self._tell_trouble("actuator", trouble)
        return observed

    async def _apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        with guarded("apply"):
            return await self._actuator.apply(schedule, now)

    async def _drawn_w(self, slot: Slot | None, observed: Observed | None, now: datetime) -> int | None:
        """The mean power of the last window, where the same has held for all of it; None where it is not known."""
        in_effect = None if observed is None else observed.shed_w
        if self._steady is None or self._steady[:2] != (slot, in_effect):
            same = self._steady is not None and _same_power(self._steady[0], slot) and self._steady[1] == in_effect
            self._steady = (slot, in_effect, self._steady[2] if same and self._steady else now)
        since = self._steady[2]
        if self._meter is None or slot is None or now - self._window < since:
            return None
        try:
            drawn_w = await self._meter.mean_w(now - self._window, now)
        except MeterFailed as failed:
            self._tell_trouble("meter", str(failed))
            return None
        self._tell_trouble("meter", "")
        return drawn_w

    def _parts(self, followed: Followed, now: datetime) -> tuple[Slot, ...]:
        """What one order alone still asks for."""
        return self._net([commitment_of(followed)], now).slots

    def _net(self, commitments: Iterable[Commitment | None], now: datetime, bounds: Sequence[Bound] = ()) -> Schedule:
        said = filter(None, commitments)
        return net(said, now, manner=self._manner, baseline=self._baseline(now), bounds=bounds)

    def _bound(self, now: datetime, without: str | None = None) -> list[Commitment | None]:
        """What orders ask for, but those that silence lets go of."""
        kept = (each for name, each in self.orders.items() if name != without and not self.contact.is_let_go(each))
        return [commitment_of(self._as_held(each)) for each in kept]

    def _as_held(self, followed: Followed) -> Followed:
        """Without an end where silence holds it beyond that."""
        if not self.contact.is_held(followed):
            return followed
        return followed.so(order=followed.order.model_copy(update={"ends_at": None}))

    def _tell_trouble(self, of: str, trouble: str) -> None:
        """Once, and not at each look."""
        if trouble != self._trouble[of]:
            self._say(f"the {of}: {trouble or 'answers again'}")
        self._trouble[of] = trouble

    def _put(self, followed: Followed, now: datetime) -> None:
        name = followed.order.order_id
        before = self.orders.get(name)
        if before == followed:
            return
        is_done = followed.stage is Stage.OVER and due(followed) is None
        self._kept.keep(followed, now, is_done=is_done)
        if is_done:
            self.orders.pop(name, None)
        else:
            self.orders[name] = followed
        if before is None or (before.stage, before.binds_w) != (followed.stage, followed.binds_w):
            self._say(f"order {name}: {described(followed)}")
        self.changed.set()
        if due(followed) is not None:
            self.owed.set()


def described(followed: Followed) -> str:
    """Where it stands, for people."""
    order = followed.order
    until = "until it is released" if order.ends_at is None else f"to {rfc3339(order.ends_at)}"
    watts = f"{power(followed.binds_w)} of {power(order.power_w)}" if followed.is_live else power(order.power_w)
    return f"{followed.stage}, {watts} from {rfc3339(order.starts_at)} {until}"


def _same_power(one: Slot | None, other: Slot | None) -> bool:
    return one is not None and other is not None and (one.shed_w, one.baseline_w) == (other.shed_w, other.baseline_w)
