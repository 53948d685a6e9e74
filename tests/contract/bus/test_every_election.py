"""What an election among those who act on a stream promises, asked of every implementation of the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import Election, Log
from tests.patience import SOON_S

STREAM = "dispatch"
PARTITIONS = TOPICS[STREAM].partitions


async def _holds(election: Election, enough: Callable[[frozenset[int]], bool]) -> frozenset[int]:
    async with asyncio.timeout(SOON_S):
        while not enough(election.mine):
            await election.changed()
    return election.mine


async def test_a_sole_candidate_gets_every_partition(log: Log) -> None:
    election = log.stand(STREAM)
    await _holds(election, lambda mine: mine == frozenset(range(PARTITIONS)))
    await election.aclose()


async def test_one_who_gives_up_in_an_election_is_followed_by_the_other(log_factory: Any) -> None:
    log = await log_factory.open()
    first, second = log.stand(STREAM), log.stand(STREAM)
    everything = frozenset(range(PARTITIONS))
    async with asyncio.timeout(SOON_S):
        while first.mine | second.mine != everything or (log_factory.shares and not (first.mine and second.mine)):
            turns = [asyncio.ensure_future(election.changed()) for election in (first, second)]
            await asyncio.wait(turns, return_when=asyncio.FIRST_COMPLETED)
            for turn in turns:
                turn.cancel()
    if log_factory.shares:
        assert not first.mine & second.mine
    await first.aclose()
    await _holds(second, lambda mine: mine == everything)
    await second.aclose()
