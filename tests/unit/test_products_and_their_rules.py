"""The registry's products: by which rule what is asked for is settled."""

from __future__ import annotations

import pytest

from gridsignal_services.registry import Registry
from gridsignal_services.settings import ConfigError
from gridsignal_services.settlement.methods import METHODS
from gridsignal_services.settlement.pinned import DECLARED, STANDARD_RULE, method_said, rule_of
from gridsignal_services.settlement.rules import SettlementRule

ZONES = '[zones.DE-LU]\ncurrency = "EUR"\ntimezone = "Europe/Berlin"\n'
OWN = SettlementRule(name="half-hours", version=2, interval_s=1800)
RULES = f'[rules.half-hours]\nversion = 2\nsha256 = "{OWN.sha256}"\n[rules.half-hours.parameters]\ninterval_s = 1800\n'


def test_a_product_that_is_not_listed_is_settled_by_the_standard_rule_against_the_declared_baseline() -> None:
    assert Registry.parse(ZONES).rules_of("flexibility") == (STANDARD_RULE, DECLARED)


def test_a_product_has_the_rule_that_its_row_names_whether_it_ships_or_is_ones_own() -> None:
    products = '[products.a]\nsettlement = "uftp 1"\n[products."b c"]\nsettlement = "half-hours 2"\n'
    registry = Registry.parse(ZONES + RULES + products)

    assert registry.rules_of("a")[0].name == "uftp"
    own, method = registry.rules_of("b c")
    assert rule_of(own.parameters) == OWN
    assert method == DECLARED


def test_a_product_has_the_baseline_method_that_its_row_names() -> None:
    registry = Registry.parse(ZONES + '[products.a]\nbaseline = "uk-bl01 1"\n')

    _, method = registry.rules_of("a")
    assert (method.name, method.version, method.sha256) == ("uk-bl01", 1, METHODS["uk-bl01"].sha256)
    assert method_said(method).parameters == METHODS["uk-bl01"].parameters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[products.a]\nsettlement = "nothing 1"\n', "products.a.settlement: expected one of half-hours 2, "),
        ('[products.a]\nsettlement = "standard 7"\n', "got 'standard 7'"),
        ('[products.a]\nbaseline = "nothing 1"\n', "products.a.baseline: expected one of declared 1, caiso"),
        ('[products.a]\nbaseline = "pjm-3-plus-2 1"\n', "got 'pjm-3-plus-2 1'"),
        ('[zones.X]\ncurrency = "EUR"\ntimezone = "UTC"\nholidays = "XX"\n', "zones.X.holidays: expected a country"),
        (
            '[rules.standard]\nversion = 1\nsha256 = "' + "0" * 64 + '"\n',
            "rules.standard: expected a name of one's own",
        ),
        (
            '[rules.b]\nversion = 1\nsha256 = "' + "0" * 64 + '"\n',
            f"rules.b.sha256: expected {SettlementRule(name='b', version=1).sha256}, that of its parameters",
        ),
        (
            '[rules.b]\nversion = 1\nsha256 = "' + "0" * 64 + '"\n[rules.b.parameters]\nmissing = "ESTIMATE"\n',
            "rules.b.parameters.missing: expected NOTHING or ZERO, for no record of the log says what an operator",
        ),
        (
            '[rules.b]\nversion = 1\nsha256 = "' + "0" * 64 + '"\n[rules.b.parameters]\ninterval_s = 7\n',
            "rules.b.parameters.interval_s: ",
        ),
    ],
)
def test_a_rule_that_is_unknown_or_not_its_text_refuses_to_start(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Registry.parse(ZONES + RULES + text)

    assert any(expected in fault for fault in refused.value.faults), refused.value.faults


def test_a_product_whose_rule_charges_what_lacks_and_lets_silence_pass_is_warned_of() -> None:
    firm = '[products.a]\nsettlement = "firm 1"\n[products.b]\nsettlement = "standard 1"\n'
    assert Registry.parse(ZONES + firm).warnings() == []
    for missing, is_warned in (("NOTHING", True), ("ZERO", False)):
        parameters = {"missing": missing, "deficiency_multiplier": "1.5"}
        sha256 = SettlementRule.of({"name": "own", "version": 1} | parameters).sha256
        rows = "".join(f'{name} = "{value}"\n' for name, value in parameters.items())
        row = f'[rules.own]\nversion = 1\nsha256 = "{sha256}"\n[rules.own.parameters]\n{rows}'
        product = '[products.a]\nsettlement = "own 1"\n'
        assert bool(Registry.parse(ZONES + product + row).warnings()) is is_warned
