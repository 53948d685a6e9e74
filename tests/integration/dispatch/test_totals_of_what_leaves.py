"""A request that leaves the book while it is added up counts in full, and once."""

from __future__ import annotations

import asyncio
import copy
import itertools
from datetime import timedelta
from pathlib import Path

import pytest

from gridsignal.testing import ManualClock
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.publish import headers_of
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import micros
from gridsignal_services.dispatch.totals import By, Total, _added_up, _Asked
from gridsignal_services.replica import Replica
from gridsignal_services.work import Work
from tests.builders import a_request_cancellation, utc
from tests.integration.a_door import a_door
from tests.unit.ledger.market import OPERATORS_NAME, OWNER, Market
from tests.unit.ledger.zone import CODEC

OFFERS = 5
Added = tuple[list[Total], bool]


def an_evening() -> Market:
    """One that is over, and leaves the book with the next record."""
    market = Market("acme", kept=timedelta(hours=12), min_quantity_w=0, step_w=None)
    for number in range(OFFERS):
        assert market.offer("acme", 1000, offer_id=f"o-{number}").accepted
    market.close()
    for tracked in list(market.ledger.orders.values()):
        assert market.reply(tracked.order, "ACCEPTED").accepted
    market.run_until(utc("19:00"))
    assert len(market.ledger.orders) == OFFERS
    market.now += timedelta(hours=13)
    return market


async def added_up(market: Market, by: By, leaves_after: int, log: SqliteLog, directory: Path) -> Added:
    """The lines, the request leaving the book after so many turns; and whether it left before they were there."""
    replica = Replica(log, CODEC, source="/tests")
    replica.ledgers[0] = ledger = market.ledger
    door = a_door(log, replica, ManualClock(market.now), directory)
    seconds = itertools.count()
    work = Work(lambda _: None, lambda: float(next(seconds)))  # each row keeps the loop for a second
    chosen = [_Asked(ledger, tracked) for tracked in ledger.requests.values()]
    adding = asyncio.create_task(_added_up(door, OWNER, chosen, by, work))
    for _ in range(leaves_after):
        await asyncio.sleep(0)
    left = not adding.done()
    record = a_request_cancellation(request_id="none")
    headers = headers_of(record, principal=OPERATORS_NAME, source="/tests")
    value, at_us = CODEC.encode(record), micros(market.now)
    await replica._reduce_all([LogRecord("dispatch", 0, ledger.position, record.zone, value, at_us, headers)])
    assert not ledger.requests
    return [line.line(*key) for key, line in sorted((await adding).items())], left


@pytest.mark.parametrize("by", By)
async def test_a_request_counts_in_full_whenever_it_leaves_the_book(tmp_path: Path, by: By) -> None:
    log, evening = await SqliteLog.open(tmp_path / "log"), an_evening()
    seen: list[list[Total]] = []
    for leaves_after in itertools.count():
        directory = tmp_path / str(leaves_after)
        lines, left = await added_up(copy.deepcopy(evening), by, leaves_after, log, directory)
        seen.append(lines)
        if not left:
            break
    await log.aclose()
    assert len(seen) > 2 * OFFERS
    (line,) = seen[-1]
    assert (line.requests, line.orders) == (1, OFFERS)
    assert all(lines == [line] for lines in seen)
