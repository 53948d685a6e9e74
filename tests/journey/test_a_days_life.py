"""What we ship lives through a day: each example, as a process of its own, through each end an order can have."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gridsignal_schemas.messages import (
    DispatchOrder,
    DispatchRequest,
    FlexOffer,
    OrderResponse,
    OrderState,
)
from gridsignal_services.bus.publish import publish
from tests.builders import a_spot_price, utc
from tests.integration.relay import Relay
from tests.journey.evening import Evening
from tests.journey.shipped import Program, running
from tests.journey.test_scenarios import another_gateway

MW = 1_000_000


# --- the ends ---------------------------------------------------------------------------------------------------


async def reaches_its_end(evening: Evening) -> None:
    await evening.begun()
    await evening.reach("18:45")
    if evening.program.name == "training_cluster":
        await evening.taken.one(OrderResponse, response="COMPLETED")  # which the clock has done before
    await evening.ended()


async def is_released_early(evening: Evening) -> None:
    await evening.begun()
    await evening.reach("18:20")
    await evening.operator("release")
    await evening.reach("18:21")
    await evening.ended()


async def is_shortened_and_extended(evening: Evening) -> None:
    await evening.begun()
    await evening.reach("18:10")
    await evening.operator("release", ends_at="2024-05-12T18:30:00Z")
    await evening.operator("extend", ends_at="2024-05-12T18:45:00Z")
    await evening.reach("18:40")
    assert evening.order.state is OrderState.ACTIVE
    await evening.reach("18:45")
    await evening.ended()


async def is_cancelled_before_it_starts(evening: Evening) -> None:
    await evening.accepted()
    await evening.reach("17:30")
    await evening.cancel()
    await evening.program.says("CANCELLED" if evening.program.name == "raw_websocket" else "over")
    await evening.ended(OrderState.CANCELLED)


async def is_cancelled_while_it_runs(evening: Evening) -> None:
    await evening.begun()
    await evening.reach("18:20")
    await evening.cancel()
    await evening.reach("18:21")
    await evening.ended()


async def is_derated(evening: Evening) -> None:
    await evening.begun()
    await evening.reach("18:10")
    async with evening.world.site("acme-ai", "fra-1", instance="control-room") as by_hand:
        (standing,) = await by_hand.orders()
        await by_hand.report(standing.order, "UNAVAILABLE", available_w=1 * MW, reason="a cooling fault")
    await evening.taken.one(DispatchOrder, revision=2, power_w=1 * MW)
    await evening.reach("18:45")
    await evening.ended()


async def is_void_for_want_of_an_answer(evening: Evening) -> None:
    await evening.offered()
    evening.program.signal(signal.SIGSTOP)
    await evening.reach("17:06")
    evening.program.signal(signal.SIGCONT)
    await evening.program.says("order over" if evening.program.name == "training_cluster" else "too_late")
    await evening.ended(OrderState.VOIDED)
    assert not evening.taken.all(OrderResponse, response="ACCEPTED")


async def was_asked_for_before_the_program_started_and_its_gate_is_closed(evening: Evening) -> None:
    await evening.program.kill()
    request_id = await evening.world.ask()
    async with evening.world.site("volt-colo", "muc-1") as rival:  # whose order keeps the request open
        request = await evening.hearing(rival.subscribe("dispatch"), DispatchRequest)
        await rival.offer(request, power_w=10 * MW, price_per_mwh="80")
        await evening.world.reach(utc("17:01"))
    await evening.program.start(utc("17:01"))
    await evening.program.says("recovery" if evening.program.name == "raw_websocket" else "connected")
    await evening.next_request_is_answered()
    offers = evening.taken.all(FlexOffer, request_id=request_id)
    assert [offer.participant for offer in offers] == ["volt-colo"], "what was met is no longer shown to others"


async def waits_for_an_answer_while_the_program_is_killed(evening: Evening) -> None:
    await evening.offered()
    evening.program.signal(signal.SIGSTOP)
    await evening.reach("17:00")
    await evening.program.kill()
    await evening.program.start(utc("17:00"))
    await evening.taken.one(OrderResponse, response="ACCEPTED")
    await evening.reach("18:00")
    await evening.follows()
    await evening.reach("18:45")
    await evening.ended()


async def was_accepted_before_the_program_is_killed(evening: Evening) -> None:
    await evening.accepted()
    await evening.program.kill()
    await evening.world.reach(utc("17:30"))
    await evening.program.start(utc("17:30"))
    await evening.reach("18:00")
    await evening.follows()
    await evening.reach("18:45")
    await evening.ended()


async def runs_while_the_program_is_killed(evening: Evening) -> None:
    await evening.begun()
    await evening.reach("18:10")
    await evening.program.kill()
    await evening.program.start(utc("18:10"))
    await evening.follows()
    await evening.reach("18:45")
    await evening.ended()


async def ends_while_the_program_is_down(evening: Evening) -> None:
    await evening.begun()
    await evening.program.kill()
    await evening.world.reach(utc("18:50"))
    await evening.program.start(utc("18:50"))
    await evening.program.says("recovery" if evening.program.name == "raw_websocket" else "connected")
    await evening.ended()


async def runs_while_the_gateway_is_replaced(evening: Evening) -> None:
    await evening.begun()
    evening.relay.refuse_new()
    evening.relay.cut()
    async with another_gateway(evening.world, evening.home / "another") as url:
        evening.relay.target = ("127.0.0.1", int(url.rpartition(":")[2]))
        evening.relay.came.clear()
        evening.relay.admit()
        await evening.relay.came.wait()
        await evening.reach("18:45")
        await evening.ended()
        await evening.next_request_is_answered()


async def is_followed_by_two_programs_of_the_site(evening: Evening) -> None:
    other = evening.another(evening.program.name, "two")
    async with running(other, now=utc("12:00")):
        await evening.accepted()
        both = (evening.program, other)
        await evening.reach("18:00", *both)
        for program in both:
            evening.program = program
            await evening.follows()
        await evening.reach("18:45", *both)
        await evening.ended()
        await evening.next_request_is_answered(*both)
    first = [offer for offer in evening.taken.all(FlexOffer) if offer.request_id == evening.order.order.request_id]
    assert len(first) == 1
    evening.program = both[0]


ENDS: list[Callable[[Evening], Awaitable[None]]] = [
    reaches_its_end,
    is_released_early,
    is_shortened_and_extended,
    is_cancelled_before_it_starts,
    is_cancelled_while_it_runs,
    is_derated,
    is_void_for_want_of_an_answer,
    was_asked_for_before_the_program_started_and_its_gate_is_closed,
    waits_for_an_answer_while_the_program_is_killed,
    was_accepted_before_the_program_is_killed,
    runs_while_the_program_is_killed,
    ends_while_the_program_is_down,
    runs_while_the_gateway_is_replaced,
    is_followed_by_two_programs_of_the_site,
]


@pytest.fixture
def cluster() -> None:
    """On the embedded log, whose time the test moves."""


@pytest.fixture
async def relay(world: Any) -> AsyncIterator[Relay]:
    async with Relay() as between:
        between.target = world.stack.gateway.address
        yield between


async def test_the_price_follower_goes_on_after_kill_nine_and_at_another_gateway(
    world: Any, relay: Relay, tmp_path: Path
) -> None:
    url = f"ws://127.0.0.1:{relay.port}"
    program = Program("price_follower", url, world.stack.token("participant", "acme-ai"), tmp_path)

    async def publishes(revision: int) -> None:
        curve = a_spot_price(revision=revision)
        await publish(world.stack.log, world.stack.codec, curve, principal="service:tests", source="tests")

    async with running(program, now=utc("12:00")):
        await publishes(1)
        await program.says("cheapest from 2024-05-12 11:00Z")
        await program.kill()
        await publishes(2)
        await program.start(utc("12:00"))
        await program.says("cheapest")
        relay.refuse_new()
        relay.cut()
        async with another_gateway(world, tmp_path / "another") as other:
            relay.target = ("127.0.0.1", int(other.rpartition(":")[2]))
            relay.admit()
            await publishes(3)
            await program.says("cheapest", times=2)
            assert program.runs, program.story()


ANSWERS_THE_NEXT_ITSELF = (
    runs_while_the_gateway_is_replaced,
    is_followed_by_two_programs_of_the_site,
    was_asked_for_before_the_program_started_and_its_gate_is_closed,
)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("name", ["readme", "training_cluster", "raw_websocket"])
async def test_a_program_that_we_ship_goes_on_though_its_order(
    world: Any, relay: Relay, hearing: Any, tmp_path: Path, name: str, end: Callable[[Evening], Awaitable[None]]
) -> None:
    evening = Evening(world, relay, hearing, tmp_path, name)
    async with running(evening.program, now=utc("12:00")):
        await end(evening)
        if end not in ANSWERS_THE_NEXT_ITSELF:
            await evening.next_request_is_answered()
