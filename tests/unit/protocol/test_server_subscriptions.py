"""A subscription at the gateway: one place knows where it stands, and of what is gone nothing is told."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_protocol.server.subscription import Standing, Subscription, Want
from gridsignal_protocol.server.subscriptions import Subscriptions
from gridsignal_schemas.frames import (
    Error,
    Filter,
    Frame,
    Gap,
    PositionFrame,
    Signal,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from tests.builders import a_spot_price
from tests.effort import examples

FACTS = ("named", "begun", "gap", "live", "signal", "position", "refused", "unsubscribe", "end")


class Told:
    """Subscriptions, and what was said since it was last asked."""

    def __init__(self, most: int) -> None:
        self._out: list[Frame] = []
        self.all = Subscriptions(most, self._out)

    def ask(self, number: int = 1, **wanted: object) -> Subscription | None:
        return self.all.ask(Subscribe.model_validate({"id": number, "stream": "prices"} | wanted))

    def said(self) -> list[Frame]:
        said = self._out.copy()
        self._out.clear()
        return said

    def happen(self, subscription: Subscription, fact: str) -> list[Frame]:
        match fact:
            case "named":
                self.all.named(subscription, "s1")
            case "begun":
                self.all.begun(subscription, "none")
            case "gap":
                self.all.gap(subscription, "retention")
            case "live":
                self.all.live(subscription)
            case "signal":
                self.all.signal(subscription, a_spot_price(), "c")
            case "position":
                self.all.position(subscription, "c")
            case "refused":
                self.all.refused(subscription, "unavailable", "the log is away", retriable=True)
            case "unsubscribe":
                self.all.leave(Unsubscribe(id=9, sub="s1"))
            case "end":
                self.all.end()
        return self.said()


@settings(max_examples=examples(200))
@given(st.lists(st.sampled_from(FACTS), max_size=12))
def test_nothing_is_told_of_what_is_gone_and_its_place_is_free(facts: list[str]) -> None:
    told = Told(1)
    subscription = told.ask()
    assert subscription is not None
    was_gone = False
    for fact in facts:
        said = told.happen(subscription, fact)
        if was_gone:
            assert [each.code for each in said if isinstance(each, Error)] == ["unknown_subscription"] * len(said)
        was_gone = subscription.is_gone
        assert list(told.all) == ([] if was_gone else [subscription])
    assert (told.ask(2) is not None) == was_gone


def test_it_is_answered_replayed_and_live_until_it_is_left() -> None:
    told = Told(2)
    subscription = told.ask(snapshot=True, cursor="c")
    assert subscription is not None
    assert (subscription.standing, subscription.snapshot, subscription.cursor) == (Standing.ASKED, True, "c")
    assert told.happen(subscription, "begun") == []  # it has no name yet
    told.happen(subscription, "named")
    told.all.begun(subscription, "snapshot", "too_far")
    assert told.said() == [Subscribed(id=1, sub="s1", recovery="snapshot", reason="too_far")]
    assert subscription.standing is Standing.REPLAYING
    (signal,) = told.happen(subscription, "signal")
    assert isinstance(signal, Signal)
    assert (signal.sub, signal.cursor, signal.type) == ("s1", "c", "SpotPrice")
    assert subscription.standing is Standing.REPLAYING
    assert told.happen(subscription, "position") == [PositionFrame(sub="s1", cursor="c")]
    assert subscription.standing is Standing.LIVE
    assert told.happen(subscription, "gap") == [Gap(sub="s1", reason="retention")]
    assert subscription.standing is Standing.REPLAYING
    assert told.all.live(subscription)
    assert subscription.standing is Standing.LIVE
    assert told.happen(subscription, "unsubscribe") == [Unsubscribed(id=9, sub="s1")]
    assert told.all.live(subscription) is False


def test_what_brings_the_same_records_is_the_same() -> None:
    def want(stream: str = "prices", **wanted: list[str]) -> Want:
        return Want.of(stream, Filter.model_validate(wanted), "every")

    assert want(zones=["FR", "DE-LU"]) == want(zones=["DE-LU", "FR"])
    assert want(accounting=["MARGINAL"]) == want()  # prices have none
    assert want("carbon", accounting=["MARGINAL"]) != want("carbon")
    told = Told(2)
    assert told.ask(filter={"zones": ["FR", "DE-LU"]}) is not None
    for wanted, code in (
        ({"filter": {"zones": ["DE-LU", "FR"]}}, "already_subscribed"),
        ({"mode": "latest"}, ""),
        ({}, "too_many_subscriptions"),
    ):
        told.ask(2, **wanted)
        assert "".join(each.code for each in told.said() if isinstance(each, Error)) == code
