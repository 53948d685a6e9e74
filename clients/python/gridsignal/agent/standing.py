"""What the site stands by with: one offer for a product, of what its headroom leaves beside all that it has promised.

What is told lies on disk before it is sent, beside what the log has taken by its receipt. Until there is an answer the
more of both is promised and the same is told again; what is refused is followed by a look at what the log has.
Bounded: one offer, told in STEPS at most once in `every_s`. When full: nothing grows. Conflates: changes in that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import gridsignal
from gridsignal.agent.config import StandingTable
from gridsignal.agent.contact import Say
from gridsignal.agent.kept import Kept, StateFailed
from gridsignal.agent.offering import Promise
from gridsignal.agent.standing_terms import Standing, Stands, as_read, free_w, wanted
from gridsignal_schemas.messages import Decision, OfferDecision

STEPS = 3
"""An answer to what was told before, a withdrawal, and another offer."""


class StandingBy:
    """Keeps one standing offer true."""

    def __init__(self, table: StandingTable, site: str, kept: Kept, room_w: Callable[[], int | None], say: Say) -> None:
        """`room_w`: the most that could be held back in all, None: not known so far. Raises StateFailed."""
        self._table, self._site, self._kept, self._room_w, self._say = table, site, kept, room_w, say
        self._standing = kept.standing(table.most_w)
        self._told = ""

    def promised_w(self, now: datetime) -> int:
        """What it has of the site."""
        return self._standing.promised_w(now)

    def hear(self, decision: OfferDecision) -> None:
        """What was decided of it: one that breaks the product's rules stands for nothing, and a person has to know."""
        if self._standing.named(decision.offer_id):
            codes = f" ({', '.join(decision.codes)})" if decision.codes else ""
            if decision.decision is Decision.REJECTED:
                self._tell(f"{self._table.product}: rejected{codes}: {decision.reason}")

    async def run(self, grid: gridsignal.Grid, promised: Callable[[], Iterable[Promise]]) -> None:
        """Until it is cancelled. `promised`: what stands in other offers and in orders."""
        taken, is_first = self._standing.taken, True
        while True:
            try:
                if is_first and self._standing.sent is None and taken is not None and taken.power_w:
                    await self._send(grid, taken)  # said twice it is one, and in other words than before a Conflict
                is_first = False
                await self.look(grid, promised)
            except StateFailed as failed:
                self._tell(str(failed))
            await grid.clock.sleep_until(grid.now() + timedelta(seconds=self._table.every_s))

    async def look(self, grid: gridsignal.Grid, promised: Callable[[], Iterable[Promise]]) -> None:
        """Tells what is not true on the log. Raises StateFailed."""
        for _ in range(STEPS):
            new = self._standing.sent or self._wanted(grid.now(), promised())
            if new is None or not await self._send(grid, new):
                return

    def _wanted(self, now: datetime, promised: Iterable[Promise]) -> Stands | None:
        if (room_w := self._room_w()) is None:
            return None
        table = self._table
        watts = free_w(room_w, promised, now, table.most_w, table.step_w)
        return wanted(self._standing.taken, watts, now, days=table.days, named=self._named)

    def _named(self, generation: int) -> str:
        return self._kept.name("standing", self._site, self._table.product, generation)

    async def _send(self, grid: gridsignal.Grid, new: Stands) -> bool:
        """Whether the log has it now. Raises StateFailed."""
        self._put(Standing(taken=self._standing.taken, sent=new))
        try:
            await self._submit(grid, new)
        except gridsignal.UsageError as wrong:  # an earlier run may have sent it all the same
            self._tell(f"{self._table.product}: can't be told: {wrong}")
            return False
        except (gridsignal.Refused, gridsignal.DeadlinePassed) as refused:
            self._tell(f"{self._table.product}: was not taken: {refused}")
            await self._read(grid, new)
            return False
        self._put(Standing(taken=new))
        what = f"{new.power_w} W" if new.power_w else "nothing"
        self._tell(f"{self._table.product}: stands by with {what}")
        return True

    async def _submit(self, grid: gridsignal.Grid, new: Stands) -> None:
        table = self._table
        if not new.power_w:
            await grid.withdraw(new.offer_id, "nothing is free")
            return
        await grid.stand_by(
            table.product,
            new.power_w,
            table.price_per_mwh,
            currency=table.currency,
            ends_at=new.ends_at,
            full_activation_s=table.full_activation_s,
            max_duration_s=table.max_duration_s,
            offer_id=new.offer_id,
            revision=new.revision,
        )

    async def _read(self, grid: gridsignal.Grid, refused: Stands) -> None:
        """What the log has of an offer of which it refused something. Raises StateFailed."""
        try:
            listed = await grid.offers()
        except gridsignal.Refused as busy:
            self._tell(f"{self._table.product}: {busy}")
            return  # it is told again, and looked up then
        found = next((each.offer for each in listed if each.offer.offer_id == refused.offer_id), None)
        if found is not None:
            taken = as_read(refused, found.revision, found.options[0].power_w, found.expires_at)
            self._put(Standing(taken=taken))
        elif not listed.more:
            self._put(Standing(taken=refused.model_copy(update={"power_w": 0}).again()))  # it stands for nothing

    def _put(self, standing: Standing) -> None:
        self._kept.keep_standing(standing)
        self._standing = standing

    def _tell(self, line: str) -> None:
        if line != self._told:
            self._say(line)
        self._told = line
