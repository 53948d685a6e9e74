"""Requests that are over, for who asks about the past: what concerns them, read a little at a time on their account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from gridsignal_services.access import Entitlements, Principal
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.dispatch.parts import Kind, read, zone_name
from gridsignal_services.dispatch.tables import Kept, Question
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.work import Work

_TOGETHER_BYTES = 256 * 1024
"""Fetched at once."""


class Past:
    """What one asker may read of the past: each request as a ledger of its own, in which what concerns them is all
    there is."""

    def __init__(self, finished: Finished, principal: Principal, mine: Entitlements, work: Work) -> None:
        self._finished, self._principal, self._mine, self._work = finished, principal, mine, work

    async def of_request(self, kinds: Sequence[Kind], request_id: str) -> Ledger | None:
        """These parts of a request; None: nothing of it concerns them."""
        return await self._one(await self._finished.of_request(self._asked(kinds), request_id))

    async def of_order(self, order_id: str) -> Ledger | None:
        """The part that holds an order; None: it does not concern them."""
        return await self._one(await self._finished.of_order(self._asked((Kind.ORDERED,)), order_id))

    async def touching(
        self, kinds: Sequence[Kind], zones: Iterable[str], from_: datetime | None, to: datetime | None
    ) -> list[Ledger]:
        """These parts of what touches [from, to) in these zones, the earliest end first. Raises TooMany."""
        kept = await self._finished.touching(self._asked(kinds), zones, from_, to)
        return [ledger for together in _batches(kept) for ledger in await self._read(together)]

    async def ordered_at(
        self, site: str, zones: Iterable[str], from_: datetime, to: datetime
    ) -> list[tuple[datetime, datetime | None]]:
        """The periods of their orders to a site on requests that touch [from, to)."""
        return await self._finished.ordered_at(self._asked((Kind.ORDERED,)), zones, from_, to, site)

    def _asked(self, kinds: Sequence[Kind]) -> Question:
        """Of a zone there is the request alone: what was said on it is theirs who said it, and its operator's."""
        zones = [zone_name(zone) for zone in sorted(self._mine.zones)] if Kind.REQUEST in kinds else []
        return Question([self._principal.name, *zones], kinds)

    async def _one(self, kept: Kept | None) -> Ledger | None:
        return None if kept is None else (await self._read([kept]))[0]

    async def _read(self, kept: Sequence[Kept]) -> list[Ledger]:
        pieces = read(await self._finished.bodies(kept))
        return [ledger for done in await self._work.each_away(pieces) for ledger in done]


def _batches(kept: Iterable[Kept]) -> Iterator[list[Kept]]:
    together, size = list[Kept](), 0
    for one in kept:
        if together and size + one.size > _TOGETHER_BYTES:
            yield together
            together, size = [], 0
        together.append(one)
        size += one.size
    if together:
        yield together
