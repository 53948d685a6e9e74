"""`gridsignal doctor`: beside a running stack, before the first start, and where things are wrong."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from gridsignal_services.cli.doctor import EXAMPLE
from tests.certificates import Authority
from tests.integration.cli.conftest import Ran, Up, ran

NO_PORTS = {f"GRIDSIGNAL_{door}_PORT": "0" for door in ("GATEWAY", "DISPATCH", "INGEST")}


def told(happened: Ran) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["check"], row["state"]): row for row in happened.rows()}


def test_beside_a_running_stack_nothing_is_wrong_and_every_door_answers(up: Up) -> None:
    (ops_port,) = re.findall(r"for yourself\s+http://127\.0\.0\.1:(\d+)", up.greeting)
    before = sorted(path.name for path in up.directory.iterdir())
    words = ["doctor", "--directory", str(up.directory), "--ops-port", ops_port]
    happened = ran([*words, "--json"], **NO_PORTS)
    assert (happened.code, happened.err) == (0, "")
    found = told(happened)
    assert {(part, "ok") for part in ("settings", "disk", "modes", "gateway", "dispatch", "ingest", "log")} <= set(
        found
    )
    assert sorted(path.name for path in up.directory.iterdir()) == before
    for_people = ran(words, **NO_PORTS).out.splitlines()
    assert for_people[0].split()[1] == "settings"


def test_every_example_is_good_before_the_first_start(tmp_path: Path) -> None:
    for line in (line.strip() for line in EXAMPLE.splitlines() if line.startswith("  gridsignal")):
        assert ran(line.replace("/var/lib", "lib"), cwd=tmp_path, **NO_PORTS).code == 0, line
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_is_told_together_each_with_what_to_do(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate = authority.certificate("server")
    certificate.chmod(0o644)
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        settings = {
            **NO_PORTS,
            "GRIDSIGNAL_GATEWAY_PORT": str(stranger.getsockname()[1]),
            "GRIDSIGNAL_TLS_CERTIFICATE": str(certificate),
            "GRIDSIGNAL_TLS_KEY": str(certificate),
            "GRIDSIGNAL_ISSUER": "https://id.example.com/",
            "GRIDSIGNAL_JWKS_URL": "http://127.0.0.1:1/keys",
            "GRIDSIGNAL_REGISTRY": str(tmp_path / "none.toml"),
        }
        words = ["doctor", "--directory", str(folder), "--json", "--server-name", "grid.example.com"]
        happened = ran(words, **settings)
    assert (happened.code, happened.err) == (1, "")
    wrong = {check for check, state in told(happened) if state == "wrong"}
    assert wrong == {"settings", "modes", "certificate", "issuer", "ports"}
    assert all(row["todo"] for row in happened.rows() if row["state"] != "ok")


def test_settings_that_are_none_are_a_wrong_use() -> None:
    happened = ran(["doctor"], GRIDSIGNAL_HOST="0.0.0.0", GRIDSIGNAL_CHECKPOINTS="-1")
    assert (happened.code, happened.out) == (2, "")
    assert "GRIDSIGNAL_CHECKPOINTS" in happened.err
