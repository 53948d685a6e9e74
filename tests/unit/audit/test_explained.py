"""Why an offer won or lost is told from the log, the operator's counterfactual is what deciding again would give."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridsignal_schemas.values import MW
from gridsignal_services.audit.checking import check
from gridsignal_services.audit.explaining import Explained, OfferStory
from tests.unit.audit.test_decided_again import records_of
from tests.unit.ledger.market import Market
from tests.unit.ledger.stages import closed, opened
from tests.unit.ledger.zone import CODEC


def story_of(market: Market, who: str, *, for_operator: bool = True) -> OfferStory:
    key = (who, f"{who}-offer")
    story, records = OfferStory(key, for_operator=for_operator), records_of(market)
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


def test_an_offer_that_nobody_made_is_not_there() -> None:
    assert list(story_of(opened(), "nobody").lines()) == ["there is no offer nobody-offer of nobody on the log"]
