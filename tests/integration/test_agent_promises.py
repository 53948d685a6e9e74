"""What the log has standing is never more than what the agent counts as promised."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import gridsignal
from gridsignal.agent.config import StandingTable
from gridsignal.agent.kept import Kept
from gridsignal.agent.standing import StandingBy
from gridsignal.agent.standing_terms import Stands
from gridsignal.standing import Listing
from gridsignal_schemas.rules.limits import LIMITS
from tests.builders import utc

NOON, MINUTE = utc("12:00"), timedelta(minutes=1)
TABLE = StandingTable(
    product="EMERGENCY_SHED",
    price_per_mwh=Decimal(400),
    most_w=9,
    full_activation_s=60,
    max_duration_s=3600,
    step_w=1,
)


class Killed(Exception):
    """The agent ends here."""


class Log:
    """Takes an offer's revisions one after the other; what the agent's outbox has comes to it first, and in order."""

    def __init__(self) -> None:
        self.now = NOON
        self.offers: dict[str, tuple[int, int, datetime]] = {}
        """By id: revision, watts, until."""
        self.outbox: list[tuple[str, int, int, datetime]] = []
        self.next = "takes"
        """What it does with what comes next."""
        self.asked = 0

    def standing_w(self) -> int:
        return sum(watts for _, watts, until in self.offers.values() if self.now < until)

    def _takes(self, name: str, revision: int, watts: int, until: datetime) -> bool:
        before = self.offers.get(name)
        if not watts:
            if before is not None:
                self.offers[name] = (before[0], 0, until)
            return before is not None
        if before == (revision, watts, until):
            return True
        is_next = revision == (1 if before is None else before[0] + 1) and (before is None or before[1] > 0)
        if is_next and revision <= LIMITS.revisions_of_offer:
            self.offers[name] = (revision, watts, until)
            return True
        return False

    def comes_back(self) -> None:
        while self.outbox:
            self._takes(*self.outbox.pop(0))

    async def _submit(self, name: str, revision: int, watts: int, until: datetime) -> None:
        self.asked += 1
        does, self.next = self.next, "takes"
        if does == "is killed before":
            raise Killed
        if does == "keeps it in the outbox":
            self.outbox.append((name, revision, watts, until))
            raise Killed
        if does == "refuses":
            raise gridsignal.Refused("rate")
        taken = self._takes(name, revision, watts, until)
        if does == "loses the answer":
            raise Killed
        if not taken:
            raise gridsignal.Conflict("REVISION")

    # --- as gridsignal.Grid has it -------------------------------------------------------------------------------

    async def stand_by(self, product: str, power_w: int, price: Decimal, **said: Any) -> None:
        await self._submit(said["offer_id"], said["revision"], power_w, said["ends_at"])

    async def withdraw(self, offer_id: str, reason: str) -> None:
        await self._submit(offer_id, 0, 0, self.now)

    async def offers_now(self) -> Listing[Any]:
        live = {name: each for name, each in self.offers.items() if each[1] and self.now < each[2]}
        found = (
            SimpleNamespace(
                offer=SimpleNamespace(
                    offer_id=name, revision=rev, options=[SimpleNamespace(power_w=watts)], expires_at=until
                )
            )
            for name, (rev, watts, until) in live.items()
        )
        return Listing(found, more=False)


class Agent:
    """One after the other, on the same state."""

    def __init__(self, folder: Path, log: Log) -> None:
        self.log, self.room_w, self.said = log, 0, list[str]()
        self.file = folder / "agent.db"
        self.grid: Any = SimpleNamespace(
            now=lambda: log.now, stand_by=log.stand_by, withdraw=log.withdraw, offers=log.offers_now
        )
        self.start()

    def start(self) -> None:
        self.kept = Kept(self.file)
        self.by = StandingBy(TABLE, "fra-1", self.kept, lambda: self.room_w, self.said.append)

    async def looks(self) -> None:
        try:
            await self.by.look(self.grid, list)
        except Killed:
            assert self.log.standing_w() <= self.by.promised_w(self.log.now)
            self.kept.close()
            self.start()
            assert self.log.standing_w() <= self.by.promised_w(self.log.now), "the next run"
            self.log.comes_back()
        assert self.log.standing_w() <= self.by.promised_w(self.log.now)


@contextmanager
def an_agent() -> Iterator[Agent]:
    with tempfile.TemporaryDirectory() as folder:
        agent = Agent(Path(folder), Log())
        try:
            yield agent
        finally:
            agent.kept.close()


DOES = st.sampled_from(
    ["takes"] * 4 + ["refuses", "loses the answer", "is killed before", "keeps it in the outbox"],
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), DOES, st.sampled_from([1, 20, 6000])), max_size=25))
def test_the_log_never_has_more_than_the_agent_counts(steps: list[tuple[int, str, int]]) -> None:
    async def lived(agent: Agent) -> None:
        for agent.room_w, agent.log.next, minutes in steps:
            await agent.looks()
            agent.log.now += minutes * MINUTE
        agent.room_w, agent.log.next = 0, "takes"
        for _ in range(3):
            await agent.looks()
        assert agent.log.standing_w() == agent.by.promised_w(agent.log.now) == 0, (
            "a withdrawal is told until it is taken"
        )

    with an_agent() as agent:
        asyncio.run(lived(agent))


def test_what_flickers_makes_few_revisions_and_the_last_of_them_makes_room_for_another_offer() -> None:
    async def lived(agent: Agent) -> None:
        for minute in range(60):
            agent.room_w = 9 - minute % 2
            await agent.looks()
            agent.log.now += MINUTE
            assert agent.log.standing_w() <= agent.room_w or minute % 2 == 0
        assert agent.log.asked <= 10
        agent.log.now += timedelta(hours=1)
        for each in range(2 * LIMITS.revisions_of_offer):
            agent.room_w = 9 - each % 8
            await agent.looks()
            assert agent.log.standing_w() == agent.room_w
            agent.log.now += timedelta(hours=1)
        assert len(agent.log.offers) == 3, "after the most revisions that are taken another follows"

    with an_agent() as agent:
        asyncio.run(lived(agent))


def test_ids_follow_from_a_secret_of_the_state_and_what_an_older_version_sent_keeps_its_own() -> None:
    async def lived(agent: Agent) -> None:
        assert agent.kept.names_since is None
        agent.room_w = 5
        await agent.looks()
        older = Stands(offer_id="old", revision=1, power_w=4, since=NOON, ends_at=NOON + timedelta(days=7))
        first = agent.kept.name("offer", "a")
        agent.kept.close()
        with closing(sqlite3.connect(agent.file)) as before, before:
            before.execute("UPDATE standing SET body = ?", (older.model_dump_json(),))
        agent.start()
        assert agent.kept.name("offer", "a") == first != agent.kept.name("offer", "b")
        assert agent.by.promised_w(NOON) == TABLE.most_w, "nobody knows what it has until there is an answer"
        agent.log.offers = {"old": (1, 4, older.ends_at)}
        await agent.looks()
        assert agent.by.promised_w(NOON) == 4

    with an_agent() as agent, an_agent() as other:
        asyncio.run(lived(agent))
        assert agent.kept.name("offer", "a") != other.kept.name("offer", "a")
