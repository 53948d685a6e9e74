"""The SDK's half and the gateway's half of a conversation, in memory, with frames delayed, repeated and lost.

The law: whatever happens to the connection, every record published is handed on once and in order, and every offer
entrusted exists once on the log and is answered once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal.effects import Effect, Hand, Send
from gridsignal.feed import Feed, Gap
from gridsignal.session import Session
from gridsignal.testing import FakeSite
from gridsignal.testing.allowance import Allowance
from gridsignal.testing.talk import Talk
from gridsignal.testing.world import World
from gridsignal.window import Entry, Settled
from gridsignal_schemas import frames
from gridsignal_schemas.frames import Filter, Frame, Receipt
from gridsignal_schemas.messages import FlexOffer, SpotPrice
from tests.builders import a_flex_offer, a_spot_price, utc
from tests.effort import examples

NOW = utc("12:00")


@dataclass
class Wire:
    """One connection: frames under way in both directions, and what has arrived already."""

    number: int
    talk: Talk
    up: deque[Frame] = field(default_factory=deque)
    down: deque[Frame] = field(default_factory=deque)
    arrived: list[Frame] = field(default_factory=list)


class Conversation:
    """Both halves and everything between them."""

    def __init__(self, window: int) -> None:
        self.world = World(lambda: NOW, "acme-ai", {"fra-1": FakeSite()})
        self.session = Session("tests/1", site="fra-1")
        self.window = window
        self.wires: list[Wire] = []
        self.current: Wire | None = None
        self.handed: list[int] = []
        self.gaps: list[Gap] = []
        self.settled: list[Settled] = []
        self.entrusted = 0
        self.feed = Feed("prices", Filter(), cursor=self.world.cursor(0))
        self.perform(self.session.subscribe(self.feed))

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(frame) if self.current is not None:
                    self.current.up.append(frame)
                case Hand(_, handed) if isinstance(handed.message, SpotPrice):
                    self.handed.append(handed.message.revision)
                case Hand(_, handed) if isinstance(handed.message, Gap):
                    self.gaps.append(handed.message)
                case Settled():
                    self.settled.append(effect)

    # --- what can happen ---

    def publish(self, _: int) -> None:
        price = a_spot_price(revision=len(self.world.published) + 1, prices_per_mwh=[Decimal(1)])
        self.world.published.append(price)
        for wire in self.wires:  # the gateway does not know yet which connections are dead
            wire.down.extend(wire.talk.deliver(len(self.world.published), price))

    def entrust(self, _: int) -> None:
        self.entrusted += 1
        body = a_flex_offer().model_dump(mode="json") | {"offer_id": f"offer-{self.entrusted}"}
        entry = Entry(self.entrusted, "offer", f"offer-{self.entrusted}", f"offer-{self.entrusted}", body)
        self.perform(self.session.entrust(entry, NOW))

    def connect(self, _: int) -> None:
        """A connection is welcomed; while another one counts this is a drain."""
        wire = Wire(
            len(self.wires) + 1, Talk(self.world, lambda: NOW, Allowance(1000.0, 5000), offer_window=self.window)
        )
        (welcome,) = wire.talk.receive(self.session.hello())
        assert isinstance(welcome, frames.Welcome)
        self.wires.append(wire)
        self.current = wire
        self.perform(self.session.begin(wire.number, welcome, NOW))

    def cut(self, _: int) -> None:
        if self.current is not None:
            self.session.lost(self.current.number)
            self.current = None

    def move_up(self, pick: int) -> None:
        """A frame reaches the gateway, perhaps on a connection the client has given up."""
        wire = self._any(pick)
        if wire is not None and wire.up:
            wire.down.extend(wire.talk.receive(wire.up.popleft()))

    def move_down(self, pick: int) -> None:
        wire = self._any(pick)
        if wire is not None and wire.down:
            frame = wire.down.popleft()
            wire.arrived.append(frame)
            self.perform(self.session.receive(wire.number, frame, NOW))

    def move_all(self, _: int) -> None:
        while self.current is not None and (self.current.up or self.current.down):
            self.move_up(0)
            self.move_down(0)

    def repeat(self, pick: int) -> None:
        """A frame arrives once more."""
        wire = self._any(pick)
        if wire is not None and wire.arrived:
            self.perform(self.session.receive(wire.number, wire.arrived[pick % len(wire.arrived)], NOW))

    def lose(self, pick: int) -> None:
        """The rest of what is under way on a dead connection never arrives."""
        wire = self._any(pick)
        if wire is not None and wire is not self.current:
            wire.up.clear()
            wire.down.clear()

    def park(self, _: int) -> None:
        self.perform(self.session.park(self.feed))

    def unpark(self, _: int) -> None:
        self.perform(self.session.unpark(self.feed))

    def _any(self, pick: int) -> Wire | None:
        """The current wire (pick 0), or any: those before it still hold delayed frames."""
        if not self.wires:
            return None
        return self.wires[-1 - pick % len(self.wires)]


STEPS = ("publish", "entrust", "connect", "cut", "move_up", "move_down", "move_all", "repeat", "lose", "park", "unpark")
steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5)), min_size=20, max_size=120)


@settings(max_examples=examples(400))
@given(steps=steps, window=st.integers(1, 3))
def test_nothing_is_lost_and_nothing_repeated(steps: list[tuple[str, int]], window: int) -> None:
    talk = Conversation(window)
    for step, pick in steps:
        getattr(talk, step)(pick)
    talk.connect(0)
    talk.unpark(0)
    talk.move_all(0)
    assert talk.handed == list(range(1, len(talk.world.published) + 1))
    assert talk.gaps == []
    offers = [record.offer_id for record in talk.world.written if isinstance(record, FlexOffer)]
    assert sorted(offers) == sorted(f"offer-{number}" for number in range(1, talk.entrusted + 1))
    assert sorted(settled.entry.seq for settled in talk.settled) == list(range(1, talk.entrusted + 1))
    assert all(isinstance(settled.outcome, Receipt) for settled in talk.settled)
    assert talk.session.window.empty
