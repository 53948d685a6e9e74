"""What one participant writes stays within bounds on every node, with as many records as the limits allow."""

from __future__ import annotations

from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.values import MW
from tests.builders import an_option, utc
from tests.unit.ledger.market import Market
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
