"""Alerts of the site's zone: heard, kept on disk, obeyed by what the follower holds, and answered.

Each connection begins with the alerts that are open: one that is not among them is over.
Bounded: of each provider MOST_ALERTS that are obeyed, as many of its exercises, and as many that ask nothing of the
site; of the latter MOST_IDLE in all. When full: the oldest that asks nothing is forgotten; a further one that is obeyed
is told to a person. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

import gridsignal
from gridsignal.agent.alerts import Heeded, Way, Word, bound_of, commitment_of, due, heeded, judged, way_of
from gridsignal.agent.config import AlertsTable
from gridsignal.agent.contact import Say
from gridsignal.agent.kept import Kept, StateFailed
from gridsignal.agent.orders import ALERT
from gridsignal.agent.schedule import Bound, Commitment, Manner
from gridsignal_schemas.messages import DispatchOrder, GridAlert
from gridsignal_schemas.values import rfc3339

_TURN_S = 0.05
"""How long a snapshot that is still coming is waited for, before it is looked at again."""

MOST_ALERTS = 50
MOST_IDLE = 200


class Answerable(NamedTuple):
    """A word that the log does not have yet."""

    held: Heeded
    word: Word


class Heeding:
    """What alerts ask of the site; the follower keeps to it, `run` hears and answers."""

    def __init__(self, table: AlertsTable, manner: Manner, kept: Kept, *, moves: bool, say: Say) -> None:
        """Raises StateFailed."""
        self._table, self._manner, self._kept, self._moves, self._say = table, manner, kept, moves, say
        self.changed, self._owed = asyncio.Event(), asyncio.Event()
        self.alerts = kept.alerts()
        self._refused = set[tuple[str, int, str]]()

    # --- what the follower keeps to ------------------------------------------------------------------------------

    def bounds(self, now: datetime) -> list[Bound]:
        """Between what the schedule stays."""
        found = (bound_of(held, now, self._manner.lease_s) for held in self.alerts.values())
        return [bound for bound in found if bound is not None]

    def commitments(self) -> list[Commitment | None]:
        """What alerts shed beside orders, and what comes back after them."""
        return [commitment_of(held) for held in self.alerts.values()]

    def holds(self, now: datetime) -> Heeded | None:
        """The alert for which nothing starts now."""
        return next((held for held in self.alerts.values() if held.way is Way.HOLD and held.asks(now)), None)

    def holds_at(self, now: datetime, later: datetime) -> bool:
        """Whether for what is known now nothing starts then either."""
        holding = (held for held in self.alerts.values() if held.way is Way.HOLD and held.asks(now))
        return any(held.ends_at is None or later < held.ends_at for held in holding)

    def forbids(self, order: DispatchOrder, now: datetime, apply_s: int) -> Heeded | None:
        """The alert for which an order can't begin in time; one without an end is thought to last that long."""
        held, starts_at = self.holds(now), max(now, order.starts_at)
        if held is None or starts_at >= (held.alert.ends_at or now + timedelta(seconds=apply_s)):
            return None
        return held

    def begins_or_ends(self, now: datetime) -> bool:
        """Whether one has to be taken up, or is over."""
        return any(held.asks(now) != held.is_live and held.over_at is None for held in self.alerts.values())

    def changes_after(self, now: datetime) -> datetime | None:
        """When one begins or ends next."""
        moments = (at for held in self.alerts.values() for at in (held.alert.starts_at, held.ends_at))
        return min((at for at in moments if at is not None and at > now), default=None)

    def settle(self, in_effect_w: int, usual_w: int, now: datetime) -> None:
        """Takes up what begins, with what is held back now, and ends what is over. Raises StateFailed.

        `usual_w`: what would be held back without alerts; the rest comes back in steps.
        """
        for held in list(self.alerts.values()):
            if held.asks(now) and not held.is_live and held.over_at is None:
                self._kept.take_up(held.name, now)
                self._put(held.so(taken_up_at=now, first_at=held.first_at or now, held_w=in_effect_w))
                self._say(f"{held.name}: {held.way}, with {in_effect_w} W held back")
            elif held.is_live and not held.asks(now):
                back_w = max(0, in_effect_w - max(0, usual_w))
                self._put(held.so(over_at=now, back_w=back_w))
                self._say(f"{held.name}: over, {back_w} W come back")

    def judge(self, wanted_w: int, observed_w: int | None, apply_s: int, now: datetime) -> None:
        """What is applied, and what is left of those that are over. Raises StateFailed."""
        for held in list(self.alerts.values()):
            found = judged(held, now, wanted_w=wanted_w, observed_w=observed_w, apply_s=apply_s)
            if found != held:
                self._put(found)
            is_back = held.over_at is not None and now - held.over_at >= timedelta(seconds=self._manner.restore_s)
            is_past = held.is_ended or _has_ended(held.alert, now)
            if is_past and (is_back or held.taken_up_at is None):
                self._forget(held.name)

    def lacks(self, now: datetime, otherwise: str) -> str:
        """Why an order has less at the actuator."""
        return otherwise if self.holds(now) is None else ALERT

    # --- hearing and answering -----------------------------------------------------------------------------------

    async def take_up(self, grid: gridsignal.Grid) -> gridsignal.Subscription:
        """Hears what is open, to the end of it; what is not is over."""
        zone = grid.zone
        alerts = grid.subscribe("alerts", zones=None if zone is None else [zone])
        try:
            named = set[str]()
            while True:
                is_whole = bool(alerts.cursor)
                while (signal := alerts.waiting()) is not None:
                    if isinstance(signal, GridAlert):
                        named.add(Heeded(alert=signal).name)
                        self._hear_or_say(signal, grid.now())
                if is_whole:
                    break
                await grid.ping()
                await _has_not_ended(alerts)
            for held in [held for name, held in self.alerts.items() if name not in named]:
                self._put(held.so(is_ended=True))
        except BaseException:
            await alerts.aclose()
            raise
        return alerts

    async def run(self, grid: gridsignal.Grid, alerts: gridsignal.Subscription) -> None:
        """Until the conversation ends."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._answer(grid))
            while True:
                async with alerts:
                    async for signal in alerts:
                        if isinstance(signal, gridsignal.Gap):
                            break
                        if isinstance(signal, GridAlert):
                            self._hear_or_say(signal, grid.now())
                    else:
                        return
                alerts = await self.take_up(grid)

    def hear(self, alert: GridAlert, now: datetime) -> None:
        """An alert, or its next revision. Raises StateFailed."""
        table, way = self._table, Way.NOTHING
        if self._moves:
            way = way_of(alert, providers=table.providers, acts_on_drills=table.drills == "act")
        new = Heeded(alert=alert)
        before = self.alerts.get(new.name)
        first_at = self._kept.taken_up_at(new.name)
        found = heeded(before, alert, way, shed_w=table.shed_w, longest_s=table.longest_s, first_at=first_at)
        if found == before or (before is None and _has_ended(alert, now)):
            return
        self._make_room(found)
        self._say(f"{new.name}: {described(alert)}")
        self._put(found)
        for held in [held for held in self.alerts.values() if _takes_place_of(alert, held.alert)]:
            self._put(held.so(is_ended=True))
        if any(_takes_place_of(held.alert, alert) for held in self.alerts.values()):
            self._put(self.alerts[new.name].so(is_ended=True))

    def _make_room(self, new: Heeded) -> None:
        """One that asks nothing takes the place of the oldest such. Raises StateFailed where one is obeyed."""
        others = [held for held in self.alerts.values() if held.name != new.name and held.is_idle is new.is_idle]
        who = (new.alert.provider, new.alert.is_drill)
        like = [held for held in others if new.is_idle or (held.alert.provider, held.alert.is_drill) == who]
        his = [held for held in like if held.alert.provider == new.alert.provider]
        if len(his) >= MOST_ALERTS and not new.is_idle:
            raise StateFailed(f"expected at most {MOST_ALERTS} alerts of {new.alert.provider}, got one more")
        if len(his) >= MOST_ALERTS or len(like) >= MOST_IDLE:
            self._forget((his if len(his) >= MOST_ALERTS else like)[0].name)

    def _hear_or_say(self, alert: GridAlert, now: datetime) -> None:
        try:
            self.hear(alert, now)
        except StateFailed as failed:
            self._say(f"alert {alert.alert_id} is not obeyed: {failed}")

    async def _answer(self, grid: gridsignal.Grid) -> None:
        while True:
            self._owed.clear()
            self._refused = {each for each in self._refused if each[0] in self.alerts}
            for held, word in list(self._words(grid.now())):
                alert = held.alert
                try:
                    said = {"reason_code": word.reason_code, "reason": word.reason[:200]}
                    await grid.acknowledge(alert, word.state, **said)
                except gridsignal.Refused as refused:
                    self._refused.add((held.name, alert.revision, word.state))
                    self._say(f"{held.name}: {word.state} was not taken: {refused}")
                else:
                    self._tell(held, word)
            if next(self._words(grid.now()), None) is None:
                await self._owed.wait()

    def _tell(self, held: Heeded, word: Word) -> None:
        """The log has it."""
        present = self.alerts.get(held.name)
        if present is None or present.alert.revision != held.alert.revision:
            return
        told = present.so(said=(*present.said, word.state))
        try:
            self._put(told)
        except StateFailed as failed:
            self._say(str(failed))
            self.alerts[held.name] = told  # said again by the next run, which changes nothing

    def _words(self, now: datetime) -> Iterator[Answerable]:
        if not self._moves:
            return
        for held in self.alerts.values():
            word = due(held, now)
            if word is not None and (held.name, held.alert.revision, word.state) not in self._refused:
                yield Answerable(held, word)

    def _put(self, held: Heeded) -> None:
        if self.alerts.get(held.name) == held:
            return
        self._kept.keep_alert(held)
        self.alerts[held.name] = held
        self.changed.set()
        self._owed.set()

    def _forget(self, name: str) -> None:
        self._kept.forget_alert(name)
        self.alerts.pop(name, None)


async def _has_not_ended(alerts: gridsignal.Subscription) -> None:
    """Raises what ended it, such as a refusal."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_TURN_S):
            await alerts.more()


def described(alert: GridAlert) -> str:
    """For people."""
    drill = "DRILL, " if alert.is_drill else ""
    until = "until it is cleared" if alert.ends_at is None else f"to {rfc3339(alert.ends_at)}"
    return f"{drill}{alert.kind}, {alert.action} from {rfc3339(alert.starts_at)} {until}: {alert.text[:200]}"


def _has_ended(alert: GridAlert, now: datetime) -> bool:
    return alert.ends_at is not None and alert.ends_at <= now


def _takes_place_of(alert: GridAlert, other: GridAlert) -> bool:
    """An exercise takes the place of exercises alone."""
    names = (alert.provider, alert.zone, alert.supersedes) == (other.provider, other.zone, other.alert_id)
    return names and (other.is_drill or not alert.is_drill)
