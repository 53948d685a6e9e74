"""The book: every offer in merit order, where it stands, and why it lost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridsignal import MW
from gridsignal_schemas.codes import CODES, why_lost
from gridsignal_schemas.messages import FlexOffer
from gridsignal_services.dispatch.book import BookView
from tests.builders import (
    a_baseline_declaration,
    a_dispatch_request,
    a_flex_offer,
    a_site_registration,
    an_offer_withdrawal,
    an_option,
    an_order_response,
    utc,
)
from tests.shown_book import shown_book
from tests.unit.ledger.zone import Zone

SITES = {"fra-1": "acme-ai", "ber-1": "hyper-infer", "muc-1": "volt-colo"}


def a_zone() -> Zone:
    zone = Zone(utc("12:00"))
    for site, participant in SITES.items():
        zone.add(a_site_registration(site=site, participant=participant))
        zone.add(a_baseline_declaration(site=site, participant=participant))
    zone.add(a_dispatch_request(), "operator:tso-north")
    return zone


def an_offer_of(site: str, **option: object) -> FlexOffer:
    return a_flex_offer(offer_id=f"of-{site}", site=site, participant=SITES[site], options=[an_option(**option)])


def the_book(zone: Zone) -> BookView:
    return shown_book(zone.ledger.book, a_dispatch_request().request_id)


def test_offers_stand_in_merit_order_before_anything_is_decided() -> None:
    zone = a_zone()
    zone.add(an_offer_of("fra-1", price_per_mwh=Decimal(90)))
    zone.add(an_offer_of("ber-1", price_per_mwh=Decimal(80)))
    zone.add(an_offer_of("muc-1", price_per_mwh=Decimal(80)))

    book = the_book(zone)

    assert [(line.place, line.site, line.state, line.reason) for line in book.offers] == [
        (1, "ber-1", "LIVE", ""),
        (2, "muc-1", "LIVE", ""),
        (3, "fra-1", "LIVE", ""),
    ]
    assert (book.offered_w, book.awarded_w, book.clearings) == (36 * MW, 0, [])


def test_a_loser_is_told_the_rule_that_stopped_it() -> None:
    zone = a_zone()
    zone.add(an_offer_of("fra-1", price_per_mwh=Decimal(70)))
    zone.add(an_offer_of("ber-1", price_per_mwh=Decimal(80)))
    zone.run_until(utc("17:00"))

    book = the_book(zone)
    won, lost = book.offers

    assert (won.site, won.state, won.rank, won.awarded_w, won.order_state) == (
        "fra-1",
        "TENTATIVE",
        1,
        12 * MW,
        "ISSUED",
    )
    assert (lost.site, lost.state, lost.codes, lost.reason) == ("ber-1", "STANDBY", ["OUTBID"], CODES["OUTBID"].lost)
    assert (book.state, book.awarded_w, len(book.clearings)) == ("AWARDED", 12 * MW, 1)


def test_an_offer_that_breaks_rules_stands_in_the_book_with_all_of_them() -> None:
    zone = a_zone()
    zone.add(an_offer_of("fra-1", price_per_mwh=Decimal(500), notice_s=700, full_activation_s=2000))

    (line,) = the_book(zone).offers

    assert (line.state, set(line.codes)) == ("REJECTED", {"PRICE_CAP", "NOTICE", "FULL_ACTIVATION"})
    assert line.reason.count(";") == 2
    assert the_book(zone).offered_w == 0


def test_what_was_withdrawn_offers_nothing() -> None:
    zone = a_zone()
    zone.add(an_offer_of("fra-1"), "participant:acme-ai")
    zone.add(an_offer_withdrawal(offer_id="of-fra-1"), "participant:acme-ai")

    (line,) = the_book(zone).offers
    assert (line.state, line.reason, the_book(zone).offered_w) == ("WITHDRAWN", "", 0)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("REFUSED", "the site refused its order"), (None, "the site did not answer its order in time")],
)
def test_an_award_that_failed_says_why_in_words(answer: str | None, reason: str) -> None:
    zone = a_zone()
    zone.add(an_offer_of("fra-1"), "participant:acme-ai")
    zone.run_until(utc("17:00"))
    (line,) = the_book(zone).offers
    assert line.order_id is not None
    if answer:
        refusal = an_order_response(order_id=line.order_id, site="fra-1", participant="acme-ai", response=answer)
        zone.add(refusal, "participant:acme-ai")
    else:
        zone.run_until(utc("18:30"))

    (line,) = the_book(zone).offers
    assert (line.state, line.reason) == ("FAILED_AWARD", reason)


def test_an_option_is_priced_over_the_order_it_would_have() -> None:
    zone = a_zone()
    zone.add(an_offer_of("fra-1", price_per_mwh=Decimal(80), activation_fee=Decimal(90)))  # 9 MWh in 45 minutes
    zone.add(an_offer_of("ber-1", price_per_mwh=Decimal(80), activation_fee=Decimal(90), max_duration_s=900))
    zone.add(an_offer_of("muc-1", price_per_mwh=Decimal(95)))
    prices = {line.site: line.options[0].effective_price_per_mwh for line in the_book(zone).offers}
    assert list(prices.items()) == [("fra-1", Decimal(90)), ("muc-1", Decimal(95)), ("ber-1", Decimal(110))]
    zone.run_until(utc("19:00"))
    assert {line.site: line.options[0].effective_price_per_mwh for line in the_book(zone).offers} == prices


def test_an_option_that_would_have_no_order_has_no_price() -> None:
    zone = a_zone()
    zone.add(an_offer_of("fra-1", starts_at=utc("18:45"), ends_at=utc("19:00")))
    (line,) = the_book(zone).offers
    assert (line.state, line.options[0].effective_price_per_mwh) == ("REJECTED", None)


def test_one_code_is_one_thing_of_a_broken_rule_and_another_of_a_loss() -> None:
    zone = a_zone()
    zone.add(an_offer_of("fra-1", min_duration_s=1800, max_duration_s=900))
    (line,) = the_book(zone).offers
    assert (line.codes, line.reason) == (["DURATION"], CODES["DURATION"].meaning)
    assert why_lost(line.codes) == CODES["DURATION"].lost != line.reason


def test_a_code_without_words_speaks_for_itself() -> None:
    assert why_lost(["OUTBID", "SOMETHING_NEW"]) == f"{CODES['OUTBID'].lost}; SOMETHING_NEW"
