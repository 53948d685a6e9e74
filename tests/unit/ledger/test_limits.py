"""What one participant writes stays within bounds on every node, and leaves room for the others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from random import Random
from types import FrameType
from typing import Any

import pytest

from gridsignal_schemas.rules.baselines import Declared
from gridsignal_schemas.rules.lifecycle import OfferState
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.rules.profile import Profile
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.standing import offers_of
from tests.builders import a_baseline_declaration, a_dispatch_request, an_offer_withdrawal, utc
from tests.unit.ledger.market import Market
from tests.unit.ledger.stages import accepted
from tests.unit.ledger.watched import MINUTE, minutes

_LEDGER = ("gridsignal_services/ledger", "gridsignal_schemas/rules")


@contextmanager
def counted_work() -> Iterator[Callable[[], int]]:
    """How many lines of the ledger and its rules run meanwhile: the same on every machine."""
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if not any(folder in frame.f_code.co_filename for folder in _LEDGER):
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lambda: lines
    finally:
        sys.settrace(before)


def offers(market: Market, who: str, count: int, **changes: Any) -> list[str]:
    """So many offers of a site; the codes they were rejected with, without repeats."""
    outcomes = [market.offer(who, MW, "90", offer_id=f"{who}-{number}", **changes) for number in range(count)]
    return list(dict.fromkeys(outcome.code for outcome in outcomes if outcome.code))


def test_one_site_fills_its_own_room_alone() -> None:
    market = Market("acme", "volt")
    assert offers(market, "acme", 200) == ["OFFERS_OF_SITE"]
    assert offers(market, "volt", 64) == []
    assert len(market.ledger.offers) == 2 * LIMITS.offers_of_site


def test_taking_back_makes_no_room_for_ever_more() -> None:
    market = Market("acme")
    for number in range(LIMITS.offers_of_site):
        market.offer("acme", offer_id=f"{number}")
        market.ledger.offers["acme", f"{number}"].state = OfferState.WITHDRAWN
    assert market.offer("acme").code == "OFFERS_OF_SITE"


def test_a_rejected_offer_is_listed_for_the_operator_up_to_a_number() -> None:
    market = Market("acme")
    assert offers(market, "acme", 100, price_per_mwh=Decimal(500)) == ["PRICE_CAP"]
    assert len(market.ledger.requests[market.request.request_id].offers) == LIMITS.offers_turned_down
    assert market.offer("acme").code == ""


def test_an_offer_is_amended_so_often_and_its_history_costs_little() -> None:
    market = Market("acme")
    codes = [market.offer("acme", price=f"{90 - number % 7}", revision=number + 1).code for number in range(51)]
    assert codes == [""] * LIMITS.revisions_of_offer + ["REVISIONS"]
    assert len(market.offered("acme").digests) == LIMITS.revisions_of_offer
    assert len(market.ledger.book.timers._heap) < 200
    market.replayed()


def test_an_operator_has_so_many_open_requests() -> None:
    market = Market()
    codes = {market.ask(request_id=f"request-{number}").code for number in range(LIMITS.requests_open)}
    assert codes == {""}
    assert market.ask(request_id="one-more").code == "OPEN_REQUESTS"
    assert market.add(a_dispatch_request(request_id="others", operator="another"), "operator:another").accepted
    market.cancel("request-0")
    assert market.ask(request_id="one-more").code == ""


def test_an_order_takes_so_many_answers_and_still_the_one_that_ends_it() -> None:
    market = accepted()
    market.run_until(utc("18:05"))
    codes = [market.answer("acme", "RECEIVED").code for _ in range(100)]
    assert codes[:60] == [""] * 60
    assert set(codes[70:]) == {"RESPONSES"}
    assert market.answer("acme", "COMPLETED").code == ""
    assert market.answer("acme", "COMPLETED").code == "RESPONSES"


def declared(market: Market, who: str, starts_at: Any, points: int, resolution_s: int = 60) -> Outcome:
    record = a_baseline_declaration(
        site=f"{who}-1",
        participant=who,
        starts_at=starts_at,
        resolution_s=resolution_s,
        power_w=[(24 + number % 17) * MW for number in range(points)],
    )
    return market.add(record, f"participant:{who}")


def test_a_site_that_declares_every_minute_is_never_refused() -> None:
    market = Market("acme")
    for turn in range(600):
        market.now += MINUTE
        if turn % 5 == 0:
            window = {"starts_at": market.now + 90 * MINUTE, "ends_at": market.now + 120 * MINUTE}
            dues = {"gate_closure_at": market.now + 20 * MINUTE, "decision_deadline": market.now + 25 * MINUTE}
            assert market.ask(request_id=f"r{turn}", **window, **dues).accepted
        assert declared(market, "acme", market.now, 96, 900).code == ""
        market.act()
    market.replayed()


def test_a_fine_baseline_is_refused() -> None:
    market = Market("acme")
    assert declared(market, "acme", utc("12:00"), 3000, 1).code == "RESOLUTION"


@pytest.mark.parametrize("seed", range(20))
def test_the_room_of_a_site_is_that_of_its_tightest_moment(seed: int) -> None:
    """By the declarations' own points, moment by moment, instead of by stretches and runs."""
    chance = Random(seed)
    market = Market()
    market.site("acme", baseline_w=30 * MW)
    for _ in range(chance.randint(0, 12)):
        start = utc("16:00") + chance.randint(0, 200) * MINUTE
        declared(market, "acme", start, chance.choice([1, 7, 70, 200, 400]), chance.choice([60, 300, 900]))
    request = market.ask(request_id="r")
    assert request.accepted
    book, place = market.ledger.book, market.ledger.requests["r"].place
    for _ in range(20):
        since = utc("17:00") + timedelta(seconds=chance.randint(0, 7200))
        until = since + timedelta(seconds=chance.randint(1, 7200))
        room = book.headroom_w(
            "acme-1", market.ledger.requests["r"].request, since, until, before=place, promised=Profile()
        )
        # a declaration begins, ends and changes at full minutes
        moments = [since, *(when for when in minutes(utc("17:00"), until) if when > since)]
        before = [declared for declared in book.declared["acme-1"] if declared.place < place]
        powers = [
            next(declared.at(when) for declared in reversed(before) if declared.starts_at <= when < declared.ends_at)
            for when in moments
        ]
        assert room == min(powers) - 12 * MW


def test_a_long_declaration_is_looked_at_by_its_runs() -> None:
    powers = [(24 + number % 17) * MW for number in range(3000)]
    record = a_baseline_declaration(starts_at=utc("00:00"), resolution_s=60, power_w=powers)
    receipt = Market("acme").log[0][1].receipt
    assert receipt is not None
    one = Declared.of(0, record, receipt)
    for first, last in ((0, 3000), (1, 2), (63, 65), (64, 128), (5, 2999), (2990, 3000)):
        since, until = utc("00:00") + first * MINUTE, utc("00:00") + last * MINUTE
        assert one.lowest_w(since, until) == min(powers[first:last])
        assert one.highest_w(since, until) == max(powers[first:last])


def test_what_is_live_costs_by_what_one_offers_oneself_however_much_others_ask_and_offer() -> None:
    market = Market("acme", "volt")
    offers(market, "volt", 2)

    def asked() -> tuple[list[str], int]:
        with counted_work() as work:
            found = [tracked.offer.offer_id for tracked in offers_of(market.ledger.book, "volt", None)]
        return found, work()

    before = asked()
    for number in range(40):
        assert market.ask(request_id=f"request-{number}").accepted
    offers(market, "acme", 64)
    assert before[0] == ["volt-0", "volt-1"]
    assert asked() == before


def test_an_offer_is_live_for_as_long_as_its_request_is_not_over() -> None:
    market = Market("acme", "volt")
    offers(market, "acme", 3)
    assert market.add(an_offer_withdrawal(offer_id="acme-1", participant="acme", site="acme-1")).accepted

    def live(site: str | None = None) -> list[str]:
        return [tracked.offer.offer_id for tracked in offers_of(market.ledger.book, "acme", site)]

    assert live() == live("acme-1") == ["acme-0", "acme-2"]
    assert live("volt-1") == []
    assert market.cancel().accepted
    assert live() == []
    assert market.ledger.book.offers_on_open_requests["acme"] == {}
