"""Clearing and awarding by hand: a person decides, the same rules hold."""

from __future__ import annotations

from typing import Any

import pytest

from gridsignal_schemas.messages import Clearing, ClearingTrigger
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.values import MW
from tests.builders import utc
from tests.unit.ledger.market import Market


def test_a_person_clears_in_merit_order_before_the_gate() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "60")
    assert market.add(market.by_hand()).accepted
    assert market.ordered() == {"volt": 12 * MW}
    assert market.order("volt").order.actor == "somebody"
    market.answer("volt")
    assert not any(isinstance(record, Clearing) for record in market.close())  # the gate is no longer waited for


def test_a_person_awards_whom_they_like_and_the_others_hear_that_they_were_not_picked() -> None:
    market = Market("acme", "volt", clearing_mode="BY_HAND")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "60")
    market.close()
    assert not market.ordered()
    assert market.add(market.by_hand(("acme", 7 * MW))).accepted
    assert market.state is RequestState.PARTIALLY_AWARDED
    assert market.offered("volt").codes == ("NOT_PICKED",)


def test_a_request_cleared_by_hand_waits_for_a_person_after_a_refusal() -> None:
    market = Market("acme", "volt", clearing_mode="BY_HAND")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "60")
    market.close()
    market.add(market.by_hand(("acme", 12 * MW)))
    market.act()
    market.answer("acme", "REFUSED")
    market.run_for(minutes=1)
    assert (market.state, market.ordered()) == (RequestState.AWARDED, {})
    assert market.add(market.by_hand(("volt", 12 * MW))).accepted


def test_a_request_cleared_by_hand_does_not_wait_for_ever() -> None:
    market = Market("acme", "volt", clearing_mode="BY_HAND")
    market.offer("acme", 12 * MW, "70", expires_at=utc("23:00"))
    market.offer("volt", 12 * MW, "60", expires_at=utc("23:00"))
    market.close()
    market.add(market.by_hand(("acme", 12 * MW)))
    market.act()
    market.answer("acme", "REFUSED")
    market.run_until(utc("18:44"))
    assert market.state is RequestState.AWARDED
    market.run_until(utc("18:45"))
    assert market.state is RequestState.UNMET
    assert market.offer_state("volt") is OfferState.RELEASED


@pytest.mark.parametrize(
    ("power_w", "option", "code"),
    [
        (0, {}, "NOT_AS_OFFERED"),
        (13 * MW, {}, "NOT_AS_OFFERED"),
        (11 * MW, {"divisible": False}, "NOT_AS_OFFERED"),
        (10 * MW, {"levels_w": [9 * MW, 12 * MW]}, "NOT_AS_OFFERED"),
        (12 * MW, {"min_duration_s": 3600}, "TOO_LATE"),
    ],
)
def test_a_person_cannot_award_what_was_not_offered(power_w: int, option: dict[str, Any], code: str) -> None:
    market = Market("acme", power_w=20 * MW)
    market.offer("acme", 12 * MW, **option)
    assert market.add(market.by_hand(("acme", power_w))).code == code


def test_a_pick_that_names_no_offer_is_an_error() -> None:
    market = Market("acme")
    with pytest.raises(ValueError, match="expected a LIVE or STANDBY offer and its option, got none/all"):
        market.by_hand(("nobody", 1))


def test_an_offer_on_another_request_is_not_awarded() -> None:
    market = Market("acme")
    market.ask(request_id="other")
    market.offer("acme")
    clearing = market.by_hand(("acme", 12 * MW))
    assert market.add(clearing.model_copy(update={"request_id": "other"})).code == "OFFER_NOT_CALLABLE"


def test_an_offer_logged_while_a_person_decides_stands_by() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 6 * MW)
    clearing = market.by_hand()
    market.offer("volt", 6 * MW)
    assert market.add(clearing).accepted
    assert market.offer_state("volt") is OfferState.STANDBY
    assert market.offered("volt").codes == ("NOT_CONSIDERED",)
    market.act()
    market.answer("acme")
    market.run_until(utc("19:00"))
    assert market.state is RequestState.COMPLETED


def test_a_clearing_of_an_older_revision_of_the_request_or_of_an_offer_is_invalid() -> None:
    market = Market("acme")
    market.offer("acme")
    of_the_offer = market.by_hand()
    market.offer("acme", price="80", revision=2)
    assert market.add(of_the_offer).code == "OFFER_NOT_CALLABLE"
    of_the_request = market.by_hand()
    market.ask(revision=2, power_w=11 * MW)
    assert market.add(of_the_request).code == "REQUEST_REVISION"


def test_a_decision_in_another_request_does_not_invalidate_a_clearing() -> None:
    market = Market("acme", "volt")
    market.ask(request_id="other")
    market.offer("acme", 6 * MW)
    market.offer("volt", 6 * MW, offer_id="volt-other", request_id="other")
    one, other = market.by_hand(), market.by_hand(request_id="other")
    assert market.add(other).accepted
    assert market.add(one).accepted


def test_while_a_request_is_open_a_clearing_without_awards_does_not_end_it() -> None:
    market = Market("acme")
    clearing = market.decided(ClearingTrigger.BY_HAND)
    assert isinstance(clearing, Clearing)
    assert market.add(clearing).code == "NOTHING_TO_AWARD"
    assert market.state is RequestState.OPEN
