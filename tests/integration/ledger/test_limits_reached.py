"""What one participant writes stays within bounds on every node, with as many records as the limits allow."""

from __future__ import annotations

from datetime import timedelta

from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.values import MW
from tests.builders import REQUEST_ID, a_dispatch_request, a_request_cancellation, an_option, utc
from tests.unit.ledger.market import OPERATORS_NAME, Market
from tests.unit.ledger.test_limits import counted_work, declared, offers
from tests.unit.ledger.watched import MINUTE


def test_a_crowded_request_has_room_for_who_has_offered_little() -> None:
    names = [f"site{number}" for number in range(70)]
    market = Market(*names)
    for who in names[:63]:
        assert offers(market, who, LIMITS.offers_of_site) in ([], ["OFFERS_OF_REQUEST"])
    assert market.ledger.requests[market.request.request_id].offers_of.total() == LIMITS.offers_of_request
    assert offers(market, "site69", LIMITS.offers_reserved) == []
    assert offers(market, "site68", LIMITS.offers_reserved + 1) == ["OFFERS_OF_REQUEST"]
    market.replayed()


def test_offers_to_nowhere_leave_digest_and_receipt_alone() -> None:
    market = Market("acme")
    first = market.offer("acme", offer_id="first", request_id="nowhere")
    assert first.receipt is not None
    for number in range(LIMITS.offers_set_aside - 1):
        market.offer("acme", offer_id=f"{number}", request_id="nowhere")
    book = market.ledger.book
    assert (len(book.offers), len(book.set_aside["acme"])) == (0, LIMITS.offers_set_aside)
    again = market.offer("acme", offer_id="first", request_id="nowhere")
    assert (again.duplicate, again.receipt) == (True, first.receipt)
    other = market.offer("acme", price="91", offer_id="first", request_id="nowhere")
    assert other.code == "CONFLICT"
    market.act()
    assert not book.announcements._last
    market.offer("acme", offer_id="one-more", request_id="nowhere")
    assert len(book.set_aside["acme"]) == LIMITS.offers_set_aside
    market.replayed()


def test_thousands_of_declarations_leave_a_few_and_cost_the_offers_behind_them_little() -> None:
    market = Market("acme", "volt")
    market.offer("acme")
    with counted_work() as lines:
        market.offer("volt")
        plain = lines()
    refused = [declared(market, "acme", utc("17:00") + number * MINUTE / 60, 3000).code for number in range(1500)]
    assert set(refused) == {"", "BASELINES"}
    assert len(market.ledger.book.declared["acme-1"]) <= LIMITS.baselines_of_site
    assert market.ask(request_id="late").code == ""
    options = [an_option(option=f"o{n}", power_w=MW, min_power_w=0, ends_at=utc("18:45")) for n in range(8)]
    with counted_work() as lines:
        assert market.offer("acme", offer_id="late", request_id="late", options=options).code == ""
        assert lines() < 8 * plain
    market.replayed()


def test_offers_that_break_rules_wait_for_thousands_of_decisions_that_are_owed() -> None:
    market = Market("acme", "volt")
    for number in range(LIMITS.decisions_owed):
        assert market.offer("acme", offer_id=f"lost-{number}", request_id="nowhere").accepted
    refused = market.offer("acme", offer_id="once-too-often", request_id="nowhere")
    assert (refused.accepted, refused.code, refused.receipt) == (False, "DECISIONS_OWED", None)
    assert market.offer("acme").accepted, "a good offer"
    assert market.offer("volt", offer_id="lost", request_id="nowhere").accepted, "somebody else's"
    market.act()
    again = market.offer("acme", offer_id="once-too-often", request_id="nowhere")
    assert again.accepted, "the same, once the others are told"


def test_of_one_operator_so_many_are_kept_and_none_of_anothers_leaves_for_it() -> None:
    market = Market("acme")
    assert market.cancel().accepted
    for number in range(LIMITS.requests_kept + 300):
        request_id = f"theirs-{number}"
        asked = a_dispatch_request(request_id=request_id, operator="rival")
        assert market.add(asked, "operator:rival").accepted
        assert market.add(a_request_cancellation(request_id=request_id), "operator:rival").accepted
    book = market.ledger.book
    assert len(book.requests) == LIMITS.requests_kept + 2  # the newest, and the one that leaves with the next record
    assert REQUEST_ID in book.requests
    assert "theirs-0" not in book.requests
    assert "theirs-0" in book.past.audiences
    again = market.add(a_dispatch_request(request_id="theirs-0", operator="rival"), "operator:rival")
    assert again.duplicate
    market.replayed()


LATE = {
    "gate_closure_at": utc("20:00"),
    "decision_deadline": utc("20:10"),
    "starts_at": utc("21:00"),
    "ends_at": utc("21:45"),
}


def crowded() -> Market:
    """A market whose operator has one more request that is over than are kept, and nothing of what is owed is written:
    all of them are needed.
    """
    market = Market("acme", "volt")
    assert market.offer("acme", 12 * MW).accepted
    market.close()
    for number in range(LIMITS.requests_kept + 2):
        request_id = f"theirs-{number}"
        assert market.add(a_dispatch_request(request_id=request_id, **LATE), OPERATORS_NAME).accepted
        offer = {"request_id": request_id, "offer_id": f"lost-{number}"}
        assert market.offer("volt", MW, starts_at=utc("21:00"), ends_at=utc("21:45"), **offer).accepted
        assert market.cancel(request_id).accepted
    assert len(market.ledger.requests) == LIMITS.requests_kept + 3
    return market


def test_one_too_many_that_is_needed_stays_and_is_not_looked_at_for_ever() -> None:
    market = crowded()
    market.act()
    assert market.ask(request_id="one-more", **LATE).accepted
    assert len(market.ledger.requests) < LIMITS.requests_kept + 4
    market.replayed()


def test_what_an_operator_needs_keeps_nothing_of_others_that_has_had_its_time() -> None:
    market = crowded()
    asked = a_dispatch_request(request_id="theirs", operator="rival", **LATE)
    assert market.add(asked, "operator:rival").accepted
    assert market.add(a_request_cancellation(request_id="theirs"), "operator:rival").accepted
    market.now += timedelta(hours=25)
    for _ in range(40):
        market.cancel("none")
    assert "theirs" not in market.ledger.requests
    assert len(market.ledger.requests) == LIMITS.requests_kept + 3
    market.replayed()
