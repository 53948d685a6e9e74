"""What is over leaves nothing behind, however fast it was over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import product

import pytest

from gridsignal_protocol.client.conversation import Conversation
from gridsignal_schemas.frames import Frame, Subscribe, Subscribed, Unsubscribe
from tests.integration.gateway.two_gateways import TwoGateways
from tests.integration.gateway.wire_in_memory import Wire

STEPS = [steps for length in (1, 2, 3, 4) for steps in product(("subscribe", "unsubscribe"), repeat=length)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoGateways]:
    place = TwoGateways(tmp_path_factory.mktemp("nothing-stays"))
    place.run(place.open())
    yield place
    place.end()


async def a_wire(place: TwoGateways) -> Wire:
    client = Conversation("tests/1").connect()
    wire = Wire(place.gateways[0], place.stand.token(), client)
    await place.settle()
    wire.hear()
    wire.arrive(*client.frames_to_send())
    await place.settle()
    return wire


def test_a_group_that_nobody_is_in_is_forgotten_however_it_was_left(place: TwoGateways) -> None:
    async def play() -> None:
        hub = place.gateways[0]._hub
        wire = await a_wire(place)
        wire.arrive(Subscribe(id=1, stream="prices"))
        await place.settle()
        wire.hear()
        (sub,) = [frame.sub for frame in wire.down if isinstance(frame, Subscribed)]  # it is called so ever after
        wire.lose()
        ask: dict[str, Frame] = {
            "subscribe": Subscribe(id=2, stream="prices"),
            "unsubscribe": Unsubscribe(id=3, sub=sub),
        }
        for steps in STEPS:
            wire = await a_wire(place)
            wire.arrive(*(ask[step] for step in steps))
            await asyncio.sleep(0)  # they are decided, and what they begin has not begun
            wire.lose()
            await place.settle()
            assert hub.groups("prices") == [], steps

    place.run(play())
