"""An amendment does to each offer what the rules say of it now, whether or not they are asked about each option."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import DispatchRequest
from gridsignal_schemas.rules.lifecycle import OfferState
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.needs import needs_of, still_fits
from gridsignal_services.ledger.rules import request_fit_faults
from tests.builders import a_flex_offer, an_option, utc
from tests.unit.ledger.market import OPERATORS_NAME, Market

OPTION = st.fixed_dictionaries(
    {
        "from": st.integers(-2, 1),
        "lasts": st.integers(3, 5),
        "power_w": st.integers(1, 12).map(lambda number: number * MW),
        "price_per_mwh": st.integers(50, 150).map(Decimal),
        "notice_s": st.integers(0, 500),
        "full_activation_s": st.integers(600, 1200),
    }
)
OFFER = st.tuples(st.integers(0, 2), st.lists(OPTION, min_size=1, max_size=3))
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "starts_at": st.integers(0, 2).map(lambda number: utc("18:00") + number * timedelta(minutes=15)),
        "ends_at": st.integers(-1, 3).map(lambda number: utc("18:45") + number * timedelta(minutes=15)),
        "max_notice_s": st.integers(300, 900),
        "full_activation_s": st.integers(900, 1200),
        "price_cap_per_mwh": st.one_of(st.none(), st.integers(50, 150).map(Decimal)),
        "min_quantity_w": st.integers(0, 12).map(lambda number: number * MW),
        "visibility": st.sampled_from(["PUBLIC", "LISTED"]),
        "audience": st.lists(st.sampled_from(["p0", "p1", "p2"]), unique=True),
        "power_w": st.integers(12, 30).map(lambda number: number * MW),
        "text": st.text("abc", max_size=3),
    },
)


def option(number: int, given: dict[str, Any]) -> Any:
    starts_at = utc("18:00") + timedelta(minutes=15 * given["from"])
    fields = {name: value for name, value in given.items() if name not in ("from", "lasts")}
    ends_at = starts_at + timedelta(minutes=15 * given["lasts"])
    ramps = {"ramp_down_w_per_min": 100 * MW, "ramp_up_w_per_min": 100 * MW, "min_power_w": 0}
    return an_option(option=f"o{number}", starts_at=starts_at, ends_at=ends_at, **ramps, **fields)


def with_offers(offers: list[tuple[int, list[dict[str, Any]]]]) -> Market:
    market = Market()
    for who in ("p0", "p1", "p2"):
        market.site(who, baseline_w=40 * MW)
        market.baseline(who, 15 * MW, starts_at=utc("18:45"))  # from then on there is little room
    terms = {"max_notice_s": 900, "full_activation_s": 1200, "price_cap_per_mwh": None, "min_quantity_w": 0}
    assert market.ask(**terms, step_w=None, decision_deadline=utc("17:02")).accepted
    for number, (who, options) in enumerate(offers):
        made = [option(at, given) for at, given in enumerate(options)]
        name = {"participant": f"p{who}", "site": f"p{who}-1", "offer_id": f"offer-{number}"}
        market.add(a_flex_offer(**name, options=made), f"participant:p{who}")
    return market


def amended(market: Market, changes: dict[str, Any]) -> bool:
    fields = dict(market.request) | {"revision": market.request.revision + 1} | changes
    return market.add(DispatchRequest(**fields), OPERATORS_NAME).accepted


@given(st.lists(OFFER, max_size=12), st.lists(CHANGES, min_size=1, max_size=4))
def test_an_amendment_leaves_standing_what_keeps_to_every_rule(
    offers: list[tuple[int, list[dict[str, Any]]]], amendments: list[dict[str, Any]]
) -> None:
    market = with_offers(offers)
    book, asked = market.ledger.book, market.ledger.requests[market.request.request_id]
    for changes in amendments:
        live = [offer for offer in book.offers.values() if offer.state is OfferState.LIVE]
        if not amended(market, changes):
            continue
        for offer in live:
            codes = tuple(dict.fromkeys(broken.code for broken in request_fit_faults(book, asked.request, offer.offer)))
            assert (offer.state, offer.codes) == (OfferState.REJECTED if codes else OfferState.LIVE, codes)
            assert codes or offer.request_revision == asked.request.revision
    market.replayed()


def test_where_the_site_has_room_the_rules_need_not_be_asked() -> None:
    market = with_offers([(number % 3, [{**AN_EASY_ONE, "from": number % 3}] * 8) for number in range(30)])
    assert all(offer.state is OfferState.LIVE for offer in market.ledger.offers.values())
    assert amended(market, {"text": "again", "max_notice_s": 800, "price_cap_per_mwh": Decimal(100)})
    for offer in market.ledger.offers.values():
        assert still_fits(market.request, offer.offer, needs_of(offer.offer), 28 * MW)
        assert not still_fits(market.request, offer.offer, needs_of(offer.offer), None)


AN_EASY_ONE = {
    "from": 0,
    "lasts": 3,
    "power_w": 12 * MW,
    "price_per_mwh": Decimal(90),
    "notice_s": 60,
    "full_activation_s": 600,
}
