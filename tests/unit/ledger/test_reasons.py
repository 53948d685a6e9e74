"""Why an offer got nothing is true at the moment it is said, to its site and in its operator's book."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gridsignal_schemas.codes import why_lost
from gridsignal_schemas.messages import ClearingTrigger, Decision, OfferDecision
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.values import MW, rfc3339
from gridsignal_services.ledger.overtaken import LeftOut
from tests.builders import REQUEST_ID, utc
from tests.shown_book import shown_book
from tests.unit.ledger.market import OPERATORS_NAME, Market


def reasons(market: Market) -> dict[str, tuple[OfferState, list[str]]]:
    view = shown_book(market.ledger.book, REQUEST_ID)
    return {line.participant: (line.state, line.codes) for line in view.offers}


def test_an_offer_that_expired_while_nobody_was_ordered_was_not_outbid() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "80", expires_at=utc("17:04"))
    market.close()
    assert reasons(market)["volt"] == (OfferState.STANDBY, ["OUTBID"])
    told = market.run_until(utc("17:30"))  # acme is silent
    assert market.state is RequestState.UNMET
    assert reasons(market)["volt"] == (OfferState.EXPIRED, ["EXPIRED"])
    (expired,) = [r for r in told if isinstance(r, OfferDecision) and r.decision is Decision.EXPIRED]
    assert (expired.codes, expired.rank) == (["EXPIRED"], None)


@pytest.mark.parametrize("away", [True, False])
def test_an_offer_on_a_request_that_nobody_cleared_in_time_says_so_to_both_sides(away: bool) -> None:
    market = Market("acme", clearing_mode="AUTOMATIC" if away else "BY_HAND")
    market.offer("acme", 12 * MW, "70")
    market.act()
    late = market.request.decision_deadline + timedelta(seconds=1)
    if away:  # who owns the zone was away for all of it
        market.now = late
        told = market.act()
    else:
        told = market.run_until(late)
    assert market.state is RequestState.UNMET
    assert reasons(market)["acme"] == (OfferState.RELEASED, ["NOT_CLEARED"])
    (released,) = [r for r in told if isinstance(r, OfferDecision) and r.decision is Decision.RELEASED]
    assert (released.codes, released.reason) == (["NOT_CLEARED"], "not cleared by the decision deadline")
    market.replayed()


def test_an_offer_let_go_with_an_unmet_request_was_not_outbid() -> None:
    market = Market("acme", "volt", clearing_mode="BY_HAND")
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "80")
    market.close()
    assert market.add(market.by_hand(), OPERATORS_NAME).accepted
    market.act()
    assert reasons(market)["volt"] == (OfferState.STANDBY, ["OUTBID"])
    market.answer("acme", "REFUSED")
    market.act()
    assert reasons(market)["volt"] == (OfferState.STANDBY, [])
    market.cancel()
    assert reasons(market)["volt"] == (OfferState.RELEASED, [])


def test_beside_a_dearer_winner_picked_by_hand_nobody_was_outbid() -> None:
    market = Market("acme", "volt", "hyper")
    market.offer("hyper", 6 * MW, "110")
    market.offer("acme", 6 * MW, "90")
    market.offer("volt", 6 * MW, "100")
    market.act()
    assert market.add(market.by_hand(("hyper", 6 * MW)), OPERATORS_NAME).accepted
    market.act()
    assert reasons(market)["acme"] == (OfferState.STANDBY, ["NOT_PICKED"])
    assert market.add(market.by_hand(), OPERATORS_NAME).accepted
    market.act()
    assert reasons(market) == {
        "hyper": (OfferState.TENTATIVE, []),
        "acme": (OfferState.TENTATIVE, []),
        "volt": (OfferState.STANDBY, ["COVERED"]),
    }


def test_a_late_offer_is_not_told_what_became_of_the_request() -> None:
    market = Market("acme", "volt")
    market.offer("acme")
    market.close()
    said = {}
    for name in ("cleared", "accepted", "running"):
        faults = market.offer("volt", offer_id=name).faults
        said[name] = [fault.message.replace(f"got {rfc3339(market.now)}", "got now") for fault in faults]
        market.answer("acme")
        market.run_for(minutes=40)
    assert len({str(texts) for texts in said.values()}) == 1


def test_order_ids_do_not_tell_how_much_was_logged_before() -> None:
    one, other = Market("acme"), Market("acme", "volt", "hyper")
    for market in (one, other):
        market.offer("acme")
        market.close()
    assert one.order("acme").order.order_id == other.order("acme").order.order_id


def test_who_is_left_out_is_told_so() -> None:
    market = Market("acme", "volt", "hyper")
    for who, price in (("acme", "70"), ("volt", "80"), ("hyper", "90")):
        market.offer(who, 6 * MW, price)
    market.offer("acme", 6 * MW, "60", offer_id="acme-another")
    market.act()
    clearing = market.decided(ClearingTrigger.BY_HAND, left_out=LeftOut(participants=frozenset({"acme"})))
    assert {award.participant for award in clearing.awards} == {"volt", "hyper"}
    assert market.add(clearing, OPERATORS_NAME).accepted
    another = market.ledger.offers["acme", "acme-another"]
    assert (another.state, another.codes) == (OfferState.STANDBY, ("NOT_CONSIDERED",))
    assert "left out" in why_lost(another.codes)
    market.replayed()
