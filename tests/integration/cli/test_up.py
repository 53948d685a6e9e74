"""`gridsignal up`: one process that says how to use it, ends in order, and refuses in one line."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Ran, Up, ran, running

EMPTY = '[zones.DE-LU]\ncurrency = "EUR"\ntimezone = "Europe/Berlin"\n'


def test_the_first_steps_work_when_pasted_in_another_folder(up: Up, tmp_path: Path) -> None:
    """From the request to the accepted order; only the wait for the gate is cut short."""
    site, watch, desk, create, offer, look, accept = up.to_try

    def pasted(environment: str, line: str) -> Ran:
        return ran(f"{environment}\n{line}", cwd=tmp_path)

    asked = pasted(desk, f"{create} --json")
    assert (asked.code, asked.err) == (0, "")
    request_id = asked.rows()[0]["request"]["request_id"]
    assert request_id in pasted(site, f"{watch} --once").out
    offered = pasted(site, offer.replace("REQUEST_ID", request_id))
    assert (offered.code, "LIVE" in offered.out) == (0, True), offered.err
    assert pasted(desk, f"gridsignal request clear {request_id}").code == 0
    rows = pasted(site, f"{look} --json").rows()
    (order_id,) = [row["order_id"] for row in rows if row["request_id"] == request_id and "order_id" in row]
    accepted = pasted(site, accept.replace("ORDER_ID", order_id))
    assert (accepted.code, f"order {order_id}: ACCEPTED" in accepted.out) == (0, True), accepted.err
    assert pasted(desk, f"gridsignal request cancel {request_id}").code == 0


def test_its_first_steps_are_short_and_hold_no_secret(up: Up) -> None:
    assert max(map(len, up.to_try[1:2] + up.to_try[3:])) <= 90
    for file in up.directory.glob("*.env"):
        assert "eyJ" not in file.read_text()


def test_what_it_prints_holds_in_any_folder_though_its_own_is_relative(tmp_path: Path) -> None:
    with running(Path(os.path.relpath(tmp_path / "stack"))) as stack:
        desk, create = stack.to_try[2:4]
        assert ran(f"{desk}\n{create}", cwd=tmp_path).code == 0


def test_tokens_are_for_their_owner_alone(up: Up) -> None:
    files = list((up.directory / "tokens").iterdir())
    assert len(files) == 5
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


@pytest.mark.parametrize("door", ["gateway", "dispatch", "ingest"])
def test_a_taken_port_is_one_line(door: str, tmp_path: Path) -> None:
    ports = {"--gateway-port": "0", "--dispatch-port": "0", "--ingest-port": "0"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports[f"--{door}-port"] = str(taken.getsockname()[1])
        refused = ran(
            ["up", "--directory", str(tmp_path / "stack"), *(word for pair in ports.items() for word in pair)]
        )
    assert refused.code == 2
    lines = [line for line in refused.err.splitlines() if line.startswith("gridsignal up:")]
    assert len(lines) == 1
    assert "port" in lines[0]


@pytest.mark.parametrize(
    ("environment", "keys"),
    [
        ({"GRIDSIGNAL_COLOUR": "green"}, ["GRIDSIGNAL_COLOUR"]),
        ({"GRIDSIGNAL_GATEWAY_PORT": "http"}, ["GRIDSIGNAL_GATEWAY_PORT"]),
        ({"GRIDSIGNAL_LOG_LEVEL": "LOUD"}, ["log_level"]),
        ({"GRIDSIGNAL_JWKS": "keys.json", "GRIDSIGNAL_ISSUER": "https://id.example"}, ["registry", "jwks"]),
        ({"GRIDSIGNAL_TLS_CERTIFICATE": "c.pem", "GRIDSIGNAL_TLS_KEY": "k.pem"}, ["tls_certificate"]),
        (
            {
                "GRIDSIGNAL_COLOUR": "green",
                "GRIDSIGNAL_DISPATCH_PORT": "http",
                "GRIDSIGNAL_HOST": "0.0.0.0",
                "GRIDSIGNAL_JWKS_URL": "https://id.example/keys",
                "GRIDSIGNAL_KAFKA": "broker:9092",
                "GRIDSIGNAL_LOG_FORMAT": "xml",
            },
            [
                "GRIDSIGNAL_COLOUR",
                "GRIDSIGNAL_DISPATCH_PORT",
                "kafka",
                "registry",
                "log_format",
                "issuer",
                "tls_certificate",
            ],
        ),
        (
            {"GRIDSIGNAL_REDIS_FILE": "nowhere", "GRIDSIGNAL_OPS_TOKEN_FILE": "gone"},
            ["GRIDSIGNAL_OPS_TOKEN_FILE", "GRIDSIGNAL_REDIS_FILE"],
        ),
        (
            {
                "GRIDSIGNAL_REGISTRY": "gone.toml",
                "GRIDSIGNAL_FEEDS": "none.toml",
                "GRIDSIGNAL_REVOCATIONS": "away.toml",
                "GRIDSIGNAL_DISPATCH_REQUEST_BURST": "-1",
                "GRIDSIGNAL_GATEWAY_STRIKES": "many",
            },
            [
                "gone.toml",
                "revocations",
                "none.toml",
                "GRIDSIGNAL_GATEWAY_STRIKES",
                "GRIDSIGNAL_DISPATCH_REQUEST_BURST",
            ],
        ),
    ],
)
def test_all_settings_it_would_not_keep_to_are_told_at_once(
    environment: dict[str, str], keys: list[str], tmp_path: Path
) -> None:
    refused = ran(["up", "--directory", str(tmp_path / "stack")], cwd=tmp_path, **environment)
    assert (refused.code, refused.out) == (2, "")
    assert [line.split(": ")[1] for line in refused.err.splitlines()] == keys
    assert not (tmp_path / "stack").exists()


def test_a_broken_registry_refuses_to_start(tmp_path: Path) -> None:
    file = tmp_path / "sites.toml"
    file.write_text(f"{EMPTY}colour = 1\n")
    refused = ran(["up", "--registry", str(file), "--directory", str(tmp_path / "stack")])
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "zones.DE-LU.colour" in refused.err


def test_a_registry_without_anybody_runs(tmp_path: Path) -> None:
    file = tmp_path / "sites.toml"
    file.write_text(EMPTY)
    with running(tmp_path / "stack", "--registry", str(file)) as stack:
        assert "check-config" in stack.greeting
