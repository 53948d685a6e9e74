"""One evening at one site: an operator asks, an example answers, and time is the test's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gridsignal_schemas.messages import DispatchOrder, FlexOffer, OrderResponse, OrderState
from gridsignal_services.ledger.tracked import TrackedOrder
from tests.builders import utc
from tests.integration.relay import Relay
from tests.journey.shipped import Program, Taken


class Evening:
    """An operator, the log, and one example at fra-1 behind a relay."""

    def __init__(self, world: Any, relay: Relay, hearing: Any, home: Path, name: str) -> None:
        self.world, self.relay, self.hearing, self.home = world, relay, hearing, home
        self.taken = Taken(world.stack.replica)
        self.program = self.another(name, "one")

    def another(self, name: str, instance: str) -> Program:
        """One more program of the site."""
        url = f"ws://127.0.0.1:{self.relay.port}"
        return Program(name, url, self.world.stack.token("participant", "acme-ai"), self.home, instance)

    @property
    def order(self) -> TrackedOrder:
        """The one order of the evening."""
        (order,) = self.world.stack.replica.ledger_of("DE-LU").orders.values()
        assert isinstance(order, TrackedOrder)
        return order

    async def reach(self, when: str, *programs: Program) -> None:
        """The ledger's time first, then the programs': what the clock does is done before they say it."""
        await self.world.reach(utc(when))
        for program in programs or (self.program,):
            program.time(utc(when))

    async def offered(self) -> None:
        """A request, and the program's offer on it."""
        await self.world.ask()
        await self.taken.one(FlexOffer)

    async def accepted(self) -> None:
        """The gate closes, and the program accepts what is ordered."""
        await self.offered()
        await self.reach("17:00")
        await self.taken.one(OrderResponse, response="ACCEPTED")

    async def begun(self) -> None:
        """The order runs, and the program follows it."""
        await self.accepted()
        await self.reach("18:00")
        await self.follows()

    async def follows(self) -> None:
        """The program does what the order says: once more in each of its runs."""
        match self.program.name:
            case "training_cluster":
                await self.program.says("pausing")
            case "readme":
                await self.program.says("following order")

    async def ended(self, state: OrderState = OrderState.COMPLETED) -> None:
        """The order is over, and the program has let go of it."""
        assert self.order.state is state, self.program.story()
        if self.program.name == "training_cluster" and any("pausing" in line for line in self.program.said):
            await self.program.says("resuming")

    async def operator(self, what: str, **body: Any) -> None:
        """The operator changes the order, and the program hears of it."""
        revision = self.order.order.revision
        async with self.world.desk() as desk:
            answer = await desk.post(f"/v1/orders/{self.order.order.order_id}/{what}", json=body)
        assert answer.status_code == 200, answer.text
        await self.taken.one(DispatchOrder, revision=revision + 1)

    async def cancel(self) -> None:
        """The operator takes the request back."""
        async with self.world.desk() as desk:
            answer = await desk.post(f"/v1/requests/{self.order.order.request_id}/cancel", json={})
        assert answer.status_code == 200, answer.text

    async def next_request_is_answered(self, *programs: Program) -> None:
        """The programs are alive: what is asked next is offered by one of them, and none has ended."""
        times = {"starts_at": "20:30", "ends_at": "21:15", "gate_closure_at": "19:30", "decision_deadline": "19:40"}
        request_id = await self.world.ask(**{name: f"2024-05-12T{at}:00Z" for name, at in times.items()})
        await self.taken.one(FlexOffer, request_id=request_id)
        for program in programs or (self.program,):
            assert program.runs, program.story()
            assert not any("Traceback" in line for line in program.said), program.story()
