"""Whoever reads while a long record is reduced piece by piece sees what was before it or what is behind it, no half."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from gridsignal.testing import ManualClock
from gridsignal_schemas.frames import Query, States
from gridsignal_schemas.messages import DispatchOrder, OrderState
from gridsignal_schemas.rules.lifecycle import RequestState
from gridsignal_services.access import SIGNAL_READ, Entitlements, Principal
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.alerting.contact import Contacts
from gridsignal_services.alerting.table import AlertTable
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.publish import headers_of
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.clock import MACHINE_TIME, micros
from gridsignal_services.dispatch.archive import Archive
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.dispatch.position import PositionSeal
from gridsignal_services.dispatch.setpoint_log import SetpointLog
from gridsignal_services.dispatch.shown_heads import ShownHeads
from gridsignal_services.gateway.groupkey import GroupKey, Viewer
from gridsignal_services.gateway.lastvalues import utc_day_start
from gridsignal_services.gateway.log_access import LogAccess
from gridsignal_services.gateway.quota import Quota
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.signature_check import SignatureCheck
from gridsignal_services.gateway.sources import Sources
from gridsignal_services.ledger.pieces import A_PIECE
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.registry import example_registry
from gridsignal_services.replica import Replica
from gridsignal_services.rest.callers import Callers
from gridsignal_services.rest.limits import RestLimits
from tests.builders import REQUEST_ID, a_request_cancellation
from tests.unit.ledger.market import OPERATORS_NAME, OWNER, Market
from tests.unit.ledger.zone import CODEC

ACME = Principal("participant", "acme", "tests", frozenset({SIGNAL_READ}), datetime.max.replace(tzinfo=UTC))
ORDERS = 4 * A_PIECE
Seen = tuple[int, int]
"""The next offset, and how many orders are not cancelled."""
Read = Callable[["Stage"], Coroutine[Any, Any, Seen]]


class Stage:
    """A replica that is about to reduce the cancellation of a request with many orders, and its readers."""

    def __init__(self, log: SqliteLog, directory: Path) -> None:
        self.market = Market("acme", min_quantity_w=0, step_w=None)
        for number in range(ORDERS):
            assert self.market.offer("acme", 2, offer_id=f"o-{number}").accepted
        self.market.close()
        assert len(self.market.ledger.orders) == ORDERS
        self.replica = Replica(log, CODEC, source="/tests", breath_s=0)  # others have their turn after each piece
        self.ledger = self.replica.ledgers[0] = self.market.ledger
        settings, clock = GatewaySettings(data_directory=directory, port=0), ManualClock(self.market.now)
        self.sources = Sources(log, CODEC, self.replica, clock, utc_day_start, settings)
        registry = example_registry()
        signatures = SignatureCheck(lambda: registry, self.replica, MACHINE_TIME)
        quota = Quota(MemoryCache(), settings)
        self.log_access = LogAccess(log, CODEC, self.replica, quota, settings, clock, signatures)
        self.door = Door(
            self.replica,
            ReadingsReader(log, CODEC, registry, lambda: None, directory),
            Archive(log, CODEC),
            Finished(directory / "finished"),
            SetpointLog(log, CODEC),
            Callers(LocalIssuer.create_or_open(directory / "issuer").verifier(), RestLimits(), registry),
            PositionSeal(b"0" * 32, log.epoch),
            clock,
            AlertTable(),
            Contacts(),
            ShownHeads(log, CODEC, directory),
        )

    def cancellation(self) -> LogRecord:
        record, at = a_request_cancellation(), self.ledger.position
        headers = headers_of(record, principal=OPERATORS_NAME, source="/tests")
        return LogRecord("dispatch", 0, at, record.zone, CODEC.encode(record), micros(self.market.now), headers)

    @property
    def stands(self) -> Seen:
        orders = self.ledger.orders.values()
        return self.ledger.position, sum(order.state is not OrderState.CANCELLED for order in orders)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    log = await SqliteLog.open(tmp_path / "log")
    yield Stage(log, tmp_path)
    await log.aclose()


async def shown(stage: Stage) -> Seen:
    viewer = Viewer(OWNER, Entitlements())
    snapshot = await stage.sources.snapshot(GroupKey("dispatch", None, None, "every", "json", viewer))
    orders = [entry for entry in snapshot.entries if isinstance(entry.record, DispatchOrder)]
    return snapshot.place.positions[0], len(orders)


async def told(stage: Stage) -> Seen:
    async def turn() -> None:
        pass

    answer = await stage.log_access.look(Query(id=1, live=True), ACME, None, turn)
    assert isinstance(answer, States)
    return stage.ledger.position, len(answer.orders)


async def caught_up(stage: Stage) -> Seen:
    await stage.door.catch_up(Request({"type": "http", "headers": []}))
    return stage.stands


async def found(stage: Stage) -> Seen:
    _, tracked = await stage.door.request(OWNER, REQUEST_ID)
    position, orders = stage.stands
    assert (orders == 0) == (tracked.state is RequestState.CANCELLED)
    return position, orders


@pytest.mark.parametrize("read", [shown, told, caught_up, found])
async def test_what_is_read_is_of_one_moment(stage: Stage, read: Read) -> None:
    record = stage.cancellation()
    reduced = asyncio.create_task(stage.replica._reduce_all([record]))
    readers: list[asyncio.Task[Seen]] = []
    halves = 0
    while not reduced.done():
        readers.append(asyncio.create_task(read(stage)))
        await asyncio.sleep(0)
        halves += 0 < stage.stands[1] < ORDERS
    assert halves
    assert set(await asyncio.gather(*readers)) <= {(record.offset, ORDERS), (record.offset + 1, 0)}
