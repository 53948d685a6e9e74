"""A data center's conversation with the gateway, over all its connections."""

from __future__ import annotations

import pytest

from gridsignal_protocol.client.conversation import Connection, Conversation, Moment
from gridsignal_protocol.client.entry import Refusal
from gridsignal_protocol.client.events import Acknowledge, Answered, Filled, Move, RefreshToken
from gridsignal_protocol.client.messages import Gap
from gridsignal_protocol.client.reader import Reader
from gridsignal_protocol.client.subscription import Subscription
from gridsignal_protocol.client.subscriptions import AlreadySubscribed
from gridsignal_schemas import frames
from gridsignal_schemas.frames import Filter, Frame
from gridsignal_schemas.messages import DispatchOrder, GridAlert, SpotPrice
from tests.builders import a_dispatch_order, a_grid_alert, a_spot_price, utc

NOW = Moment(utc("12:00"), 100.0)
WELCOME = frames.Welcome(
    id=1,
    session="s",
    time=NOW.grid,
    ping_s=8,
    max_subscriptions=256,
    offer_window=64,
    token_expires_at=utc("13:00"),
    zone="DE-LU",
)


class Client:
    """A conversation on one connection, which a test can replace."""

    def __init__(self, *subscriptions: Subscription, site: str | None = "fra-1", limit: int = 1000) -> None:
        self.conversation = Conversation("tests/1", site=site)
        self.limit = limit
        self.readers: list[Reader] = []
        self.welcome()
        for number, subscription in enumerate(subscriptions):
            asked = self.subscribe(subscription)
            self.receive(frames.Subscribed(id=asked.id, sub=f"s{number}", recovery="full"))

    def welcome(self) -> list[Frame]:
        """Another connection counts from now on; what is sent on it after the hello."""
        self.connection = self.conversation.connect()
        assert isinstance(self.connection.frames_to_send()[0], frames.Hello)
        self.connection.receive(WELCOME, NOW)
        return self.sent()

    def lose(self, *, resume: bool = True) -> None:
        self.connection.closed(resume=resume)

    def subscribe(self, subscription: Subscription) -> frames.Subscribe | None:
        self.readers.append(self.conversation.subscribe([subscription], limit=self.limit))
        return next(iter(self.sent()), None)

    def sent(self, connection: Connection | None = None) -> list[Frame]:
        return (connection or self.connection).frames_to_send()

    def receive(self, frame: Frame, *, on: Connection | None = None, now: Moment = NOW) -> list[object]:
        """The events that follow from a frame."""
        (on or self.connection).receive(frame, now)
        return self.conversation.events_received()

    def taken(self, at: int = 0) -> list[object]:
        """What a reader's program takes."""
        return list(iter(lambda: self.conversation.take(self.readers[at]), None))


def prices(cursor: str | None = "c0", stream: str = "prices") -> Subscription:
    return Subscription(stream, Filter(), cursor=cursor)


def signal(cursor: str, sub: str = "s0") -> frames.Signal:
    return frames.Signal(sub=sub, cursor=cursor, type="SpotPrice", body=a_spot_price().model_dump(mode="json"))


def an_order(cursor: str, **changes: object) -> frames.Signal:
    order = a_dispatch_order(**changes)
    return frames.Signal(sub="s0", cursor=cursor, type="DispatchOrder", body=order.model_dump(mode="json"))


def an_alert(cursor: str, **changes: object) -> frames.Signal:
    alert = a_grid_alert(**changes)
    return frames.Signal(sub="s0", cursor=cursor, type="GridAlert", body=alert.model_dump(mode="json"))


def acknowledged(events: list[object]) -> list[DispatchOrder | GridAlert]:
    return [event.record for event in events if isinstance(event, Acknowledge)]


def test_a_message_of_an_ended_connection_is_never_delivered() -> None:
    client = Client(prices())
    before = client.connection
    (asked,) = client.welcome()
    assert client.receive(signal("c1"), on=before) == []
    assert client.taken() == []
    assert asked.cursor == "c0"


def test_nothing_counts_before_the_welcome() -> None:
    client = Client(prices())
    early = client.conversation.connect()
    early.receive(signal("c1"), NOW)
    assert client.taken() == []
    assert client.conversation.current is client.connection


def test_a_new_connection_resumes_from_the_last_message() -> None:
    client = Client(prices())
    client.receive(signal("c1"))
    client.lose()
    (asked,) = client.welcome()
    assert isinstance(asked, frames.Subscribe)
    assert asked.cursor == "c1"


def test_the_end_of_an_old_connection_does_not_end_the_new_one() -> None:
    client = Client(prices())
    before = client.connection
    client.welcome()
    before.closed(resume=True)
    assert client.conversation.current is client.connection


def test_nothing_is_delivered_after_an_unsubscribe() -> None:
    client = Client(prices())
    client.conversation.leave(client.readers[0])
    (left,) = client.sent()
    assert left == frames.Unsubscribe(id=left.id, sub="s0")
    assert client.receive(signal("c1")) == []


def test_a_full_queue_leaves_the_rest_to_the_log_and_resumes_where_it_stopped() -> None:
    client = Client(prices(), limit=1)
    client.receive(signal("c1"))
    (left,) = client.sent()
    assert isinstance(left, frames.Unsubscribe)
    assert client.receive(signal("c2")) == []
    assert len(client.taken()) == 1
    assert client.sent() == []  # the gateway has not let go yet
    client.receive(frames.Unsubscribed(id=left.id, sub="s0"))
    (asked,) = client.sent()
    assert isinstance(asked, frames.Subscribe)
    assert asked.cursor == "c1"


def test_a_parked_subscription_stays_away_over_a_reconnect() -> None:
    client = Client(prices(), limit=1)
    client.receive(signal("c1"))
    assert client.welcome() == []
    client.taken()
    (asked,) = client.sent()
    assert isinstance(asked, frames.Subscribe)


def test_an_unsubscribe_that_came_too_fast_is_sent_again_before_the_same_is_asked_for() -> None:
    client = Client(prices(), limit=1)
    client.receive(signal("c1"))
    (left,) = client.sent()
    client.receive(frames.Error(id=left.id, code="rate", message="slower", retriable=True))
    client.taken()
    assert client.sent() == []  # the gateway still has it
    assert client.conversation.next_due_s == NOW.steady_s + 1
    client.conversation.tick(Moment(NOW.grid, NOW.steady_s + 1))
    (again,) = client.sent()
    assert again == frames.Unsubscribe(id=again.id, sub="s0")
    client.receive(frames.Unsubscribed(id=again.id, sub="s0"))
    (asked,) = client.sent()
    assert isinstance(asked, frames.Subscribe)
    assert asked.cursor == "c1"


def test_each_revision_of_an_order_is_acknowledged_once() -> None:
    client = Client(prices(stream="dispatch"))
    assert len(acknowledged(client.receive(an_order("c1")))) == 1
    assert acknowledged(client.receive(an_order("c2"))) == []
    assert len(acknowledged(client.receive(an_order("c3", revision=2)))) == 1


def test_orders_that_are_over_or_anothers_are_not_acknowledged() -> None:
    client = Client(prices(stream="dispatch"))
    assert acknowledged(client.receive(an_order("c1", state="CANCELLED"))) == []
    assert acknowledged(client.receive(an_order("c2", site="fra-2"))) == []
    reader = Client(prices(stream="dispatch"), site=None)
    assert acknowledged(reader.receive(an_order("c1"))) == []


def test_each_revision_of_an_alert_in_the_sites_zone_is_acknowledged_once() -> None:
    client = Client(prices(stream="alerts"))
    (first,) = acknowledged(client.receive(an_alert("c1")))
    assert first == a_grid_alert()
    assert acknowledged(client.receive(an_alert("c2"))) == []
    assert len(acknowledged(client.receive(an_alert("c3", revision=2)))) == 1
    assert len(acknowledged(client.receive(an_alert("c4", provider="another")))) == 1
    assert acknowledged(client.receive(an_alert("c5", alert_id="elsewhere", zone="FR"))) == []


def test_the_same_subscription_twice_is_the_callers_mistake() -> None:
    client = Client(prices())
    with pytest.raises(AlreadySubscribed, match="one subscription"):
        client.subscribe(prices(None))


def test_a_subscription_again_while_the_first_is_being_left_waits_for_that() -> None:
    client = Client(prices())
    client.conversation.leave(client.readers[0])
    (left,) = client.sent()
    assert client.subscribe(prices(None)) is None
    client.receive(frames.Unsubscribed(id=left.id, sub="s0"))
    (asked,) = client.sent()
    assert isinstance(asked, frames.Subscribe)


def test_a_refused_subscription_ends_its_reader_or_is_tried_again() -> None:
    client = Client()
    asked = client.subscribe(prices(None, "weather"))
    error = frames.Error(id=asked.id, code="unknown_stream", message="no such stream")
    assert client.receive(error) == [Filled(client.readers[0])]
    what = "the subscription to 'weather' (no such stream)"
    assert client.readers[0].refusal == Refusal("unknown_stream", (), what, is_subscription=True)
    asked = client.subscribe(prices(None))
    error = frames.Error(id=asked.id, code="rate", message="slower", retriable=True)
    assert client.receive(error) == []
    assert client.conversation.next_due_s == NOW.steady_s + 1
    client.conversation.tick(Moment(NOW.grid, NOW.steady_s + 1))
    (again,) = client.sent()
    assert isinstance(again, frames.Subscribe)


def test_a_refused_subscription_leaves_the_others_of_its_reader() -> None:
    client = Client()
    client.readers.append(client.conversation.subscribe([prices(), prices(stream="weather")], limit=10))
    served, unknown = client.sent()
    client.receive(frames.Subscribed(id=served.id, sub="s0", recovery="full"))
    client.receive(frames.Error(id=unknown.id, code="unknown_stream", message="no such stream"))
    (left,) = client.sent()
    assert left == frames.Unsubscribe(id=left.id, sub="s0")


def test_a_query_without_an_answer_is_asked_again() -> None:
    client = Client()
    number = client.conversation.query(["a"], [], [])
    client.lose()
    (asked,) = client.welcome()
    assert asked == frames.Query(id=number, offer_ids=["a"])
    states = frames.States(id=number, offers={"a": None})
    assert client.receive(states) == [Answered(number, states)]


def test_what_the_gateway_asks_for_is_passed_on() -> None:
    client = Client()
    assert client.receive(frames.TokenExpiring(expires_at=NOW.grid)) == [RefreshToken()]
    assert client.receive(frames.Drain(reconnect_after_ms=1500)) == [Move(1.5)]
    assert client.receive(frames.Lag(sub="s0", behind=3)) == []


def test_a_gap_the_gateway_tells_reaches_the_program() -> None:
    client = Client(prices())
    assert client.receive(frames.Gap(sub="s0", reason="retention")) == [Filled(client.readers[0])]
    assert client.taken() == [Gap("prices", "retention")]


def test_silence_moves_the_position_of_the_message_before_it() -> None:
    client = Client(prices())
    client.receive(signal("c1"))
    client.receive(frames.PositionFrame(sub="s0", cursor="c2"))
    assert client.readers[0].cursor == {"prices": "c0"}
    (price,) = client.taken()
    assert isinstance(price, SpotPrice)
    assert client.readers[0].cursor == {"prices": "c2"}
