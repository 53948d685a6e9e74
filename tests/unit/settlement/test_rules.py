"""A settlement rule has one text and one sha256; a text that is no rule is refused with what is wrong."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.settlement.pinned import pinned, rule_faults
from gridsignal_services.settlement.rules import (
    MAX_RULE_TEXT,
    SHIPPED,
    STANDARD,
    Missing,
    RuleFault,
    SettlementRule,
    minor_unit,
    shipped_rule,
)
from tests.builders import a_dispatch_request

SHIPPED_SHA256 = {
    ("firm", 1): "8a98aefd4d8b466ef608b65608107a44f42cfe7e172cfb738b891401bc2247de",
    ("half-hour-gb", 1): "efcd6805542225a143e3ebc5f55320db50d8f314fd6b9f92fc5a3661760e90ea",
    ("half-hour-in", 1): "d935eba108ac04de59cfa250afe72d48780a41c25f76e4415408efdf35e83a6a",
    ("import-limit", 1): "b1caeca399a68eea27b3e3b3eba4069208eeaaaa54dd271d9bcadd83288f7fb9",
    ("standard", 1): "11b22a5688490ea53e32b0de60fd2bbfd4e91a704a1bc4f2ec5395001f31277c",
    ("uftp", 1): "5bbaba44fe9671a6ac4068a6abcdbbba132d2d1d3847fe758c4545268e73d6f0",
}
"""Requests on logs name rules by these: another text is another version."""

hundredths = st.decimals("0", "1", places=2)
rules = st.builds(
    lambda **parameters: SettlementRule(name="ours", **parameters),
    version=st.integers(1, 9),
    interval_s=st.sampled_from([60, 300, 900, 1800, 3600]),
    time_zone=st.sampled_from(["UTC", "Europe/London", "Asia/Kolkata"]),
    deficiency_multiplier=st.none() | hundredths,
    tolerance_share=hundredths,
    tolerance_w=st.integers(0, 10**9),
    minimum_order_share=hundredths,
    missing=st.sampled_from(Missing),
    currency_places=st.dictionaries(st.sampled_from(["EUR", "JPY", "KWD"]), st.integers(0, 4)),
)


@given(rules)
def test_a_rule_is_read_back_from_its_text_and_its_sha256_is_the_texts(rule: SettlementRule) -> None:
    assert SettlementRule.parse(rule.text) == rule
    assert rule.sha256 == sha256(rule.text.encode()).hexdigest()
    assert len(rule.text) <= MAX_RULE_TEXT


def test_shipped_rules_keep_their_text() -> None:
    assert {(rule.name, rule.version): rule.sha256 for rules in SHIPPED.values() for rule in rules} == SHIPPED_SHA256


def test_a_rule_is_found_by_name_and_version() -> None:
    assert shipped_rule("standard") == shipped_rule("standard", 1) == STANDARD
    with pytest.raises(RuleFault, match=r"expected one of firm 1, .*, got 'standard 2'"):
        shipped_rule("standard", 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": None}, "/name: expected a valid string, got None"),
        ({"grace_s": 5}, "/grace_s: expected no such field"),
        ({"interval_s": 420}, "/interval_s: expected seconds that divide an hour, such as 900 or 1800, got 420"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone: expected an IANA time zone such as Europe/Berlin, got 'Mars/O"),
        ({"tolerance_share": "1.5"}, "/tolerance_share: expected 0 to 1, got 1.5"),
        ({"tolerance_share": 0.5}, "/tolerance_share: expected a decimal as text"),
        ({"missing": "MEAN"}, "/missing: expected 'NOTHING', 'ZERO' or 'ESTIMATE', got 'MEAN'"),
        ({"pricing": "UNKNOWN"}, "/pricing: expected one of PAY_AS_BID, PAY_AS_CLEARED, REGULATED, UNPAID, got"),
        ({"currency_places": {"EUR": 5}}, "/currency_places/EUR: expected less than or equal to 4, got 5"),
        ({"final_after_s": 5, "missing_after_s": 5}, "expected provisional_after_s to be at most final_after_s (5)"),
        ({"missing_after_s": 2592001}, "expected missing_after_s to be at most final_after_s (2592000), got 2592001"),
        (
            {"deficiency_price_per_mwh": "1", "deficiency_multiplier": "1"},
            "expected a deficiency price or a deficiency multiplier, got both",
        ),
        (
            {"pricing": "UNPAID", "deficiency_multiplier": "1.5"},
            "expected a deficiency price with pricing UNPAID, got a multiplier: nothing times it is nothing",
        ),
        (
            {"regulated_price_per_mwh": "0", "deficiency_multiplier": "1.5"},
            "expected a regulated price other than 0 with a deficiency multiplier, got 0",
        ),
        (
            {"pricing": "UNPAID", "regulated_price_per_mwh": "1"},
            "expected a regulated price with pricing REGULATED alone, got it with UNPAID",
        ),
    ],
)
def test_wrong_parameters_are_refused_with_what_is_wrong(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleFault) as refused:
        SettlementRule.of({"name": "ours", "version": 1, **parameters})
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected JSON, got something else at line 1, column 1"),
        ('{"name":"a","name":"b","version":1}', "/name: expected the key once, got it twice"),
        ('{"name":"a","version":1}', "expected the canonical text with every parameter, got another from character 2"),
        (STANDARD.text.replace(",", ", "), "expected the canonical text"),
        (STANDARD.text + " " * MAX_RULE_TEXT, f"expected at most {MAX_RULE_TEXT} characters, got"),
    ],
)
def test_a_text_that_is_not_the_canonical_one_is_refused(text: str, message: str) -> None:
    with pytest.raises(RuleFault) as refused:
        SettlementRule.parse(text)
    assert message in str(refused.value)


def test_a_text_says_the_same_rule_on_every_machine_whatever_time_zones_it_knows() -> None:
    text = STANDARD.text.replace('"UTC"', '"Mars/Olympus"')
    assert SettlementRule.parse(text).time_zone == "Mars/Olympus"
    with pytest.raises(
        RuleFault, match=r"/time_zone: expected an IANA time zone such as Europe/Berlin, got '\.\./etc'"
    ):
        SettlementRule.parse(STANDARD.text.replace('"UTC"', '"../etc"'))


def test_money_has_the_decimals_of_its_currency_unless_the_rule_says_others() -> None:
    assert [minor_unit(currency) for currency in ("EUR", "JPY", "KWD", "CLF")] == [2, 0, 3, 4]
    rule = SettlementRule.of({"name": "ours", "version": 1, "currency_places": {"EUR": 4}})
    assert (rule.places_of("EUR"), rule.places_of("JPY")) == (4, 0)


def test_a_request_that_pays_nothing_brings_no_rule_that_charges_a_multiple_of_it() -> None:
    rule = pinned(SettlementRule(name="ours", version=1, deficiency_multiplier=Decimal("1.5")))
    assert not rule_faults(a_dispatch_request(settlement=rule, pricing="REGULATED"))
    (wrong,) = rule_faults(a_dispatch_request(settlement=rule, pricing="UNPAID"))
    assert (wrong.code, wrong.pointer) == ("RULE", "/pricing")
    assert wrong.message.endswith("a multiple of it, got UNPAID")
