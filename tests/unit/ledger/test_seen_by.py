"""The present state of dispatch for an organisation: all that it may see, found without a look at the others'."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from gridsignal_schemas.messages import DispatchOrder, DispatchRequest, OfferDecision, Record
from gridsignal_services.access import SIGNAL_READ, Entitlements, Principal, may_see
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.standing import announced_order, count_of, offers_of, orders_of, seen_by
from tests.builders import OPERATOR, a_dispatch_request, utc
from tests.unit.ledger.cost import lines_of
from tests.unit.ledger.market import OWNER, Market

VIEWERS: list[tuple[Any, str]] = [
    ("participant", "acme"),
    ("participant", "volt"),
    ("participant", "newcomer"),
    ("operator", OPERATOR),
    ("operator", "tso-south"),
    ("service", "acme"),
]
ENTITLED = [
    Entitlements(),
    Entitlements(frozenset({"DE-LU"})),
    Entitlements(frozenset({"DE-LU"}), frozenset({"acme-1", "volt-1"}), past_sites=True),
]


def two_requests() -> Market:
    """Two operators ask, acme and volt offer on both; acme is called for the first."""
    market = Market("acme", "volt")
    another = a_dispatch_request(
        request_id="another", operator="tso-south", gate_closure_at=utc("17:30"), decision_deadline=utc("17:40")
    )
    assert market.add(another, "operator:tso-south").accepted
    for who, price in (("acme", "50"), ("volt", "60")):
        assert market.offer(who, price=price).accepted
        assert market.offer(who, price=price, offer_id=f"{who}-second", request_id="another").accepted
    market.close()
    market.answer("acme")
    market.act()
    return market


def everything(ledger: Ledger) -> list[Record]:
    """What anybody may be shown."""
    book = ledger.book
    asked = [book.requests[request_id] for request_id in book.open_requests]
    records: list[Any] = [tracked.request for tracked in asked]
    records += [book.announcements.last_announced("offer", *key) for tracked in asked for key in tracked.offers]
    records += [announced_order(book, order) for order in book.live_orders(book.orders)]
    return [record for record in records if record is not None]


def is_shown(book: Book, viewer: Principal, record: Any) -> bool:
    """Requests that take no offers any more are for whoever asked, and for those whose offers stand."""
    if not isinstance(record, DispatchRequest) or book.requests[record.request_id].state == "OPEN":
        return True
    offered = viewer.role == "participant" and viewer.organisation in ("acme", "volt")
    return offered or (viewer.role, viewer.organisation) == ("operator", record.operator)


@pytest.mark.parametrize("entitled", ENTITLED)
@pytest.mark.parametrize(("role", "organisation"), VIEWERS)
def test_the_state_has_all_that_an_organisation_may_see(role: Any, organisation: str, entitled: Entitlements) -> None:
    ledger = two_requests().ledger
    viewer = Principal(role, organisation, "tests", frozenset({SIGNAL_READ}), datetime(2030, 1, 1, tzinfo=UTC))
    found = list(ledger.current(viewer))
    seen = [record for record, audience in found if may_see(viewer, audience, entitled)]
    may = [record for record in everything(ledger) if may_see(viewer, ledger.audience_of(record), entitled)]
    expected = [record for record in may if is_shown(ledger.book, viewer, record)]
    assert sorted(map(repr, seen)) == sorted(map(repr, expected))
    # and nothing that only others may see had to be looked at
    own = {"participant": 3 if organisation in ("acme", "volt") else 0, "operator": 3}.get(role, 0)
    others = [record for record, _ in found if isinstance(record, OfferDecision | DispatchOrder)]
    assert len(others) <= own


def test_of_each_kind_there_is_something_to_see() -> None:
    kinds = {type(record).__name__ for record in everything(two_requests().ledger)}
    assert kinds == {"DispatchRequest", "OfferDecision", "DispatchOrder"}


VOLT = Principal("participant", "volt", "tests", frozenset({SIGNAL_READ}), datetime(2030, 1, 1, tzinfo=UTC))


def crowded(offers: int) -> Market:
    """So many offers of acme, and orders on them, beside one of volt's."""
    market = Market("acme", "volt", power_w=1 + offers, step_w=None, min_quantity_w=0)
    assert market.offer("volt", 1).accepted
    for number in range(offers):
        assert market.offer("acme", 1, offer_id=f"o-{number}").accepted
    market.close()
    return market


def test_what_is_one_s_own_costs_nothing_for_what_the_others_have() -> None:
    costs = []
    for offers in (4, 60):
        book = crowded(offers).ledger.book
        asked = partial(count_of, book, "volt", None), partial(seen_by, book, VOLT), partial(of_volt, book)
        costs.append([lines_of(ask) for ask in asked])
    assert costs[0] == costs[1]


def of_volt(book: Book) -> None:
    assert [len(list(found)) for found in (orders_of(book, "volt", None), offers_of(book, "volt", None))] == [1, 1]


def test_an_operator_s_state_is_found_at_once_and_put_together_one_by_one() -> None:
    market = crowded(60)
    before = [(repr(record), audience) for record, audience in market.ledger.current(OWNER)]
    assert len(before) == 1 + 2 * 61
    assert lines_of(partial(market.ledger.current, OWNER)) < 10 * len(before)
    found = market.ledger.current(OWNER)
    market.cancel()
    market.run_for(hours=1)
    assert [(repr(record), audience) for record, audience in found] == before
    assert not list(market.ledger.current(OWNER))
