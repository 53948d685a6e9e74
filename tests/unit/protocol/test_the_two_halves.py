"""The client's half and the gateway's half of a conversation, in memory, with frames delayed, repeated and lost.

The law: whatever happens to the connection, every record published is handed on once and in order, and every offer
entrusted exists once on the log and is answered once, as is every question.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal.testing import FakeSite
from gridsignal.testing.allowance import Allowance
from gridsignal.testing.talk import Talk
from gridsignal.testing.world import Refusal, World
from gridsignal_protocol.client.conversation import Connection, Moment
from gridsignal_protocol.client.conversation import Conversation as ClientHalf
from gridsignal_protocol.client.entry import Entry, Settled
from gridsignal_protocol.client.events import Answered
from gridsignal_protocol.client.messages import Gap
from gridsignal_protocol.client.subscription import Subscription
from gridsignal_protocol.server.limits import Limits
from gridsignal_schemas.frames import Filter, Frame, Receipt
from gridsignal_schemas.messages import FlexOffer, SpotPrice
from tests.builders import a_flex_offer, a_spot_price, utc
from tests.effort import examples

NOW = utc("12:00")


@dataclass
class Wire:
    """One connection: frames under way in both directions, and what has arrived already."""

    connection: Connection
    talk: Talk
    up: deque[Frame] = field(default_factory=deque)
    down: deque[Frame] = field(default_factory=deque)
    arrived: list[Frame] = field(default_factory=list)


class Conversation:
    """Both halves and everything between them."""

    def __init__(self, window: int) -> None:
        self.world = World(lambda: NOW, "acme-ai", {"fra-1": FakeSite()})
        self.client = ClientHalf("tests/1", site="fra-1")
        self.window = window
        self.wires: list[Wire] = []
        self.handed: list[int] = []
        self.gaps: list[Gap] = []
        self.settled: list[Settled] = []
        self.entrusted = 0
        self.asked: list[int] = []
        self.answered: list[int] = []
        self.steady_s = 0.0
        subscription = Subscription("prices", Filter(), cursor=self.world.cursor(0))
        self.reader = self.client.subscribe([subscription], limit=2)

    def flush(self) -> None:
        for event in self.client.events_received():
            if isinstance(event, Settled):
                self.settled.append(event)
            elif isinstance(event, Answered):
                self.answered.append(event.number)
        for wire in self.wires:
            wire.up.extend(wire.connection.frames_to_send())

    @property
    def now(self) -> Moment:
        return Moment(NOW, self.steady_s)

    @property
    def current(self) -> Wire | None:
        return next((wire for wire in self.wires if wire.connection is self.client.current), None)

    # --- what can happen ---

    def publish(self, _: int) -> None:
        price = a_spot_price(revision=len(self.world.published) + 1, prices_per_mwh=[Decimal(1)])
        self.world.published.append(price)
        for wire in self.wires:  # the gateway does not know yet which connections are dead
            wire.talk.deliver(len(self.world.published), price)
            wire.down.extend(wire.talk.frames_to_send())

    def entrust(self, _: int) -> None:
        self.entrusted += 1
        body = a_flex_offer().model_dump(mode="json") | {"offer_id": f"offer-{self.entrusted}"}
        entry = Entry(self.entrusted, "offer", f"offer-{self.entrusted}", f"offer-{self.entrusted}", body)
        self.client.entrust(entry, self.now)
        self.flush()

    def refuse(self, _: int) -> None:
        """The log takes the next write at another time."""
        self.world.refusals.append(Refusal("unavailable", retriable=True))

    def ask(self, _: int) -> None:
        """The program asks what has become of its offers."""
        self.asked.append(self.client.query([f"offer-{number + 1}" for number in range(self.entrusted)], [], []))
        self.flush()

    def pass_time(self, _: int) -> None:
        self.steady_s += 60.0
        self.client.tick(self.now)
        self.flush()

    def connect(self, _: int) -> None:
        """A connection is welcomed; while another one counts this is a drain."""
        talk = Talk(self.world, lambda: NOW, Allowance(1000.0, 5000), Limits(offer_window=self.window), 0.0)
        wire = Wire(self.client.connect(), talk)
        (hello,) = wire.connection.frames_to_send()
        talk.receive(hello.encode(), 0.0)
        (welcome,) = talk.frames_to_send()
        self.wires.append(wire)
        wire.connection.receive(welcome, self.now)
        self.flush()

    def cut(self, _: int) -> None:
        if self.client.current is not None:
            self.client.current.closed(resume=True)

    def move_up(self, pick: int) -> None:
        """A frame reaches the gateway, perhaps on a connection the client has given up."""
        wire = self._any(pick)
        if wire is not None and wire.up:
            wire.talk.receive(wire.up.popleft().encode(), 0.0)
            wire.down.extend(wire.talk.frames_to_send())

    def move_down(self, pick: int) -> None:
        wire = self._any(pick)
        if wire is not None and wire.down:
            frame = wire.down.popleft()
            wire.arrived.append(frame)
            wire.connection.receive(frame, self.now)
            self.flush()

    def move_all(self, _: int) -> None:
        while self.current is not None and (self.current.up or self.current.down):
            self.move_up(0)
            self.move_down(0)

    def repeat(self, pick: int) -> None:
        """A frame arrives once more."""
        wire = self._any(pick)
        if wire is not None and wire.arrived:
            wire.connection.receive(wire.arrived[pick % len(wire.arrived)], self.now)
            self.flush()

    def lose(self, pick: int) -> None:
        """The rest of what is under way on a dead connection never arrives."""
        wire = self._any(pick)
        if wire is not None and wire is not self.current:
            wire.up.clear()
            wire.down.clear()

    def take(self, _: int) -> None:
        """The program takes what waits for it; until then its reader may be full, and is parked."""
        while (message := self.client.take(self.reader)) is not None:
            if isinstance(message, SpotPrice):
                self.handed.append(message.revision)
            else:
                self.gaps.append(message)
        self.flush()

    def _any(self, pick: int) -> Wire | None:
        """The current wire (pick 0), or any: those before it still hold delayed frames."""
        if not self.wires:
            return None
        return self.wires[-1 - pick % len(self.wires)]


MOVES = ("move_up", "move_down", "move_all", "repeat", "lose")
STEPS = ("publish", "entrust", "refuse", "ask", "pass_time", "connect", "cut", "take", *MOVES)
steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5)), min_size=20, max_size=120)


@settings(max_examples=examples(400))
@given(steps=steps, window=st.integers(1, 3))
def test_nothing_is_lost_and_nothing_repeated(steps: list[tuple[str, int]], window: int) -> None:
    talk = Conversation(window)
    for step, pick in steps:
        getattr(talk, step)(pick)
    talk.connect(0)
    for _ in range(len(talk.world.published) + len(talk.world.refusals) + 2):
        talk.take(0)
        talk.move_all(0)
        talk.pass_time(0)
    talk.take(0)
    assert talk.handed == list(range(1, len(talk.world.published) + 1))
    assert talk.gaps == []
    offers = [record.offer_id for record in talk.world.written if isinstance(record, FlexOffer)]
    assert sorted(offers) == sorted(f"offer-{number}" for number in range(1, talk.entrusted + 1))
    assert sorted(settled.entry.seq for settled in talk.settled) == list(range(1, talk.entrusted + 1))
    assert all(isinstance(settled.outcome, Receipt) for settled in talk.settled)
    assert sorted(talk.answered) == talk.asked
    assert talk.client.is_settled
