"""Whatever a client says, and however late the log and the ledger are: each frame is answered once.

A session is told what it asks for at any later time and in any order, as tasks of a gateway come to an end.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_protocol.server.closing import Close
from gridsignal_protocol.server.events import Join, Leave, Look, Publish
from gridsignal_protocol.server.subscription import Subscription
from gridsignal_schemas.codes import CODES
from gridsignal_schemas.frames import Error, Frame, Refused, Signal, States
from tests.builders import a_flex_offer, a_spot_price
from tests.effort import examples
from tests.unit.protocol.server_sessions import a_session, receive, tell

WINDOW, MOST = 2, 2
OFFER = a_flex_offer().model_dump(mode="json")
SAID: dict[str, dict[str, Any]] = {
    "prices": {"t": "subscribe", "stream": "prices"},
    "newest prices": {"t": "subscribe", "stream": "prices", "mode": "latest"},
    "alerts": {"t": "subscribe", "stream": "alerts"},
    "no stream": {"t": "subscribe", "stream": "weather"},
    "leave": {"t": "unsubscribe", "sub": "prices every"},
    "offer": {"t": "offer", "offer_id": OFFER["offer_id"], "body": OFFER},
    "somebody's offer": {"t": "offer", "offer_id": OFFER["offer_id"], "body": OFFER | {"participant": "volt"}},
    "another zone": {"t": "offer", "offer_id": OFFER["offer_id"], "body": OFFER | {"zone": "FR"}},
    "a foreign zone": {"t": "subscribe", "stream": "prices", "filter": {"zones": ["XX"]}},
    "no offer": {"t": "offer", "offer_id": "o-1", "body": {}},
    "query": {"t": "query", "offer_ids": ["o-1"]},
    "token": {"t": "token", "token": "longer"},
    "no token": {"t": "token", "token": "bad"},
    "hello": {"t": "hello", "client": "again"},
    "no frame": {"t": "weather"},
}
FACTS = ("the log answers", "it begins", "it can't", "a record")
acts = st.lists(st.tuples(st.sampled_from((*SAID, *FACTS)), st.integers(0, 9)), max_size=40)


class Game:
    """A session, and what it has asked for and was not told."""

    def __init__(self) -> None:
        self.session = a_session(offer_window=WINDOW, max_subscriptions=MOST, strikes=1000)
        tell(self.session, "hello", client="tests", site="fra-1")
        self.asked: list[Publish | Look] = []
        self.begin: list[Subscription] = []
        self.left: set[int] = set()
        self.answers: list[Frame] = []

    def say(self, number: int, what: dict[str, Any]) -> None:
        for step in receive(self.session, json.dumps(what | {"id": number}).encode()):
            match step:
                case Publish() | Look():
                    self.asked.append(step)
                case Join():
                    want = step.subscription.want
                    self.session.subscriptions.named(step.subscription, f"{want.stream} {want.mode}")
                    self.begin.append(step.subscription)
                case Leave():
                    self.left.add(step.subscription.id)
                case Frame():
                    self.answers.append(step)
                    details = step.details or () if isinstance(step, Error | Refused) else ()
                    assert all(detail.code in CODES for detail in details), (
                        "details have codes of the table, in capitals"
                    )
                case Close():
                    raise AssertionError(f"expected a session that goes on, got {step}")

    def be_told(self, fact: str, pick: int) -> None:
        if fact == "the log answers" and self.asked:
            asked = self.asked.pop(pick % len(self.asked))
            self.session.answer(
                States(id=asked.query.id) if isinstance(asked, Look) else Refused(id=asked.id, code="unavailable")
            )
        elif fact == "a record":
            for subscription in self.session.subscriptions:
                self.session.subscriptions.signal(subscription, a_spot_price(), "c")
        elif fact != "the log answers" and self.begin:
            subscription = self.begin.pop(pick % len(self.begin))
            if fact == "it begins":
                self.session.subscriptions.begun(subscription, "none")
            else:
                self.session.subscriptions.refused(subscription, "unavailable", "the log is away", retriable=True)
        self.answers += self.session.frames_to_send()


@settings(max_examples=examples(200))
@given(acts)
def test_each_frame_is_answered_once_and_no_bound_is_passed(acts: list[tuple[str, int]]) -> None:
    game = Game()
    for number, (act, pick) in enumerate(acts, start=2):
        if act in SAID:
            game.say(number, SAID[act])
        else:
            game.be_told(act, pick)
        assert len(game.asked) == game.session.unanswered <= WINDOW
        assert len(list(game.session.subscriptions)) <= MOST
    while game.asked or game.begin:
        game.be_told("the log answers" if game.asked else "it begins", 0)
    told = Counter(getattr(frame, "id", None) for frame in game.answers if not isinstance(frame, Signal))
    expected = {number for number, (act, _) in enumerate(acts, start=2) if act in SAID}
    unanswered = expected - told.keys()
    assert unanswered <= game.left, "only a subscription that was left before it began has no answer of its own"
    assert told == Counter(expected - unanswered)


def test_what_is_no_frame_is_answered_without_a_number() -> None:
    (error,) = receive(a_session(), b"{")
    assert isinstance(error, Error)
    assert (error.id, error.code) == (None, "bad_frame")
