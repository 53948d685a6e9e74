"""The client's half and a real gateway: every frame delayed, repeated, lost, or late by a reconnect.

The laws: of each zone every record that was published is handed on once and in order; every write is settled once, with
the receipt that everybody gets who asks.
The client comes back to either of two gateways on one log, whose rings are short: it resumes from memory and from the
log. What is real here is everything but the sockets and the time between the frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from gridsignal_protocol.client.conversation import Conversation, Moment
from gridsignal_protocol.client.entry import Entry, Settled
from gridsignal_protocol.client.events import Answered
from gridsignal_protocol.client.messages import Gap
from gridsignal_protocol.client.subscription import Subscription
from gridsignal_protocol.comeback import Backoff, after_close
from gridsignal_schemas.frames import CloseCode, Filter, Frame, Offer, Receipt
from gridsignal_schemas.messages import SpotPrice
from gridsignal_services.gateway.service import Gateway
from tests.builders import a_flex_offer, a_spot_price, utc
from tests.effort import examples
from tests.integration.gateway.two_gateways import TwoGateways
from tests.integration.gateway.wire_in_memory import Ended, Wire

ZONES = ("DE-LU", "FR")
CLOSES = (CloseCode.SLOW_CONSUMER, CloseCode.NO_PONG, CloseCode.OVERLOADED, CloseCode.GOING_AWAY)
which = st.integers(0, 3)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoGateways]:
    place = TwoGateways(tmp_path_factory.mktemp("halves"))
    place.run(place.open())
    yield place
    place.end()


class Game(RuleBasedStateMachine):
    """One conversation, and everything that can happen to it."""

    place: TwoGateways

    @initialize(limit=st.sampled_from((1, 4, 1000)))
    def begin(self, limit: int) -> None:
        self.steady_s = 0.0
        self.wires: list[Wire] = []
        self.published: dict[str, list[int]] = {zone: [] for zone in ZONES}
        self.handed: dict[str, list[int]] = {zone: [] for zone in ZONES}
        self.gaps: list[Gap] = []
        self.entrusted: list[str] = []
        self.settled: list[Settled] = []
        self.answers: list[Answered] = []
        self.client = Conversation("tests/1", site="fra-1")
        wanted = Subscription("prices", Filter(zones=list(ZONES)), snapshot=False)
        self.reader = self.client.subscribe([wanted], limit=limit)
        self.connect(0)
        self.play_out()  # it knows where it stands: from here on nothing may be missing

    # --- what can happen ---

    @rule(zone=st.sampled_from(ZONES), times=st.integers(1, 8))
    def publish(self, zone: str, times: int) -> None:
        self.place.run(self._publish(zone, times))
        self.settle()

    @rule()
    def entrust(self) -> None:
        name = f"offer-{next(self.place.offers)}"
        self.entrusted.append(name)
        body = a_flex_offer(offer_id=name).model_dump(mode="json", exclude={"participant", "site", "zone"})
        self.client.entrust(Entry(len(self.entrusted), "offer", name, name, body), self.now)
        self.flush()

    @rule(at=which)
    def connect(self, at: int) -> None:
        """A socket is opened; while another connection counts, as in a drain."""
        self.wires.append(self.place.run(self._wire(self.place.gateways[at % 2])))
        self.flush()

    @rule(at=which, zone=st.sampled_from(ZONES), before=st.integers(0, 8), times=st.integers(0, 4))
    def come_back(self, at: int, zone: str, before: int, times: int) -> None:
        """Records are published before a socket is opened and while it subscribes; only then comes what is older."""
        self.publish(zone, before)
        self.connect(at)
        self.move_up(0, 1)
        self.move_down(0, 1)
        wire = self.wires[-1]
        frames = [wire.up.popleft() for _ in range(len(wire.up))]
        self.place.run(self._publish(zone, times, lambda: [wire.arrive(frame) for frame in frames]))
        self.settle()
        self.talk()
        self.move_up(1, 1000)
        self.move_down(1, 1000)

    @rule()
    def talk(self) -> None:
        """What is under way on the newest connection arrives, and what follows from it."""
        for _ in range(4):
            self.move_up(0, 1000)
            self.move_down(0, 1000)

    @rule(at=which, how=st.sampled_from(("cut", "lose", *CLOSES)))
    def break_off(self, at: int, how: str | CloseCode) -> None:
        """The client gives its connection up, of which the gateway knows nothing; the socket breaks, and what was under
        way with it; the gateway closes it behind what it has sent.
        """
        wire = self._any(at)
        if wire is None:
            return
        if how == "cut":
            wire.connection.closed(resume=True)
        elif how == "lose":
            wire.connection.closed(resume=True)
            self._drop(wire)
        else:
            self.place.run(self._do(lambda: wire.close(how)))

    @rule(at=which, times=st.integers(1, 4), twice=st.booleans())
    def move_up(self, at: int, times: int, twice: bool = False) -> None:
        """Frames reach a gateway, a write perhaps twice, and perhaps on a connection that the client has given up."""
        wire = self._any(at)
        for _ in range(0 if wire is None else min(times, len(wire.up))):
            frame = wire.up.popleft()
            again = [frame] if twice and isinstance(frame, Offer) else []
            self.place.run(self._do(lambda frames=(frame, *again): [wire.arrive(each) for each in frames]))

    @rule(at=which, times=st.integers(1, 8), twice=st.booleans())
    def move_down(self, at: int, times: int, twice: bool = False) -> None:
        """Frames reach the client, perhaps twice, and perhaps on a connection that does not count any more."""
        wire = self._any(at)
        for _ in range(0 if wire is None else min(times, len(wire.down))):
            frame = wire.down.popleft()
            self._receive(wire, frame)
            if twice and not isinstance(frame, Ended):
                self._receive(wire, frame)

    @rule(times=st.integers(1, 4))
    def take(self, times: int) -> None:
        """The program takes what waits for it; until then its reader may be full."""
        for _ in range(times):
            message = self.client.take(self.reader)
            if isinstance(message, SpotPrice):
                self.handed[message.zone].append(message.revision)
            elif isinstance(message, Gap):
                self.gaps.append(message)
        self.flush()

    @rule()
    def pass_time(self) -> None:
        self.steady_s += 60.0
        self.client.tick(self.now)
        self.flush()

    # --- and the end of it ---

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            return
        self.connect(0)
        self.play_out()
        number = self.client.query(self.entrusted[-256:], [], [])
        self.play_out()
        for wire in list(self.wires):
            self._drop(wire)
        assert self.handed == self.published
        assert self.gaps == []
        assert sorted(each.entry.ident for each in self.settled) == sorted(self.entrusted)
        (answer,) = self.answers
        assert answer.number == number
        for each in self.settled:
            assert isinstance(each.outcome, Receipt)
            state = answer.answer.offers[each.entry.ident]
            assert state is not None
            assert state.receipt == each.outcome

    def play_out(self) -> None:
        """Everything under way on the newest connection arrives, and the program takes it, until all is quiet."""
        for _ in range(1000):
            if not self.wires:
                self.connect(0)
            self.move_up(0, 1000)
            self.move_down(0, 1000)
            self.take(1000)
            self.pass_time()
            wire = self.wires[-1] if self.wires else None
            if wire is not None and not wire.up and not wire.down and self.reader.is_empty and self.client.is_settled:
                return
        raise AssertionError("expected quiet, got a conversation that goes on for ever")

    # --- between the halves ---

    @property
    def now(self) -> Moment:
        return Moment(utc("12:00"), self.steady_s)

    def flush(self) -> None:
        """What the client has decided is on its way."""
        for event in self.client.events_received():
            if isinstance(event, Settled):
                self.settled.append(event)
            elif isinstance(event, Answered):
                self.answers.append(event)
        for wire in self.wires:
            wire.up.extend(wire.connection.frames_to_send())

    def settle(self) -> None:
        self.place.run(self._do(lambda: None))

    def _receive(self, wire: Wire, frame: Frame | Ended) -> None:
        if isinstance(frame, Ended):
            plan = after_close(frame.code, frame.reason, 0, 0.5, Backoff())
            assert not plan.final
            wire.connection.closed(resume=plan.resume)
            self._drop(wire)
        else:
            wire.connection.receive(frame, self.now)
        self.flush()

    def _drop(self, wire: Wire) -> None:
        self.place.run(self._do(wire.lose))
        self.wires.remove(wire)

    async def _publish(self, zone: str, times: int, act: Any = lambda: None) -> None:
        """Appends records, beginning while what `act` causes is under way."""
        act()
        for _ in range(times):
            revision = next(self.place.revisions[zone])
            self.published[zone].append(revision)
            price = a_spot_price(zone=zone, revision=revision, prices_per_mwh=[Decimal(1)])
            await self.place.stand.publish(price)

    async def _wire(self, gateway: Gateway) -> Wire:
        wire = Wire(gateway, self.place.stand.token(), self.client.connect())
        await self.place.settle()
        wire.hear()
        return wire

    async def _do(self, act: Any) -> None:
        """Something happens at a gateway; all that follows from it lies on the wires."""
        act()
        await self.place.settle()
        for wire in self.wires:
            wire.hear()

    def _any(self, at: int) -> Wire | None:
        """The newest wire (0), or an older one, which still holds delayed frames."""
        return self.wires[-1 - at % len(self.wires)] if self.wires else None


def test_nothing_is_lost_repeated_or_out_of_order_and_every_write_is_settled_once(place: TwoGateways) -> None:
    class Here(Game):
        pass

    Here.place = place
    run_state_machine_as_test(Here, settings=settings(max_examples=examples(12), stateful_step_count=25))
