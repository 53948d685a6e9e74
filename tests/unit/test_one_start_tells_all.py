"""Whatever is wrong with what a stack or a door is told: one start tells all of it, a line each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridsignal_services.cli import serve, up
from tests.effort import examples

ANYWHERE = {
    "GRIDSIGNAL_COLOUR=green": "GRIDSIGNAL_COLOUR",
    "GRIDSIGNAL_DISPATCH_PORT=99999": "dispatch_port",
    "GRIDSIGNAL_GATEWAY_PORT=http": "GRIDSIGNAL_GATEWAY_PORT",
    "GRIDSIGNAL_LOG_FORMAT=xml": "log_format",
    "GRIDSIGNAL_LOG_LEVEL=LOUD": "log_level",
    "GRIDSIGNAL_REGISTRY=gone.toml": "gone.toml",
    "GRIDSIGNAL_REVOCATIONS=gone.toml": "revocations",
    "GRIDSIGNAL_TOKEN_LEEWAY_S=0": "token_leeway_s",
    "GRIDSIGNAL_OPS_TOKEN_FILE=gone": "GRIDSIGNAL_OPS_TOKEN_FILE",
}
OF_A_DOOR = {
    "gateway": {"GRIDSIGNAL_GATEWAY_STRIKES=many": "GRIDSIGNAL_GATEWAY_STRIKES"},
    "dispatch": {"GRIDSIGNAL_DISPATCH_REQUEST_BURST=-1": "GRIDSIGNAL_DISPATCH_REQUEST_BURST"},
    "ingest": {"GRIDSIGNAL_INGEST_REQUEST_BURST=-1": "GRIDSIGNAL_INGEST_REQUEST_BURST", "GRIDSIGNAL_FEEDS=no": "no"},
}
ON_A_CLUSTER = {
    "GRIDSIGNAL_KAFKA=a broker": "kafka",
    "GRIDSIGNAL_KAFKA_CA=gone.pem": "kafka_ca",
    "GRIDSIGNAL_KAFKA_PASSWORD=canary": "kafka_password",
    "GRIDSIGNAL_KAFKA_SASL=GSSAPI": "kafka_sasl",
    "GRIDSIGNAL_SCHEMA_REGISTRY=ftp://x": "schema_registry",
}
ON_ONE_MACHINE = {
    "GRIDSIGNAL_TLS_KEY=k.pem": "tls_key",
    "GRIDSIGNAL_ISSUER=https://id.example": "issuer",
    "GRIDSIGNAL_KAFKA=b:9092": "kafka",
    "GRIDSIGNAL_REDIS=redis://x": "redis",
}
STARTS: dict[str, tuple[ModuleType, list[str], dict[str, str]]] = {
    "up": (up, [], ANYWHERE | ON_ONE_MACHINE | {key: name for door in OF_A_DOOR.values() for key, name in door.items()})
}
STARTS |= {door: (serve, [door], ANYWHERE | ON_A_CLUSTER | own) for door, own in OF_A_DOOR.items()}
Start = Callable[[str, frozenset[str]], list[str]]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Start:
    """Starts one with these faults in its environment; the keys that it names, in order."""
    monkeypatch.chdir(tmp_path)

    def started(name: str, faults: frozenset[str]) -> list[str]:
        command, words, _ = STARTS[name]
        given_to_it = dict(fault.split("=", 1) for fault in faults)
        if command is serve:
            given_to_it = {"GRIDSIGNAL_KAFKA": "b:9092", "GRIDSIGNAL_SCHEMA_REGISTRY": "http://x"} | given_to_it
        with monkeypatch.context() as here:
            for variable in [key for key in os.environ if key.startswith("GRIDSIGNAL_")]:
                here.delenv(variable)
            for variable, value in given_to_it.items():
                here.setenv(variable, value)
            assert command.run(command.parser().parse_args(words)) == 2
        told = capsys.readouterr()
        assert "canary" not in told.err
        return [line.split(": ")[1] for line in told.err.splitlines()]

    return started


@pytest.mark.parametrize("name", STARTS)
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_fault_is_told_at_once_and_no_other(start: Start, name: str, data: st.DataObject) -> None:
    known = STARTS[name][2]
    faults = data.draw(st.frozensets(st.sampled_from(sorted(known)), min_size=1))
    assert sorted(start(name, faults)) == sorted(known[fault] for fault in faults)
