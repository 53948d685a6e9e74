"""What the site stands by with: one offer for a product, of what its headroom leaves beside all that it has promised.

What was promised last lies on disk before it is sent, so that no run promises it a second time: a message that was not
taken yet lies in the outbox, and the log knows each revision once.
Bounded: one offer, told once in `every_s`. When full: nothing grows. Conflates: changes within that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import gridsignal
from gridsignal.agent.config import StandingTable
from gridsignal.agent.contact import Say
from gridsignal.agent.kept import Kept, StateFailed
from gridsignal.agent.offering import Promise
from gridsignal.agent.standing_terms import Stands, free_w, wanted
from gridsignal.ids import standing_id
from gridsignal_schemas.messages import Decision, OfferDecision


class StandingBy:
    """Keeps one standing offer true."""

    def __init__(self, table: StandingTable, site: str, kept: Kept, room_w: Callable[[], int | None], say: Say) -> None:
        """`room_w`: the most that could be held back in all, None: not known so far. Raises StateFailed."""
        self._table, self._site, self._kept, self._room_w, self._say = table, site, kept, room_w, say
        self._stands = kept.stands()
        self._told = ""

    def promised_w(self, now: datetime) -> int:
        """What it has of the site."""
        return 0 if self._stands is None or self._stands.ends_at <= now else self._stands.power_w

    def hear(self, decision: OfferDecision) -> None:
        """What was decided of it: one that breaks the product's rules stands for nothing, and a person has to know."""
        if self._stands is not None and decision.offer_id == self._stands.offer_id:
            codes = f" ({', '.join(decision.codes)})" if decision.codes else ""
            if decision.decision is Decision.REJECTED:
                self._tell(f"{self._table.product}: rejected{codes}: {decision.reason}")

    async def run(self, grid: gridsignal.Grid, promised: Callable[[], Iterable[Promise]]) -> None:
        """Until it is cancelled. `promised`: what stands in other offers and in orders."""
        if self._stands is not None and grid.now() < self._stands.ends_at:
            await self._send(grid, self._stands)  # an earlier run may not have come to it; said twice it is one
        while True:
            try:
                await self._keep_true(grid, list(promised()))
            except StateFailed as failed:
                self._tell(str(failed))
            await grid.clock.sleep_until(grid.now() + timedelta(seconds=self._table.every_s))

    async def _keep_true(self, grid: gridsignal.Grid, promised: list[Promise]) -> None:
        now, room_w = grid.now(), self._room_w()
        if room_w is None:
            return
        watts = free_w(room_w, promised, now, self._table.most_w, self._table.step_w)
        new = wanted(
            self._stands, watts, now, days=self._table.days, first=standing_id(self._site, self._table.product)
        )
        if new is None:
            return
        self._kept.keep_stands(new)
        self._stands = new
        await self._send(grid, new)

    async def _send(self, grid: gridsignal.Grid, new: Stands) -> None:
        table = self._table
        try:
            if not new.power_w:
                await grid.withdraw(new.offer_id, "nothing is free")
                self._tell(f"{table.product}: stands by with nothing")
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
            self._tell(f"{table.product}: stands by with {new.power_w} W")
        except gridsignal.Conflict as taken:  # an earlier run said it in other words: the next one has another number
            self._tell(f"{table.product}: {taken}")
            self._stands = new.again()
        except (gridsignal.Refused, gridsignal.DeadlinePassed, gridsignal.UsageError) as refused:
            self._tell(f"{table.product}: was not taken: {refused}")
            self._stands = new.again()  # what the log has may be more

    def _tell(self, line: str) -> None:
        if line != self._told:
            self._say(line)
        self._told = line
