"""A configuration says what it means, or what is wrong with it and where."""

from __future__ import annotations

import pytest

from gridsignal.agent.config import Mode, WrongConfig, config_of

GOOD = """\
site = "fra-1"
mode = "confirm"
token_file = "acme.token"

[actuator]
kind = "command"
apply = ["site-cap", "--shed", "{shed_w}", "--until", "{until}"]
observe = ["site-cap", "--show"]

[meter]
name = "main"

[meter.source]
kind = "csv"
file = "power.csv"

[baseline]
power_w = 36_000_000

[offers]
price_per_mwh = "89.90"
most_w = 12_000_000

[orders]
restore_s = 120
"""


def test_a_configuration_has_what_it_says_and_defaults_for_the_rest() -> None:
    config = config_of(GOOD.encode(), "site.toml")
    assert config.mode is Mode.CONFIRM
    assert config.orders.manner.restore_s == 120
    assert config.orders.patience.verify_s == 300


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("kind = \"command\"", "kind = \"comand\"", 6, "actuator.kind: expected one of 'simulated', 'command'"),
        ("price_per_mwh", "prize_per_mwh", 21, "offers.prize_per_mwh: expected one of price_per_mwh, most_w,"),
        ("mode = \"confirm\"", "mode = \"confrim\"", 2, "mode: expected 'automatic', 'confirm', 'advise' or 'dry-run'"),
        ("{shed_w}", "{shed_kw}", 7, "actuator.apply: expected one of {cap_w}, {now}, {reason}, {shed_w}, {until}"),
        ("36_000_000", "\"36MW\"", 18, "baseline.power_w: expected a valid integer, got '36MW'"),
        ("\"89.90\"", "89.9", 21, "offers.price_per_mwh: expected a price per MWh as text such as \"89.90\", got 89.9"),
        ("site = \"fra-1\"\n", "", None, "site: expected a value, got nothing"),
        ("file = \"power.csv\"", "fil = \"power.csv\"", 15, "meter.source.fil: expected one of kind, file, time"),
        ("[baseline]", "[baseline", None, "expected TOML: Expected ']'"),
    ],
)  # fmt: skip
def test_a_typo_is_told_with_its_line_what_was_expected_and_what_was_got(
    old: str, new: str, line: int | None, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(WrongConfig) as wrong:
        config_of(GOOD.replace(old, new).encode(), "site.toml")
    where = f"site.toml: line {line}: " if line else "site.toml: "
    assert any(told.startswith(f"{where}{says}") for told in str(wrong.value).splitlines()), str(wrong.value)
