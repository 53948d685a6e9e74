"""A baseline from history: owed once the request is open no more, of each site that had offered, and fixed once."""

from __future__ import annotations

from datetime import date, timedelta
from hashlib import sha256
from typing import Any

import pytest

from gridsignal_schemas.canonical import canonical
from gridsignal_schemas.messages import BaselineFixed, PinnedRule, RuleName
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.delivered import terms_of
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.excerpt import excerpt
from gridsignal_services.owning.due import awaiting_baselines, baseline_subject
from gridsignal_services.owning.fixing import unfixed
from gridsignal_services.registry import example_registry
from gridsignal_services.settlement.methods import METHODS
from gridsignal_services.settlement.pinned import DECLARED, pinned_method
from tests.builders import REQUEST_ID, a_baseline_fixed, a_flex_offer, an_option, utc
from tests.unit.ledger.market import Market

METHOD = pinned_method(METHODS["uk-bl01"])


def test_it_is_owed_of_each_site_whose_offer_stands_when_the_gate_closes() -> None:
    market = Market("acme", "volt", "idle", "gone", baseline_method=METHOD)
    for who in ("acme", "volt", "gone"):
        market.offer(who)
    market.withdraw("gone")
    assert fix(market, "acme").code == "NOT_OWED"  # before the gate closes

    market.close()

    assert list(market.ledger.book.baselines_owed) == [(REQUEST_ID, "acme-1"), (REQUEST_ID, "volt-1")]
    assert fix(market, "idle").code == fix(market, "gone").code == "NOT_OWED"
    assert fix(market, "acme").accepted
    assert fix(market, "acme").code == "NOT_OWED"
    assert fix(market, "volt").accepted
    assert not market.ledger.book.baselines_owed
    market.replayed()


def test_it_is_of_the_participant_who_offered_by_the_method_of_the_request() -> None:
    market = Market("acme", baseline_method=METHOD)
    market.offer("acme")
    market.close()

    assert fix(market, "acme", participant="volt").code == "NOT_OWED"
    other = RuleName(name="uk-bl01", version=1, sha256="0" * 64)
    assert fix(market, "acme", method=other).code == "RULE_OF_REQUEST"
    assert fix(market, "acme").accepted


def test_nobody_but_a_service_fixes_one() -> None:
    market = Market("acme", baseline_method=METHOD)
    market.offer("acme")
    market.close()

    assert market.add(record(market, "acme"), "participant:acme").code == "NOT_OWED"
    assert market.ledger.book.baselines_owed


@pytest.mark.parametrize("method", [None, DECLARED])
def test_what_was_declared_needs_none(method: PinnedRule | None) -> None:
    market = Market("acme", baseline_method=method)
    market.offer("acme")
    market.close()

    assert not market.ledger.book.baselines_owed


@pytest.mark.parametrize(("power_w", "counts_w"), [([37 * MW] * 3, 37 * MW), ([], 40 * MW)])
def test_delivery_is_measured_by_it_and_where_it_has_no_figures_by_what_was_declared(
    power_w: list[int], counts_w: int
) -> None:
    market = Market("acme", baseline_method=METHOD)
    market.offer("acme")
    market.close()
    assert fix(market, "acme", power_w=power_w).accepted
    market.answer("acme")

    terms = terms_of(market.ledger.book, market.order("acme"))

    assert terms is not None
    assert terms.baselines[-1].at(utc("18:15")) == counts_w


def test_headroom_goes_by_it_wherever_a_clearing_is_decided() -> None:
    market = Market("acme", baseline_method=METHOD, clearing_mode="BY_HAND")
    market.offer("acme")
    market.close()
    assert [award.power_w for award in market.by_hand().awards] == [12 * MW]
    assert fix(market, "acme", power_w=[20 * MW, 18 * MW, 20 * MW]).accepted

    clearing = market.by_hand()

    assert not clearing.awards  # 18 MW less the 12 that can't be shed are 6
    assert [each.code for each in clearing.rejected] == ["OVERCOMMITTED"]
    request, period = market.request, (utc("18:00"), utc("18:15"))
    for book in (market.ledger.book, excerpt(market.ledger.book, REQUEST_ID)):
        promised = book.committed("acme-1", request)
        place = market.ledger.requests[REQUEST_ID].place
        assert book.headroom_w("acme-1", request, *period, before=place, promised=promised) == 8 * MW
    market.replayed()


def test_a_clearing_waits_for_it_and_not_for_long() -> None:
    market = Market("acme", baseline_method=METHOD, clearing_mode="BY_HAND")
    market.offer("acme")
    market.close()
    gate = market.request.gate_closure_at
    (subject,) = waiting = awaiting_baselines(market.ledger, gate)
    assert waiting[subject] == gate + timedelta(seconds=10)
    assert not awaiting_baselines(market.ledger, gate + timedelta(seconds=10))
    assert not awaiting_baselines(market.ledger, gate, {baseline_subject(REQUEST_ID, "acme-1"): None})
    assert fix(market, "acme").accepted
    assert not awaiting_baselines(market.ledger, gate)


def test_it_is_forgotten_with_its_request() -> None:
    market = Market("acme", "volt", kept=timedelta(minutes=1), baseline_method=METHOD)
    market.offer("acme")
    market.offer("volt")
    market.close()
    assert fix(market, "acme").accepted
    market.answer("acme")
    market.run_until(utc("18:45") + timedelta(minutes=2))
    market.site("last")  # something is logged

    assert REQUEST_ID not in market.ledger.requests
    assert not market.ledger.book.fixed
    assert not market.ledger.book.baselines_owed


def test_a_day_on_which_the_site_was_asked_is_one_after_its_order_was_let_go_of() -> None:
    market = Market("acme", kept=timedelta(minutes=1))
    market.offer("acme")
    market.close()
    market.answer("acme")
    market.run_until(utc("18:45") + timedelta(minutes=2))
    market.baseline("acme", 40 * MW, starts_at=utc("22:00"))
    assert not market.ledger.orders

    day = timedelta(days=1)
    hours = {"starts_at": utc("18:00") + day, "ends_at": utc("18:45") + day}
    gate = {"gate_closure_at": utc("17:00") + day, "decision_deadline": utc("17:10") + day}
    assert market.ask(request_id="next", baseline_method=METHOD, **hours, **gate).accepted
    option = an_option(power_w=MW, min_power_w=0, **hours)
    offer = a_flex_offer(
        offer_id="second", participant="acme", site="acme-1", request_id="next", options=[option],
        expires_at=hours["ends_at"],
    )  # fmt: skip
    assert market.add(offer, "participant:acme").accepted
    market.run_until(gate["gate_closure_at"] + timedelta(seconds=1))

    owed = unfixed(market.ledger, "next", "acme-1", example_registry())
    assert owed is not None
    assert owed.event_days == {date(2024, 5, 12)}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"kind": "X_OF_Y"}, "x: Field required"),
        ({"kind": "BEST"}, "kind"),
        (dict(METHODS["pjm-3-plus-2"].written), "expected a method that reads what was before the event"),
    ],
)
def test_a_request_whose_method_is_none_is_refused(parameters: dict[str, Any], said: str) -> None:
    text = canonical(parameters).decode()
    market = Market()
    market.site("acme")
    method = METHOD.model_copy(update={"parameters": text})
    assert market.ask(baseline_method=method).code == "RULE_HASH"

    refused = market.ask(baseline_method=method.model_copy(update={"sha256": sha256(text.encode()).hexdigest()}))

    assert refused.code == "RULE"
    assert said in refused.faults[0].message


def record(market: Market, who: str, **changes: Any) -> BaselineFixed:
    method = RuleName(name=METHOD.name, version=METHOD.version, sha256=METHOD.sha256)
    return a_baseline_fixed(**{"participant": who, "site": f"{who}-1", "method": method} | changes)


def fix(market: Market, who: str, **changes: Any) -> Outcome:
    return market.add(record(market, who, **changes), "service:dispatch")
