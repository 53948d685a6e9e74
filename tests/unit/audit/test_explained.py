"""Why an offer won or lost is told from the log, the operator's counterfactual is what deciding again would give."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_schemas.values import MW
from gridsignal_services.audit.checking import check
from gridsignal_services.audit.explaining import Explained, OfferStory
from gridsignal_services.registry import Registry
from gridsignal_services.settings import ConfigError
from tests.builders import a_dispatch_request
from tests.effort import examples
from tests.unit.audit.test_decided_again import records_of
from tests.unit.ledger.market import OPERATOR, OPERATORS_NAME, Market
from tests.unit.ledger.stages import closed, opened
from tests.unit.ledger.test_standing_offers import emergency, stands
from tests.unit.ledger.zone import CODEC


def story_of(
    market: Market, who: str, *, for_operator: bool = True, publishes_at: datetime | None = None
) -> OfferStory:
    key = (who, f"{who}-offer")
    story, records = OfferStory(key, for_operator, lambda _: publishes_at), records_of(market)
    assert check(0, CODEC, lambda: records, heard=story.hear).faults == []
    return story


def only(story: OfferStory) -> Explained:
    (explained,) = story.clearings
    return explained


def test_a_loser_is_told_the_rule_and_the_operator_the_price_that_would_have_won() -> None:
    story = story_of(closed(), "volt")
    told = only(story)
    assert (told.awarded_w, told.code, told.lacking_w) == (0, "OUTBID", 12 * MW)
    # of two equal prices the earlier one comes first, and acme's at 70 was
    assert (told.turning_price, told.turning_w) == (Decimal("69.99"), 12 * MW)
    assert "  at 69.99 EUR/MWh or less 12 MW would have been awarded" in story.lines()
    assert "      1  70 EUR/MWh  acme/acme-offer: 12 MW awarded" in story.lines()
    assert "      2  80 EUR/MWh  volt/volt-offer: OUTBID" in story.lines()


def test_a_winner_is_told_what_it_got_and_the_operator_up_to_which_price() -> None:
    story = story_of(closed(), "acme")
    told = only(story)
    assert (told.awarded_w, told.code) == (12 * MW, "")
    assert (told.turning_price, told.turning_w) == (Decimal(80), 12 * MW)
    assert "  up to 80 EUR/MWh it would still have been awarded 12 MW" in story.lines()


@pytest.mark.parametrize(("price", "wins"), [("69.99", True), ("70", False)])
def test_the_price_that_would_have_won_does(price: str, wins: bool) -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, price)
    market.act()
    market.close()
    assert (only(story_of(market, "volt")).awarded_w > 0) == wins


def test_a_participant_is_told_of_nobody_else() -> None:
    for who, other in (("acme", "volt"), ("volt", "acme")):
        story = story_of(closed(), who, for_operator=False)
        told = only(story)
        assert (told.merit_order, told.turning_price) == (None, None)
        words = "\n".join(story.lines())
        assert other not in words
        assert {"acme": "80", "volt": "70"}[who] not in words.replace(who, "")
        assert told.code in words


def test_an_offer_that_was_rejected_or_never_considered_says_so() -> None:
    market = opened()
    assert "no automatic clearing has considered it" in story_of(market, "acme").lines()
    market = Market("acme")
    market.offer("acme", 12 * MW, "70", participant="acme", request_revision=7)
    (line,) = [line for line in story_of(market, "acme").lines() if line.startswith("it was rejected when it came")]
    assert line != "it was rejected when it came: "


@pytest.mark.parametrize("for_operator", [True, False])
@pytest.mark.parametrize(("reason", "said"), [("it is nearest", ": it is nearest"), ("", "")])
def test_an_award_by_hand_says_whose_it_was_and_why(reason: str, said: str, for_operator: bool) -> None:
    market = opened()
    clearing = market.by_hand(("acme", 5 * MW)).model_copy(update={"actor": OPERATORS_NAME, "reason": reason})
    assert market.add(clearing, OPERATORS_NAME).accepted
    lines = list(story_of(market, "acme", for_operator=for_operator).lines())
    (told,) = [line for line in lines if "by hand" in line]
    assert told.endswith(f": 5 MW awarded by hand by {OPERATOR}{said}")
    assert "no automatic clearing has considered it" not in lines
    others = story_of(market, "volt", for_operator=for_operator)
    assert (others.by_hand, [line for line in others.lines() if "by hand" in line]) == ([], [])


def test_an_offer_that_nobody_cleared_in_time_says_so() -> None:
    market = opened(clearing_mode="BY_HAND")
    market.run_until(market.request.decision_deadline + timedelta(seconds=1))
    lines = list(story_of(market, "acme").lines())
    assert lines[-1] == "it stands RELEASED now: not cleared by the decision deadline (NOT_CLEARED)"


def test_an_offer_that_nobody_made_is_not_there() -> None:
    assert list(story_of(opened(), "nobody").lines()) == ["there is no offer nobody-offer of nobody on the log"]


CENTS = st.lists(st.integers(5000, 9000), min_size=2, max_size=5, unique=True)
WHO = ("acme", "volt", "fox", "gnu", "owl")


def day_of(cents: list[int]) -> tuple[Market, dict[str, str]]:
    """A request of 12 MW for which each offers 7 MW; its prices, in no two alike."""
    prices = {who: f"{each / 100:.2f}" for who, each in zip(WHO, cents, strict=False)}
    market = Market(*prices)
    for who, price in prices.items():
        market.offer(who, 7 * MW, price)
    market.act()
    market.close()
    return market, prices


@given(CENTS, st.integers(0, 10**6))
@settings(max_examples=examples(20), deadline=None)
def test_no_participant_is_told_a_price_or_a_name_of_another_before_it_is_published(cents: list[int], s: int) -> None:
    market, prices = day_of(cents)
    later = market.now + timedelta(microseconds=1 + s)
    for who, own in prices.items():
        for at in (None, later):
            words = "\n".join(story_of(market, who, for_operator=False, publishes_at=at).lines())
            for other in prices.keys() - {who}:
                assert other not in words
                assert prices[other].rstrip("0").rstrip(".") not in words.replace(own.rstrip("0").rstrip("."), "")


@given(CENTS, st.integers(0, 10**6))
@settings(max_examples=examples(20), deadline=None)
def test_from_then_on_every_participant_is_told_all_prices_and_no_name(cents: list[int], s: int) -> None:
    market, prices = day_of(cents)
    for who in prices:
        story = story_of(market, who, for_operator=False, publishes_at=market.now - timedelta(microseconds=s))
        told = only(story)
        assert told.merit_order is not None
        assert sorted(each.price_per_mwh for each in told.merit_order) == sorted(map(Decimal, prices.values()))
        assert [each.participant for each in told.merit_order if each.participant] == [who]
        assert (told.turning_price, told.turning_w) == (None, 0)
        words = "\n".join(story.lines())
        assert not [other for other in prices.keys() - {who} if other in words]


def test_a_product_publishes_so_long_after_a_requests_end_and_one_that_does_not_say_never() -> None:
    text = '[zones.DE-LU]\ncurrency = "EUR"\ntimezone = "Europe/Berlin"\n[products.peak]\npublish_after_s = 3600\n'
    registry, request = Registry.parse(text), a_dispatch_request(product="peak")
    assert registry.publishes_at(request) == request.ends_at + timedelta(hours=1)
    assert registry.publishes_at(a_dispatch_request(product="other")) is None
    with pytest.raises(ConfigError, match="publish_after_s: expected"):
        Registry.parse(text.replace("3600", "-1"))


def test_an_offer_that_a_request_made_of_one_that_stood_has_a_story_and_so_has_that_one() -> None:
    market = Market()
    for who, price in (("acme", "120"), ("volt", "80")):
        market.site(who)
        stands(market, who, price=price)
    market.act()
    emergency(market, power_w=6 * MW)
    made = dict(market.ledger.requests["e1"].offers)
    stories = {}
    for who, offer_id in [*made.items(), ("volt", "acme-stands"), ("acme", "acme-stands")]:
        story = stories[who, offer_id] = OfferStory((who, offer_id), for_operator=True)
        assert check(0, CODEC, lambda: records_of(market), heard=story.hear).faults == []
    assert [(told.awarded_w, told.code) for told in stories["volt", made["volt"]].clearings] == [(6 * MW, "")]
    assert [(told.awarded_w, told.code) for told in stories["acme", made["acme"]].clearings] == [(0, "OUTBID")]
    assert stories["acme", "acme-stands"].calls == [made["acme"]]
    assert list(stories["acme", "acme-stands"].lines())[1:3] == [
        "it answers requests of EMERGENCY_SHED while it stands: called",
        f"  as offer {made['acme']}, which explains itself",
    ]
    assert stories["volt", "acme-stands"].offer is None  # another's
