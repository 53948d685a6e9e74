"""However long the records that a subscription catches up with, it takes in little of them in one turn."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import pytest

from gridsignal_protocol.server.subscription import Subscription, Want
from gridsignal_schemas.frames import Filter, Subscribe
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.gateway.catchingup import CatchingUp
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.history import Stream, StreamEntry
from tests.builders import a_spot_price
from tests.unit.gateway.test_hub import a_hub, a_key, an_entry

CODEC = Codec.from_lock()


class Taker:
    """A connection that takes everything."""

    def signal(self, *_: Any) -> None: ...

    async def room(self) -> None: ...


class Turns:
    """Notes how many bytes of records were read in each turn."""

    room_bytes = 2**30

    def __init__(self) -> None:
        self.read_bytes: list[int] = []

    async def turn(self, connection: Connection) -> None:
        self.read_bytes.append(0)

    async def entry(self, logged: LogRecord) -> StreamEntry:
        self.read_bytes[-1] += len(logged.value)
        return an_entry(CODEC.decode(logged.value))

    def is_over(self, _: StreamEntry) -> bool:
        return False

    def cursor(self, *_: Any) -> str:
        return "c"


@pytest.mark.parametrize("points", [1, 96, 288, 2000])
async def test_a_turn_reads_a_few_thousand_bytes_or_one_record(points: int) -> None:
    hub, ways, count = a_hub(), Turns(), 60
    stream = Stream("prices", {0: 0}, records=1, weight=1)
    value = CODEC.encode(a_spot_price(prices_per_mwh=[Decimal("50.0001")] * points, resolution_s=900))
    asked = Subscription(Subscribe(id=1, stream="prices"), Want.of("prices", Filter(), "every"))
    catching_up = CatchingUp(cast("Any", ways), cast("Any", Taker()), asked, hub.reserve(a_key()), stream, stream.head)
    found = [LogRecord("prices", 0, offset, "DE-LU", value, 0) for offset in range(count)]
    assert await catching_up.take(found)
    assert sum(ways.read_bytes) == count * len(value)
    assert max(ways.read_bytes) <= 8192 + len(value)
    assert len(ways.read_bytes) <= count  # and no fewer than one
