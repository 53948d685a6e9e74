"""A subscription at the gateway: one place knows where it stands, and of what is gone nothing is told."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_protocol.server.subscription import Standing, Subscription, Want
from gridsignal_protocol.server.subscriptions import Subscriptions
from gridsignal_schemas.frames import Error, Filter, Frame, Gap, Subscribe, Subscribed, Unsubscribe, Unsubscribed
from tests.effort import examples

FACTS = ("named", "begun", "gap", "live", "refused", "unsubscribe", "end")


def ask(subscriptions: Subscriptions, number: int = 1, **wanted: object) -> Subscription | Error:
    return subscriptions.ask(Subscribe.model_validate({"id": number, "stream": "prices"} | wanted))


def happen(subscriptions: Subscriptions, subscription: Subscription, fact: str) -> list[Frame]:
    match fact:
        case "named":
            subscriptions.named(subscription, "s1")
        case "begun":
            return [*subscriptions.begun(subscription, "none", None)]
        case "gap":
            return [*subscriptions.gap(subscription, "retention")]
        case "live":
            subscriptions.live(subscription)
        case "refused":
            return [*subscriptions.refused(subscription, "unavailable", "the log is away", retriable=True)]
        case "unsubscribe":
            return [subscriptions.leave(Unsubscribe(id=9, sub="s1"))[1]]
        case "end":
            subscriptions.end()
    return []


@settings(max_examples=examples(200))
@given(st.lists(st.sampled_from(FACTS), max_size=12))
def test_nothing_is_told_of_what_is_gone_and_its_place_is_free(facts: list[str]) -> None:
    subscriptions = Subscriptions(1)
    subscription = ask(subscriptions)
    assert isinstance(subscription, Subscription)
    was_gone = False
    for fact in facts:
        told = happen(subscriptions, subscription, fact)
        if was_gone:
            assert [each.code for each in told if isinstance(each, Error)] == [each.code for each in told]
        was_gone = subscription.is_gone
        assert list(subscriptions) == ([] if was_gone else [subscription])
    again = ask(subscriptions, 2)
    assert isinstance(again, Subscription) == was_gone


def test_it_is_answered_replayed_and_live_until_it_is_left() -> None:
    subscriptions = Subscriptions(2)
    subscription = ask(subscriptions, snapshot=True, cursor="c")
    assert isinstance(subscription, Subscription)
    assert (subscription.standing, subscription.snapshot, subscription.cursor) == (Standing.ASKED, True, "c")
    assert subscriptions.begun(subscription, "full", None) == []  # it has no name yet
    subscriptions.named(subscription, "s1")
    assert subscriptions.begun(subscription, "snapshot", "too_far") == [
        Subscribed(id=1, sub="s1", recovery="snapshot", reason="too_far")
    ]
    assert subscription.standing is Standing.REPLAYING
    assert subscriptions.live(subscription)
    assert subscription.standing is Standing.LIVE
    assert subscriptions.gap(subscription, "retention") == [Gap(sub="s1", reason="retention")]
    assert subscription.standing is Standing.REPLAYING
    assert subscriptions.leave(Unsubscribe(id=2, sub="s1")) == (subscription, Unsubscribed(id=2, sub="s1"))
    assert subscriptions.live(subscription) is False
    left, answer = subscriptions.leave(Unsubscribe(id=3, sub="s1"))
    assert left is None
    assert isinstance(answer, Error)
    assert answer.code == "unknown_subscription"


def test_what_brings_the_same_records_is_the_same() -> None:
    def want(stream: str = "prices", **wanted: list[str]) -> Want:
        return Want.of(stream, Filter.model_validate(wanted), "every")

    assert want(zones=["FR", "DE-LU"]) == want(zones=["DE-LU", "FR"])
    assert want(accounting=["MARGINAL"]) == want()  # prices have none
    assert want("carbon", accounting=["MARGINAL"]) != want("carbon")
    subscriptions = Subscriptions(2)
    assert isinstance(ask(subscriptions, filter={"zones": ["FR", "DE-LU"]}), Subscription)
    for wanted, code in (
        ({"filter": {"zones": ["DE-LU", "FR"]}}, "already_subscribed"),
        ({"mode": "latest"}, None),
        ({}, "too_many_subscriptions"),
    ):
        told = ask(subscriptions, **wanted)
        assert (told.code if isinstance(told, Error) else None) == code
