"""A mistake in the configuration refuses to start, with one line naming the key, what was expected and got."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gridsignal_services.access import Entitlements, Principal, Role
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.registry import Registry, example_registry, example_registry_text
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.settings import ConfigError, ServerSettings


def a_principal(role: Role, organisation: str) -> Principal:
    return Principal(role, organisation, "x", frozenset(), datetime(2030, 1, 1, tzinfo=UTC))


def test_the_shipped_registry_is_a_good_one() -> None:
    registry = example_registry()

    assert set(registry.zones) == {"DE-LU", "FR", "GB"}
    assert set(registry.operators) == {"tso-north", "supplier-one"}
    assert {name: (s.participant, s.zone, s.capacity_w, s.minimum_load_w) for name, s in registry.sites.items()} == {
        "fra-1": ("acme-ai", "DE-LU", 60_000_000, 12_000_000),
        "ber-1": ("hyper-infer", "DE-LU", 50_000_000, 20_000_000),
        "par-1": ("hyper-infer", "FR", 60_000_000, 10_000_000),
        "muc-1": ("volt-colo", "DE-LU", 30_000_000, 4_000_000),
    }
    assert registry.zones["GB"].tz.key == "Europe/London"


def test_an_organisation_has_what_the_registry_says_and_nothing_else() -> None:
    registry = example_registry()

    assert registry.entitlements(a_principal("participant", "hyper-infer")) == Entitlements(
        zones=frozenset({"DE-LU", "FR"}), sites=frozenset({"ber-1", "par-1"}), past_sites=True
    )
    assert registry.entitlements(a_principal("operator", "tso-north")) == Entitlements(zones=frozenset({"DE-LU", "FR"}))
    strangers: list[tuple[Role, str]] = [
        ("operator", "hyper-infer"),
        ("participant", "tso-north"),
        ("participant", "nobody"),
        ("service", "tso-north"),
        ("service", "acme-ai"),
    ]
    for role, organisation in strangers:
        assert registry.entitlements(a_principal(role, organisation)) == Entitlements()


WRONG = {
    "zones.DE-LU.timezone: expected an IANA time zone such as Europe/Berlin, got 'Mars/Olympus'": (
        '"Europe/Berlin"',
        '"Mars/Olympus"',
    ),
    "zones.DE-LU.currency: expected text like '^[A-Z]{3}$', got 'euro'": ('"EUR"', '"euro"'),
    "sites.fra-1.capacity_w: expected a valid integer, got '60 MW'": (
        "capacity_w = 60_000_000",
        'capacity_w = "60 MW"',
    ),
    "sites.fra-1.capacity: expected no such key, got 60000000": (
        "capacity_w = 60_000_000",
        "capacity_w = 60_000_000\ncapacity = 60_000_000",
    ),
    "sites.fra-1.minimum_load_w: expected at most capacity_w (60000000), got 61000000": ("12_000_000", "61_000_000"),
    "sites.fra-1.participant: expected a participant of this file, got 'acme'": (
        'participant = "acme-ai"',
        'participant = "acme"',
    ),
    "sites.muc-1.zone: expected one of volt-colo's zones, got 'FR'": (
        'participant = "volt-colo"\nzone = "DE-LU"',
        'participant = "volt-colo"\nzone = "FR"',
    ),
    "operators.tso-north.zones: expected zones of this file (DE-LU, FR, GB), got 'NL'": (
        '[operators.tso-north]\nzones = ["DE-LU", "FR"]',
        '[operators.tso-north]\nzones = ["NL"]',
    ),
    "sites.fra-1.minimum_load_w: expected a value, got nothing": (
        "minimum_load_w = 12_000_000      # idle machines and their cooling: can't be shed\n",
        "",
    ),
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_registry_is_refused_in_one_line_that_names_the_key(line: str) -> None:
    right, wrong = WRONG[line]
    text = example_registry_text()
    assert right in text

    with pytest.raises(ConfigError) as refused:
        Registry.parse(text.replace(right, wrong, 1), "sites.toml")

    assert str(refused.value) == f"sites.toml: {line}"


def test_every_fault_of_a_registry_is_told() -> None:
    with pytest.raises(ConfigError) as refused:
        Registry.parse('[zones.A]\ncurrency = "E"\ntimezone = 5\n[zones.B]\n')
    assert len(refused.value.faults) == 4


@pytest.mark.parametrize("text", ["", "zones = 5", "[zones]", "[zones", "[zones.'a b']\ncurrency='EUR'", "\x00"])
def test_any_other_text_is_no_registry(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Registry.parse(text)
    assert "\n" not in str(refused.value)


def test_the_environment_sets_what_arguments_do_not() -> None:
    environment = {"GRIDSIGNAL_DISPATCH_PORT": "9000", "GRIDSIGNAL_LOG_FORMAT": "json", "GRIDSIGNAL_URL": "ws://x"}

    settings = ServerSettings.from_environment(environment, log_format="console", gateway_port=None)

    assert (settings.dispatch_port, settings.gateway_port, settings.log_format) == (9000, 8081, "console")


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({"GRIDSIGNAL_DISPACH_PORT": "1"}, "GRIDSIGNAL_DISPACH_PORT"),
        ({"GRIDSIGNAL_DISPATCH_PORT": "http"}, "GRIDSIGNAL_DISPATCH_PORT"),
        ({"GRIDSIGNAL_DISPATCH_PORT": "65536"}, "dispatch_port"),
        ({"GRIDSIGNAL_LOG_FORMAT": "xml"}, "log_format"),
        ({"GRIDSIGNAL_CHECKPOINTS": "many"}, "GRIDSIGNAL_CHECKPOINTS"),
        ({"GRIDSIGNAL_CHECKPOINTS": "101"}, "checkpoints"),
        ({"GRIDSIGNAL_LOG_LEVEL": "loud"}, "log_level"),
        ({"GRIDSIGNAL_ISSUER": "https://issuer"}, "issuer"),
        ({"GRIDSIGNAL_HOST": "0.0.0.0"}, "tls_certificate"),
        ({"GRIDSIGNAL_HOST": "::", "GRIDSIGNAL_TLS_CERTIFICATE": "c", "GRIDSIGNAL_TLS_KEY": "k"}, "jwks"),
        ({"GRIDSIGNAL_HOST": "example.org"}, "tls_certificate"),
        ({"GRIDSIGNAL_TLS_KEY": "k"}, "tls_key"),
        ({"GRIDSIGNAL_TLS": "off"}, "tls"),
        ({"GRIDSIGNAL_HOST": "0.0.0.0", "GRIDSIGNAL_TLS": "proxy"}, "jwks"),
        ({"GRIDSIGNAL_KAFKA": "kafka"}, "kafka"),
        ({"GRIDSIGNAL_KAFKA": "kafka:9092,"}, "kafka"),
        ({"GRIDSIGNAL_KAFKA_USERNAME": "me"}, "kafka_password"),
        ({"GRIDSIGNAL_SCHEMA_REGISTRY": "registry:8081"}, "schema_registry"),
        ({"GRIDSIGNAL_REDIS": "redis:6379"}, "redis"),
        ({"GRIDSIGNAL_TOPIC_PREFIX": "a b"}, "topic_prefix"),
    ],
)
def test_a_wrong_environment_refuses_to_start_naming_the_key(environment: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ServerSettings.from_environment(environment)
    assert str(refused.value).startswith(f"{key}: expected ")


def test_a_door_beyond_loopback_has_certificates_and_an_issuer() -> None:
    settings = ServerSettings(
        host="0.0.0.0",
        tls_certificate=Path("c"),
        tls_key=Path("k"),
        jwks=Path("jwks.json"),
        issuer="https://issuer.example",
    )
    assert settings.host == "0.0.0.0"


def test_behind_a_proxy_a_door_needs_no_certificates_but_an_issuer() -> None:
    settings = ServerSettings(host="0.0.0.0", tls="proxy", jwks=Path("jwks.json"), issuer="https://issuer.example")
    assert settings.tls_certificate is None


def test_no_secret_of_the_cluster_is_shown() -> None:
    settings = ServerSettings(
        kafka="b:9092", kafka_username="me", kafka_password="canary-1", redis="redis://:canary-2@cache:6379/0"
    )
    assert "canary" not in repr(settings)
    with pytest.raises(ConfigError) as refused:
        ServerSettings(redis="http://:canary-3@cache")
    assert "canary" not in str(refused.value)


def test_limits_of_the_doors_come_from_the_environment() -> None:
    environment = {
        "GRIDSIGNAL_GATEWAY_STRIKES": "5",
        "GRIDSIGNAL_GATEWAY_TICK_S": "0.002",
        "GRIDSIGNAL_GATEWAY_PORT": "1",
    }
    environment |= {"GRIDSIGNAL_DISPATCH_REQUESTS_PER_S": "7"}
    settings = ServerSettings.from_environment(environment)
    gateway = GatewaySettings.of(settings)
    assert (gateway.port, gateway.strikes, gateway.tick_s) == (1, 5, 0.002)
    assert RestLimits.of(settings, "GRIDSIGNAL_DISPATCH_") == RestLimits(requests_per_s=7)
    assert RestLimits.of(settings, "GRIDSIGNAL_INGEST_") == RestLimits()


def test_origins_of_browsers_come_from_the_environment() -> None:
    told = {"GRIDSIGNAL_GATEWAY_ORIGINS": "https://desk.example, http://127.0.0.1:8080"}
    chosen = GatewaySettings.of(ServerSettings.from_environment(told))
    assert chosen.origins == ("https://desk.example", "http://127.0.0.1:8080")
    for wrong in ("desk.example", "https://desk.example/", "*"):
        settings = ServerSettings.from_environment({"GRIDSIGNAL_GATEWAY_ORIGINS": wrong})
        with pytest.raises(ConfigError, match="GRIDSIGNAL_GATEWAY_ORIGINS: expected origins"):
            GatewaySettings.of(settings)


def test_behind_a_proxy_everybody_comes_from_one_network() -> None:
    settings = ServerSettings.from_environment({"GRIDSIGNAL_TLS": "proxy"})
    chosen = GatewaySettings.of(settings)
    assert chosen.strangers_of_a_network == chosen.strangers


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("GRIDSIGNAL_GATEWAY_STRIKE", "5"),
        ("GRIDSIGNAL_GATEWAY_TLS_KEY", "k"),
        ("GRIDSIGNAL_GATEWAY_STRIKES", "0"),
        ("GRIDSIGNAL_GATEWAY_STRIKES", "2.5"),
        ("GRIDSIGNAL_GATEWAY_TICK_S", "nan"),
        ("GRIDSIGNAL_GATEWAY_TICK_S", "inf"),
        ("GRIDSIGNAL_DISPATCH_REQUEST_BURST", "many"),
    ],
)
def test_a_limit_that_is_none_refuses_to_start_naming_the_key(key: str, value: str) -> None:
    settings = ServerSettings.from_environment({key: value})
    with pytest.raises(ConfigError) as refused:
        GatewaySettings.of(settings) if "GATEWAY" in key else RestLimits.of(settings, "GRIDSIGNAL_DISPATCH_")
    assert str(refused.value).startswith(f"{key}: expected ")


CLIENT = Path(__file__).parents[2] / "clients" / "python" / "gridsignal"
NAMED = {
    name for file in CLIENT.rglob("*.py") for name in re.findall(r"GRIDSIGNAL_[A-Z][A-Z_]*", file.read_text("utf-8"))
}


def test_what_a_client_s_terminal_is_told_stops_no_service() -> None:
    """A laptop has both: each variable that the client or its commands read is no fault of a service's."""
    assert {"GRIDSIGNAL_CA", "GRIDSIGNAL_SIGNING_KEY", "GRIDSIGNAL_ALLOW_PLAINTEXT"} < NAMED
    assert ServerSettings.from_environment(dict.fromkeys(sorted(NAMED), "x")) == ServerSettings()
