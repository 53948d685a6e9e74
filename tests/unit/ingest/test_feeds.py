"""The feeds file: order of preference, settings, secrets from the environment alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridsignal_services.ingest.feed import Signal
from gridsignal_services.ingest.feeds import Feeds, settings_of
from gridsignal_services.ingest.watch import Feed
from gridsignal_services.settings import ConfigError

TEXT = """
[zones.DE-LU]
price = ["entsoe", "energy_charts"]

[zones.US-CAL-CISO]
carbon = ["watttime"]

[providers.watttime]
signal_type = "co2_moer"
region.US-CAL-CISO = "CAISO_NORTH"
"""
SECRETS = {
    "GRIDSIGNAL_FEED_ENTSOE_TOKEN": "hush",
    "GRIDSIGNAL_FEED_WATTTIME_USER": "us",
    "GRIDSIGNAL_FEED_WATTTIME_PASSWORD": "hush-too",
    "HOME": "elsewhere",
}


def faults(text: str, environment: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        Feeds.parse(text, SECRETS if environment is None else environment)
    return caught.value.faults


def test_a_file_names_feeds_in_order_of_preference() -> None:
    found = Feeds.parse(TEXT, SECRETS)
    assert found.feeds == (
        Feed("DE-LU", Signal.PRICE, ("entsoe", "energy_charts")),
        Feed("US-CAL-CISO", Signal.CARBON, ("watttime",)),
    )
    assert found.settings["watttime"] == {
        "signal_type": "co2_moer", "region.US-CAL-CISO": "CAISO_NORTH", "user": "us", "password": "hush-too"
    }  # fmt: skip
    assert found.settings["entsoe"] == {"token": "hush"}


def test_settings_are_not_shown() -> None:
    assert "hush" not in repr(Feeds.parse(TEXT, SECRETS))


def test_every_missing_secret_is_named_by_its_variable() -> None:
    assert faults(TEXT, {}) == (
        "GRIDSIGNAL_FEED_ENTSOE_TOKEN: expected a value for entsoe, got nothing",
        "GRIDSIGNAL_FEED_WATTTIME_USER: expected a value for watttime, got nothing",
        "GRIDSIGNAL_FEED_WATTTIME_PASSWORD: expected a value for watttime, got nothing",
    )


def test_a_secret_in_the_file_is_refused_without_its_value() -> None:
    (fault,) = faults(TEXT + '[providers.entsoe]\ntoken = "hush"\n')
    assert "GRIDSIGNAL_FEED_ENTSOE_TOKEN, not in a file" in fault
    assert "hush" not in fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "zones: expected a table"),
        ("zones = 3", "zones: expected a table"),
        ("[[", "expected TOML"),
        ("[zones.FR]\nprice = []", "zones.FR.price: expected a list of different providers"),
        ('[zones.FR]\nprice = ["entsoe", "entsoe"]', "zones.FR.price: expected a list of different providers"),
        ('[zones.FR]\nprice = ["nobody"]', "zones.FR.price: expected some of aemo, energy_charts, entsoe"),
        ('[zones.FR]\nevent = ["entsoe"]', "zones.FR.event: expected some of openadr3"),
        ('[zones.FR]\nweather = ["entsoe"]', "zones.FR.weather: expected one of price, carbon"),
        ("[zones.FR]", "zones.FR: expected a list of providers for each signal"),
        ('[zones."F R"]\nprice = ["entsoe"]', "zones.F R: expected letters"),
        ('[zones.FR]\nprice = ["entsoe"]\n[providers.nobody]', "providers.nobody: expected a table of one of"),
        (
            '[zones.FR]\nprice = ["entsoe"]\n[providers.entsoe]\naddress = ""',
            "providers.entsoe.address: expected a value",
        ),
        ('[zones.FR]\nprice = ["entsoe"]\n[prices]', "prices: expected zones, providers and markets only"),
    ],
)
def test_a_mistake_names_its_key(text: str, fault: str) -> None:
    assert any(told.startswith(f"feeds: {fault}") for told in faults(text))


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"feeds\.toml: expected a readable feeds file"):
        Feeds.load(tmp_path / "feeds.toml", {})


def test_a_variable_belongs_to_the_provider_whose_name_it_carries() -> None:
    assert settings_of({"GRIDSIGNAL_FEED_GB_CARBON_ADDRESS": "x"})["gb_carbon"] == {"address": "x"}
