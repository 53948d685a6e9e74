"""How the settings say a cluster is reached, and what of it is refused before anybody connects."""

from __future__ import annotations

import pytest

from gridsignal_services.bus.cluster import brokers_of
from gridsignal_services.settings import ConfigError, ServerSettings


def settings(**changes: str) -> ServerSettings:
    return ServerSettings(kafka="b:9092", kafka_username="me", kafka_password="canary", **changes)


def test_a_password_does_not_travel_readable_unless_somebody_said_so() -> None:
    with pytest.raises(ConfigError, match="kafka_ca") as refused:
        brokers_of(settings())
    assert "canary" not in str(refused.value)
    assert brokers_of(settings(kafka_in_clear="allow")).settings()["security_protocol"] == "SASL_PLAINTEXT"


@pytest.mark.parametrize("sasl", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_scram_shows_no_password(sasl: str) -> None:
    assert brokers_of(settings(kafka_sasl=sasl)).settings()["sasl_mechanism"] == sasl


@pytest.mark.parametrize("sasl", ["GSSAPI", "plain", ""])
def test_what_is_no_way_to_show_a_password_refuses_to_start(sasl: str) -> None:
    with pytest.raises(ConfigError, match="SCRAM-SHA-512"):
        brokers_of(settings(kafka_sasl=sasl))
