"""Where the SDK is held to the protocol: a gateway, real or fake, behind a relay that can cut, freeze and redirect.

Everything a test sees comes through a real socket, and every fault happens on the way and not inside the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import gridsignal
from gridsignal.testing import FakeGrid, ManualClock
from gridsignal_schemas.messages import DispatchOrder, FlexOffer, OrderState, Record, RequestCancellation
from gridsignal_services.bus import LogRecord
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.owning.due import next_due
from tests.builders import REQUEST_ID, utc
from tests.integration.gateway_stand import Stand
from tests.integration.relay import Relay
from tests.owning import next_records
from tests.patience import SOON_S

NOON = utc("12:00")
"""Grid time of every stage; it stands until a test moves it."""
_OPERATOR = "operator:tso-north"
HASTY = gridsignal.Limits(retry_first_s=0.02, retry_longest_s=0.1, first_connect_s=SOON_S)
R = TypeVar("R", bound=Record)


class Stage(Protocol):
    """What a gateway must offer to stand here."""

    name: str
    relay: Relay
    clock: ManualClock

    def token(self) -> str: ...

    async def publish(self, *records: Record) -> None:
        """Returns when the records are on the log."""

    async def ask(self, request: Record) -> None:
        """An operator asks; the site is registered."""

    async def order(self, offer_id: str) -> None:
        """What was offered is cleared and ordered."""

    async def change(self, order: DispatchOrder, ends_at: datetime) -> str:
        """The operator lets an order end earlier or later; why that is refused, or nothing."""

    async def cancel(self, request_id: str) -> None:
        """The operator takes a request back."""

    async def cancel_order(self, order: DispatchOrder) -> None:
        """The operator takes one order back."""

    async def reach(self, when: datetime) -> None:
        """Grid time moves on, and what it brings about is announced."""

    async def act(self) -> None:
        """What follows from the last write is announced."""

    async def logged(self, kind: type[R], **fields: Any) -> R:
        """The first record of this kind, with these fields, that a data center got accepted; waits for it."""

    def count(self, kind: type[Record]) -> int:
        """How many records of this kind data centers got accepted."""


class FakeStage:
    """The gateway in memory that ships with the SDK."""

    name = "fake"

    def __init__(self, fake: FakeGrid, clock: ManualClock, relay: Relay) -> None:
        self.fake, self.relay = fake, relay
        self.clock = clock

    def token(self) -> str:
        return self.fake.token

    async def publish(self, *records: Record) -> None:
        for record in records:
            self.fake.publish(record)

    async def ask(self, request: Record) -> None:
        self.fake.publish(request)

    async def order(self, offer_id: str) -> None:
        offer = next(r for r in self.fake.world.written if isinstance(r, FlexOffer) and r.offer_id == offer_id)
        self.fake.award(offer)

    async def change(self, order: DispatchOrder, ends_at: datetime) -> str:
        try:
            self.fake.change(order, ends_at=ends_at)
        except ValueError as refused:
            return str(refused)
        return ""

    async def cancel_order(self, order: DispatchOrder) -> None:
        self.fake.cancel_order(order)

    async def cancel(self, request_id: str) -> None:
        self.fake.cancel(self.fake.world.ledger.asked[request_id].request)

    async def reach(self, when: datetime) -> None:
        self.clock.move_to(when)
        self.fake.advance()

    async def act(self) -> None:
        self.fake.advance()

    async def logged(self, kind: type[R], **fields: Any) -> R:
        async with asyncio.timeout(SOON_S):
            return await self.fake.next(kind, **fields)

    def count(self, kind: type[Record]) -> int:
        return sum(isinstance(record, kind) for record in self.fake.world.written)


class GatewayStage:
    """The real gateway on the embedded log."""

    name = "gateway"

    def __init__(self, stand: Stand, relay: Relay) -> None:
        self.stand, self.relay = stand, relay
        self.clock = ManualClock(NOON)
        self._records: list[Record] = []
        self._registered = False
        self._news = asyncio.Event()
        stand.replica.listen(self._reduced)

    def _reduced(self, _: LogRecord, record: Record, outcome: Outcome) -> None:
        if outcome.accepted:
            self._records.append(record)
            self._news.set()

    def token(self) -> str:
        return self.stand.token()

    async def publish(self, *records: Record) -> None:
        await self.stand.publish(*records)

    async def ask(self, request: Record) -> None:
        if not self._registered:  # a second time its baseline would replace what the site has declared since
            self._registered = True
            await self.stand.register()
        await self.stand.publish(request, principal="operator:tso-north")

    async def order(self, offer_id: str) -> None:
        del offer_id  # the book knows
        await self.stand.clear(REQUEST_ID)

    async def change(self, order: DispatchOrder, ends_at: datetime) -> str:
        outcome = await self._revise(order, ends_at=ends_at)
        return "".join(fault.message for fault in outcome.faults)

    async def cancel_order(self, order: DispatchOrder) -> None:
        await self._revise(order, state=OrderState.CANCELLED)
        await self.act()

    async def _revise(self, order: DispatchOrder, **changes: Any) -> Outcome:
        held = self.stand.replica.ledger_of(order.zone).orders[order.order_id]
        same = {"revision": held.order.revision + 1, "state": held.state, "power_w": held.power_w, "actor": _OPERATOR}
        return await self.stand.replica.submit(held.order.model_copy(update=same | changes), _OPERATOR)

    async def cancel(self, request_id: str) -> None:
        zone = next(z for z in self.stand.replica.ledgers.values() if request_id in z.requests)
        of = {"zone": zone.requests[request_id].request.zone, "request_id": request_id, "actor": _OPERATOR}
        record = RequestCancellation(**of, reason_code="", reason="")
        await self.stand.publish(record, principal=_OPERATOR)
        await self.act()

    async def reach(self, when: datetime) -> None:
        await self.act()
        while (due := min(filter(None, map(next_due, self._ledgers)), default=when)) < when:
            self._move_to(due)
            await self.act()
        self._move_to(when)
        await self.act()

    async def act(self) -> None:
        for ledger in self._ledgers:
            while records := next_records(ledger, self.stand.clock.now()):
                await self.stand.publish(*records)

    @property
    def _ledgers(self) -> list[Ledger]:
        return list(self.stand.replica.ledgers.values())

    def _move_to(self, when: datetime) -> None:
        self.stand.clock.move_to(max(when, self.stand.clock.now()))
        self.clock.move_to(self.stand.clock.now())

    async def logged(self, kind: type[R], **fields: Any) -> R:
        async with asyncio.timeout(SOON_S):
            while True:
                for record in self._records:
                    if isinstance(record, kind) and all(getattr(record, name) == v for name, v in fields.items()):
                        return record
                self._news.clear()
                await self._news.wait()

    def count(self, kind: type[Record]) -> int:
        return sum(isinstance(record, kind) for record in self._records)


@asynccontextmanager
async def fake_stage(_: Path) -> AsyncIterator[Stage]:
    clock = ManualClock(NOON)
    async with Relay() as relay, FakeGrid(now=clock.now) as fake:
        relay.target = ("127.0.0.1", fake.port)
        yield FakeStage(fake, clock, relay)


@asynccontextmanager
async def gateway_stage(directory: Path) -> AsyncIterator[Stage]:
    async with Relay() as relay, Stand.open(directory) as stand:
        relay.target = stand.gateway.address
        yield GatewayStage(stand, relay)


STAGES = {"fake": fake_stage, "gateway": gateway_stage}


@asynccontextmanager
async def connected(stage: Stage, **options: Any) -> AsyncIterator[gridsignal.Grid]:
    """The SDK, through the relay."""
    given: dict[str, Any] = {"site": "fra-1", "outbox": ":memory:", "clock": stage.clock, "limits": HASTY}
    url = f"ws://127.0.0.1:{stage.relay.port}"
    async with asyncio.timeout(3 * SOON_S), gridsignal.connect(url, token=stage.token(), **given | options) as grid:
        yield grid


async def take(signals: gridsignal.Subscription, count: int) -> list[gridsignal.Message]:
    """The next messages, soon."""
    async with asyncio.timeout(SOON_S):
        return [await anext(signals) for _ in range(count)]


def order_of(messages: list[gridsignal.Message]) -> DispatchOrder:
    """The one order among them."""
    (order,) = [message for message in messages if isinstance(message, DispatchOrder)]
    return order
