"""Requests that are over, for who asks about the past: what concerns them, read a little at a time on their account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from typing import TypeVar

from gridsignal_schemas.rules.faults import fault
from gridsignal_services.access import Entitlements, Principal
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.dispatch.parts import ORDERS, REQUESTS, Kind, read, zone_name
from gridsignal_services.dispatch.tables import Kept, Question
from gridsignal_services.kept_file import TooMany, Unreadable
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.rest import problems
from gridsignal_services.work import Work

NOT_READABLE = "what is over can't be read here just now: ask again later; whoever runs this door finds why in its log"
_COME_BACK_S = 10
_TOGETHER_BYTES = 256 * 1024
"""Fetched at once."""


K = TypeVar("K")
V = TypeVar("V")


class PastReader:
    """What one asker may read of the past: each request as a ledger of its own, in which what concerns them is all
    there is. What leaves a zone's ledger while an answer is made is found here from then on."""

    def __init__(
        self,
        finished: Finished,
        principal: Principal,
        mine: Entitlements,
        work: Work,
        ledgers: Mapping[int, Ledger],
    ) -> None:
        """`ledgers` are those of the zones: a settlement may go on there after its order has left."""
        self._finished, self._principal, self._mine, self._work = finished, principal, mine, work
        self._ledgers = ledgers

    async def entries(
        self,
        ledgers: Iterable[Ledger],
        of: Callable[[Ledger], Mapping[K, V]],
        kinds: Sequence[Kind],
        from_: datetime | None = None,
        to: datetime | None = None,
        request_id: str | None = None,
    ) -> Iterator[tuple[K, tuple[Ledger, V]]]:
        """What these ledgers have at this moment; also what of these kinds is over on a request, or of their zones in
        [from, to), if one is named. Each once. Raises Problem 422."""
        live = [(ledger, list(of(ledger).items())) for ledger in ledgers]
        over = [(ledger, of(ledger)) for ledger in await self._over(kinds, from_, to, request_id)]
        left = {key for _, found in over for key in found}
        there = ((key, (ledger, one)) for ledger, found in live for key, one in found if key not in left)
        return chain(there, ((key, (ledger, one)) for ledger, found in over for key, one in found.items()))

    async def _over(
        self, kinds: Sequence[Kind], from_: datetime | None, to: datetime | None, request_id: str | None
    ) -> list[Ledger]:
        if request_id is not None:
            found = await self.of_request(kinds, request_id)
            return [] if found is None else [found]
        if from_ is None and to is None:
            return []
        with shorter():
            return await self.touching(kinds, self._mine.zones, from_, to)

    async def holding(self, ledger: Ledger, kinds: Sequence[Kind], request_id: str) -> Ledger | None:
        """The ledger that has a request which this one had: itself, or since the request has left it, its own.

        What is read of it before the next await is there. None: it could not be kept.
        """
        return ledger if request_id in ledger.requests else await self.of_request(kinds, request_id)

    async def of_request(self, kinds: Sequence[Kind], request_id: str) -> Ledger | None:
        """These parts of a request; None: nothing of it concerns them."""
        with readable():
            return await self._one(await self._finished.of_request(self._asked(kinds), request_id, self._work))

    async def of_order(self, order_id: str) -> Ledger | None:
        """The part that holds an order; None: it does not concern them."""
        with readable():
            return await self._one(await self._finished.of_order(self._asked(ORDERS), order_id, self._work))

    async def touching(
        self, kinds: Sequence[Kind], zones: Iterable[str], from_: datetime | None, to: datetime | None
    ) -> list[Ledger]:
        """These parts of what touches [from, to) in these zones, the earliest end first. Raises TooMany."""
        with readable():
            kept = await self._finished.touching(self._asked(kinds), zones, from_, to, self._work)
            return [ledger for together in _batches(kept) for ledger in await self._read(together)]

    async def ordered_at(
        self, site: str, zones: Iterable[str], from_: datetime, to: datetime
    ) -> list[tuple[datetime, datetime | None]]:
        """The periods of their orders to a site on requests that touch [from, to). Raises Problem 422."""
        with shorter(), readable():
            return await self._finished.ordered_at(self._asked(ORDERS), zones, from_, to, site, self._work)

    def _asked(self, kinds: Sequence[Kind]) -> Question:
        """A zone is shown its requests alone: what was said on them is theirs who said it, and the operator's."""
        zones = [zone_name(zone) for zone in sorted(self._mine.zones)] if kinds == REQUESTS else []
        return Question([self._principal.name, *zones], kinds)

    async def _one(self, kept: Kept | None) -> Ledger | None:
        return None if kept is None else (await self._read([kept]))[0]

    async def _read(self, kept: Sequence[Kept]) -> list[Ledger]:
        pieces = read(await self._finished.bodies(kept, self._work))
        found = [ledger for done in await self._work.each_away(pieces) for ledger in done]
        for ledger in found:
            zones = self._ledgers.get(ledger.partition)
            live = {} if zones is None else zones.book.settlements
            ledger.book.settlements |= {name: live[name] for name in ledger.book.orders if name in live}
        return found


@contextmanager
def shorter() -> Iterator[None]:
    """Raises Problem 422 for TooMany."""
    try:
        yield
    except TooMany as more:
        raise problems.invalid([fault("PERIOD", "?from", f"expected a shorter period: this one has {more}")]) from None


@contextmanager
def readable() -> Iterator[None]:
    """Raises Problem 503 for Unreadable."""
    try:
        yield
    except Unreadable:
        raise problems.unavailable(NOT_READABLE, _COME_BACK_S) from None


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
