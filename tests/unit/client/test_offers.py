"""The terms of an offer that follow from the request."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal import MW, EnergyCertificate, FlexOffer, UsageError
from gridsignal.ids import standing_id
from gridsignal.offers import SHED, deadline_of, money, offer_body, option_for, standing_body
from tests.builders import a_dispatch_request

REQUEST = a_dispatch_request()


def test_an_offer_covers_the_requests_window_and_is_divisible_down_to_its_smallest_award() -> None:
    option = option_for(REQUEST, 12 * MW, "90", {})
    assert (option.starts_at, option.ends_at) == (REQUEST.starts_at, REQUEST.ends_at)
    assert (option.power_w, option.price_per_mwh) == (12 * MW, Decimal(90))
    assert option.divisible
    assert option.min_power_w == REQUEST.min_quantity_w
    assert option.full_activation_s == REQUEST.full_activation_s
    assert option.max_duration_s == (REQUEST.ends_at - REQUEST.starts_at) // timedelta(seconds=1)


@given(
    power_w=st.integers(1, 100 * MW),
    full_activation_s=st.integers(1, 7200),
    max_notice_s=st.integers(0, 7200),
    steepest=st.none() | st.integers(1, 100 * MW),
)
def test_notice_and_ramp_reach_the_power_in_time_wherever_the_operators_ramp_allows_it(
    power_w: int, full_activation_s: int, max_notice_s: int, steepest: int | None
) -> None:
    request = REQUEST.model_copy(
        update={
            "full_activation_s": full_activation_s,
            "max_notice_s": max_notice_s,
            "max_ramp_w_per_min": steepest,
        }
    )
    option = option_for(request, power_w, 90, {})
    assert option.notice_s <= max_notice_s
    assert steepest is None or option.ramp_down_w_per_min <= steepest
    possible = steepest is None or power_w * 60 <= steepest * full_activation_s
    reached = power_w * 60 <= option.ramp_down_w_per_min * (full_activation_s - option.notice_s)
    assert reached == possible or not possible


def test_every_term_can_be_said() -> None:
    option = option_for(
        REQUEST, 12 * MW, "90", {"option": "half", "notice_s": 5, "levels_w": [6 * MW, 12 * MW], "divisible": False}
    )
    assert (option.option, option.notice_s, option.divisible) == ("half", 5, False)
    assert option.levels_w == [6 * MW, 12 * MW]


def test_terms_that_break_the_contract_name_the_field() -> None:
    with pytest.raises(UsageError, match="power_w"):
        option_for(REQUEST, 0, "90", {})
    with pytest.raises(UsageError, match="notice_s"):
        option_for(REQUEST, 12 * MW, "90", {"notice_s": -1})


@pytest.mark.parametrize("price", [90.5, True, "ninety", None])
def test_a_price_is_exact_or_refused(price: object) -> None:
    with pytest.raises(UsageError, match="price"):
        money(price, "price")  # type: ignore[arg-type]  # what a careless caller passes


def test_the_body_is_a_flex_offer_once_the_gateway_has_added_the_participant() -> None:
    body = offer_body(
        REQUEST,
        option_for(REQUEST, 12 * MW, "90", {}),
        offer_id="ours",
        revision=1,
        flexibility=SHED,
        expires_at=None,
        site="fra-1",
    )
    offer = FlexOffer.model_validate(body | {"participant": "acme-ai"})
    assert (offer.request_id, offer.request_revision) == (REQUEST.request_id, REQUEST.revision)
    assert offer.expires_at == REQUEST.ends_at  # it stands by until the request is over


def test_an_offer_names_its_certificates_and_none_where_it_has_none() -> None:
    certificate = EnergyCertificate(certificate_id="gc-7", energy_wh=250_000, source="WIND")
    said: dict[str, Any] = {"offer_id": "ours", "revision": 1, "flexibility": SHED, "expires_at": None, "site": "fra-1"}
    option = option_for(REQUEST, 12 * MW, "90", {})
    named, bare = offer_body(REQUEST, option, **said, certificates=[certificate]), offer_body(REQUEST, option, **said)
    assert FlexOffer.model_validate(named | {"participant": "acme-ai"}).certificates == [certificate]
    assert "certificates" not in bare


def test_an_offer_is_too_late_at_gate_closure_or_when_it_expires() -> None:
    gate = REQUEST.gate_closure_at
    assert deadline_of(REQUEST, gate + timedelta(hours=1)) == gate
    assert deadline_of(REQUEST, gate - timedelta(hours=1)) == gate - timedelta(hours=1)
    assert deadline_of(None, gate) == gate


def test_what_stands_is_the_same_offer_whenever_a_program_says_it() -> None:
    until = {"ends_at": REQUEST.ends_at, "full_activation_s": 120, "max_duration_s": 3600}
    terms: dict[str, Any] = {"currency": "EUR", "hours": (), "offer_id": "o", "revision": 1, "flexibility": SHED}
    body = standing_body("EMERGENCY_SHED", 5 * MW, "300", until, site="fra-1", **terms)
    assert body["options"][0]["starts_at"] == "2000-01-01T00:00:00Z"
    assert standing_id("fra-1", "EMERGENCY_SHED") == "1548d264-de22-5a02-a55f-68ff0420a7cb"
    assert standing_id("fra-2", "EMERGENCY_SHED") != standing_id("fra-1", "EMERGENCY_SHED")
    assert standing_id("fra-1", "MFRR_EU") != standing_id("fra-1", "EMERGENCY_SHED")
