"""A data center's conversation with the gateway, over all its connections."""

from __future__ import annotations

import pytest

from gridsignal.effects import Acknowledge, Answered, Effect, Hand, Move, RefreshToken, RetryFeed, Send, Stop
from gridsignal.errors import SubscriptionRefused, UsageError
from gridsignal.feed import Feed
from gridsignal.session import Session
from gridsignal_schemas import frames
from gridsignal_schemas.frames import Filter, Frame
from gridsignal_schemas.messages import DispatchOrder
from tests.builders import a_dispatch_order, a_spot_price, utc

NOW = utc("12:00")
WELCOME = frames.Welcome(
    id=1, session="s", time=NOW, ping_s=8, max_subscriptions=256, offer_window=64, token_expires_at=utc("13:00")
)


def sent(effects: list[Effect]) -> list[Frame]:
    return [effect.frame for effect in effects if isinstance(effect, Send)]


def a_session(*feeds: Feed, site: str | None = "fra-1") -> Session:
    """Connected as number 1, with these feeds on."""
    session = Session("tests/1", site=site)
    session.begin(1, WELCOME, NOW)
    for number, feed in enumerate(feeds):
        (asked,) = sent(session.subscribe(feed))
        assert isinstance(asked, frames.Subscribe)
        session.receive(1, frames.Subscribed(id=asked.id, sub=f"s{number}", recovery="full"), NOW)
    return session


def signal(cursor: str, sub: str = "s0") -> frames.Signal:
    return frames.Signal(sub=sub, cursor=cursor, type="SpotPrice", body=a_spot_price().model_dump(mode="json"))


def an_order(cursor: str, **changes: object) -> frames.Signal:
    order = a_dispatch_order(**changes)
    return frames.Signal(sub="s0", cursor=cursor, type="DispatchOrder", body=order.model_dump(mode="json"))


def acknowledged(effects: list[Effect]) -> list[DispatchOrder]:
    return [effect.order for effect in effects if isinstance(effect, Acknowledge)]


def test_a_message_of_an_ended_connection_is_never_delivered() -> None:
    session = a_session(Feed("prices", Filter(), cursor="c0"))
    session.begin(2, WELCOME, NOW)
    assert session.receive(1, signal("c1"), NOW) == []
    assert session.feeds[0].position == "c0"


def test_a_new_connection_resumes_from_the_last_message() -> None:
    session = a_session(Feed("prices", Filter(), cursor="c0"))
    session.receive(1, signal("c1"), NOW)
    session.lost(1)
    (asked,) = sent(session.begin(2, WELCOME, NOW))
    assert isinstance(asked, frames.Subscribe)
    assert asked.cursor == "c1"


def test_the_end_of_an_old_connection_does_not_end_the_new_one() -> None:
    session = a_session(Feed("prices", Filter(), cursor="c0"))
    session.begin(2, WELCOME, NOW)
    session.lost(1)
    assert session.connected


def test_nothing_is_delivered_after_an_unsubscribe() -> None:
    session = a_session(Feed("prices", Filter(), cursor="c0"))
    (left,) = sent(session.unsubscribe(session.feeds[0]))
    assert left == frames.Unsubscribe(id=left.id, sub="s0")  # type: ignore[attr-defined]  # every request has one
    assert session.receive(1, signal("c1"), NOW) == []


def test_a_full_queue_leaves_the_rest_to_the_log_and_resumes_where_it_stopped() -> None:
    feed = Feed("prices", Filter(), cursor="c0")
    session = a_session(feed)
    session.receive(1, signal("c1"), NOW)
    (left,) = sent(session.park(feed))
    assert isinstance(left, frames.Unsubscribe)
    assert session.receive(1, signal("c2"), NOW) == []
    assert session.unpark(feed) == []  # the gateway has not let go yet
    (asked,) = sent(session.receive(1, frames.Unsubscribed(id=left.id, sub="s0"), NOW))
    assert isinstance(asked, frames.Subscribe)
    assert asked.cursor == "c1"


def test_a_parked_feed_stays_away_over_a_reconnect() -> None:
    feed = Feed("prices", Filter(), cursor="c0")
    session = a_session(feed)
    session.park(feed)
    assert sent(session.begin(2, WELCOME, NOW)) == []
    (asked,) = sent(session.unpark(feed))
    assert isinstance(asked, frames.Subscribe)


def test_each_revision_of_an_order_is_acknowledged_once() -> None:
    session = a_session(Feed("dispatch", Filter(), cursor="c0"))
    assert len(acknowledged(session.receive(1, an_order("c1"), NOW))) == 1
    assert acknowledged(session.receive(1, an_order("c2"), NOW)) == []
    assert len(acknowledged(session.receive(1, an_order("c3", revision=2), NOW))) == 1


def test_orders_that_are_over_or_anothers_are_not_acknowledged() -> None:
    session = a_session(Feed("dispatch", Filter(), cursor="c0"))
    assert acknowledged(session.receive(1, an_order("c1", state="CANCELLED"), NOW)) == []
    assert acknowledged(session.receive(1, an_order("c2", site="fra-2"), NOW)) == []
    reader = a_session(Feed("dispatch", Filter(), cursor="c0"), site=None)
    assert acknowledged(reader.receive(1, an_order("c1"), NOW)) == []


def test_the_same_subscription_twice_is_the_callers_mistake() -> None:
    session = a_session(Feed("prices", Filter()))
    with pytest.raises(UsageError, match="one subscription"):
        session.subscribe(Feed("prices", Filter()))


def test_a_subscription_again_while_the_first_is_being_left_waits_for_that() -> None:
    session = a_session(Feed("prices", Filter(), cursor="c0"))
    (left,) = sent(session.unsubscribe(session.feeds[0]))
    assert session.subscribe(Feed("prices", Filter())) == []
    assert isinstance(left, frames.Unsubscribe)
    (asked,) = sent(session.receive(1, frames.Unsubscribed(id=left.id, sub="s0"), NOW))
    assert isinstance(asked, frames.Subscribe)


def test_a_refused_subscription_ends_its_iterator_or_is_tried_again() -> None:
    session = a_session()
    (asked,) = sent(session.subscribe(Feed("weather", Filter())))
    assert isinstance(asked, frames.Subscribe)
    error = frames.Error(id=asked.id, code="unknown_stream", message="no such stream")
    (stopped,) = session.receive(1, error, NOW)
    assert isinstance(stopped, Stop)
    assert isinstance(stopped.error, SubscriptionRefused)
    (asked,) = sent(session.subscribe(Feed("prices", Filter())))
    assert isinstance(asked, frames.Subscribe)
    error = frames.Error(id=asked.id, code="rate", message="slower", retriable=True)
    (retried,) = session.receive(1, error, NOW)
    assert isinstance(retried, RetryFeed)
    assert len(sent(session.subscribe_again(retried.feed))) == 1


def test_a_query_without_an_answer_is_asked_again() -> None:
    session = a_session()
    number, _ = session.query(["a"], [], [])
    session.lost(1)
    (asked,) = sent(session.begin(2, WELCOME, NOW))
    assert asked == frames.Query(id=number, offer_ids=["a"])
    assert session.receive(2, frames.States(id=number, offers={"a": None}), NOW) == [
        Answered(number, frames.States(id=number, offers={"a": None}))
    ]


def test_what_the_gateway_asks_for_is_passed_on() -> None:
    session = a_session()
    assert session.receive(1, frames.TokenExpiring(expires_at=NOW), NOW) == [RefreshToken()]
    assert session.receive(1, frames.Drain(reconnect_after_ms=1500), NOW) == [Move(1.5)]
    assert session.receive(1, frames.Lag(sub="s0", behind=3), NOW) == []


def test_a_gap_the_gateway_tells_reaches_the_user() -> None:
    session = a_session(Feed("prices", Filter(), cursor="c0"))
    (handed,) = session.receive(1, frames.Gap(sub="s0", reason="retention"), NOW)
    assert isinstance(handed, Hand)
