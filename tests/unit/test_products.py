"""What a product lays down: inherited, stayed inside of, pinned in the request, and changed by a registry."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from gridsignal_schemas.messages import Direction, DispatchRequest, PinnedRule
from gridsignal_schemas.rules.products import ProductTerms, product_faults, terms_of
from gridsignal_schemas.values import MW
from gridsignal_services.dispatch import commands
from gridsignal_services.dispatch.shapes import RequestBody
from gridsignal_services.products import SHIPPED
from gridsignal_services.registry import Registry
from gridsignal_services.settings import ConfigError
from gridsignal_services.settlement.rules import SHIPPED as RULES
from tests.builders import a_dispatch_request, a_flex_offer, an_option, utc
from tests.unit.ledger.market import Market

ZONES = '[zones.DE-LU]\ncurrency = "EUR"\ntimezone = "Europe/Berlin"\n'
OWN = "[products.MFRR_EU]\nversion = 2\nterms = { min_quantity_w = 5_000_000 }\n"
FIXED = '[products.a]\nversion = 3\nterms = { full_activation_s = 60, direction = "LOAD_DECREASE" }\n'
NAMES = {"DR_SCHEDULED", "DR_FAST", "EMERGENCY_SHED", "MFRR_EU", "AFRR_EU", "REG", "SURPLUS_UP", "ENVELOPE"}


def terms(name: str) -> ProductTerms:
    found = SHIPPED[name].terms
    assert found is not None
    return found


def asked(product: str, registry: str = "", **said: Any) -> DispatchRequest:
    """What the door makes of a question of 15 minutes."""
    body = RequestBody(
        zone="DE-LU",
        direction=said.pop("direction", Direction.LOAD_DECREASE),
        power_w=12 * MW,
        starts_at=utc("18:00"),
        ends_at=utc("18:15"),
        gate_closure_at=utc("17:00"),
        decision_deadline=utc("17:10"),
        product=product,
        **said,
    )
    return commands.asked(body, "r1", 1, "tso-north", Registry.parse(ZONES + registry))


def faults(request: DispatchRequest) -> list[tuple[str, str, str]]:
    return [(each.code, each.pointer, each.message) for each in product_faults(request)]


def test_the_products_of_the_field_ship_and_each_is_settled_by_a_rule_that_ships() -> None:
    assert set(SHIPPED) == NAMES
    known = {f"{rule.name} {rule.version}" for rules in RULES.values() for rule in rules}
    assert {product.settlement for product in SHIPPED.values()} <= known
    mfrr = terms("MFRR_EU")
    assert mfrr.full_activation_s is not None
    assert (mfrr.full_activation_s.usual, terms("AFRR_EU").cadence_s, terms("REG").cadence_s) == (750, 4, 2)
    assert mfrr.duration_s is not None
    assert mfrr.duration_s.least == 300


def test_a_request_inherits_what_it_leaves_out_and_brings_the_terms_it_inherits() -> None:
    request = asked("MFRR_EU")
    assert (request.full_activation_s, request.max_notice_s, request.respond_within_s) == (750, 150, 60)
    assert request.min_quantity_w == MW
    assert request.product_terms == terms("MFRR_EU").pinned
    assert request.settlement is not None
    assert request.settlement.name == "firm"
    assert faults(request) == []


def test_what_it_says_counts_where_it_stays_inside() -> None:
    request = asked("MFRR_EU", max_notice_s=300, min_quantity_w=2 * MW)
    assert (request.max_notice_s, request.min_quantity_w, faults(request)) == (300, 2 * MW, [])


def test_a_product_that_nobody_named_lays_down_nothing() -> None:
    request = asked("flexibility")
    assert (request.full_activation_s, request.product_terms, faults(request)) == (900, None, [])


@pytest.mark.parametrize(
    ("said", "pointer", "message"),
    [
        ({"full_activation_s": 900}, "/full_activation_s", "expected 750 by MFRR_EU 1, got 900"),
        ({"max_notice_s": 751}, "/max_notice_s", "expected 0 to 750 by MFRR_EU 1, got 751"),
        ({"min_quantity_w": 0}, "/min_quantity_w", "expected 1000000 to 50000000 by MFRR_EU 1, got 0"),
    ],
)
def test_what_lies_outside_names_product_field_expected_and_got(
    said: dict[str, int], pointer: str, message: str
) -> None:
    assert faults(asked("MFRR_EU", **said)) == [("OUTSIDE_PRODUCT", pointer, message)]


def test_direction_and_length_are_the_products_too() -> None:
    up = asked("EMERGENCY_SHED", direction=Direction.LOAD_INCREASE)
    assert faults(up) == [
        ("OUTSIDE_PRODUCT", "/direction", "expected LOAD_DECREASE by EMERGENCY_SHED 1, got LOAD_INCREASE")
    ]
    brief = asked("MFRR_EU").model_copy(update={"ends_at": utc("18:04")})
    assert faults(brief) == [
        ("OUTSIDE_PRODUCT", "/ends_at", "expected 300 to 3600 s after starts_at by MFRR_EU 1, got 240")
    ]


def test_the_ledger_refuses_a_request_outside_its_product_or_with_the_terms_of_another() -> None:
    market, pinned = Market(), terms("MFRR_EU").pinned
    assert market.ask(product="MFRR_EU", product_terms=pinned, full_activation_s=900).code == "OUTSIDE_PRODUCT"
    inside = {"full_activation_s": 750, "max_notice_s": 600, "min_quantity_w": MW, "respond_within_s": 60}
    assert market.ask(product="DR_FAST", product_terms=pinned, **inside).code == "RULE"
    forged = pinned.model_copy(update={"sha256": "0" * 64})
    assert market.ask(product="MFRR_EU", product_terms=forged, **inside).code == "RULE_HASH"
    spaced = pinned.parameters.replace(",", ", ")
    other = PinnedRule(name="MFRR_EU", version=1, sha256=sha256(spaced.encode()).hexdigest(), parameters=spaced)
    assert market.ask(product="MFRR_EU", product_terms=other, **inside).code == "RULE"
    assert market.ask(product="MFRR_EU", product_terms=pinned, **inside).accepted


def test_an_offer_that_asks_for_a_longer_rest_than_the_product_has_is_rejected() -> None:
    market = Market("acme")
    inside = {"full_activation_s": 750, "max_notice_s": 600, "min_quantity_w": MW, "respond_within_s": 60}
    request = a_dispatch_request(request_id="r2", product="MFRR_EU", product_terms=terms("MFRR_EU").pinned, **inside)
    assert market.add(request, "operator:tso-north").accepted
    codes = {}
    for rest in (28_800, 28_801):
        option = an_option(rest_s=rest, full_activation_s=750)
        offer = a_flex_offer(offer_id=f"o{rest}", request_id="r2", participant="acme", site="acme-1", options=[option])
        codes[rest] = [(each.code, each.pointer) for each in market.add(offer, "participant:acme").faults]
    assert codes == {28_800: [], 28_801: [("OUTSIDE_PRODUCT", "/options/0/rest_s")]}


def test_a_registry_changes_a_product_that_ships_and_adds_its_own() -> None:
    changed = asked("MFRR_EU", OWN)
    assert changed.min_quantity_w == 5 * MW
    assert changed.product_terms is not None
    kept = terms_of(changed.product_terms.parameters)
    assert (kept.version, kept.rest_s) == (2, terms("MFRR_EU").rest_s)
    assert changed.product_terms.sha256 != terms("MFRR_EU").pinned.sha256
    own = asked("a", FIXED)
    assert own.full_activation_s == 60
    assert own.settlement is not None
    assert own.settlement.name == "standard"


def test_an_amendment_keeps_the_terms_whatever_the_registry_says_by_then() -> None:
    first = asked("MFRR_EU")
    body = RequestBody(**{name: getattr(first, name) for name in ("zone", "direction", "power_w", "starts_at")},
                       ends_at=first.ends_at, gate_closure_at=first.gate_closure_at, product="MFRR_EU",
                       decision_deadline=first.decision_deadline)  # fmt: skip
    second = commands.asked(body, "r1", 2, "tso-north", Registry.parse(ZONES + OWN), first)
    assert second == first.model_copy(update={"revision": 2})


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            "[products.MFRR_EU]\nterms = { min_quantity_w = 5 }\n",
            "products.MFRR_EU.version: expected more than 1, the version that ships, got none",
        ),
        ("[products.a]\nversion = 2\n", "products.a.version: expected terms, of which it is the version, got none"),
        (
            "[products.a]\nterms = { rest = 5 }\n",
            "products.a.terms.rest: ",
        ),
        (
            "[products.a]\nterms = { rest_s = 5, name = 'b' }\n",
            "products.a.terms.name: expected no such key, got 'b'",
        ),
        (
            "[products.a]\nterms = { full_activation_s = { usual = 5, least = 6, most = 9 } }\n",
            "products.a.terms.full_activation_s: expected usual from least to most (6 to 9), got 5",
        ),
        (
            "[products.'a b']\nterms = { rest_s = 5 }\n",
            "products.a b.terms.name: ",
        ),
    ],
)
def test_a_row_that_says_no_terms_refuses_to_start(row: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Registry.parse(ZONES + row)
    assert any(expected in fault for fault in refused.value.faults), refused.value.faults
