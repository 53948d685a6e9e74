"""`gridsignal up` for several organisations: with TLS, an issuer of their own, under a service manager."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from joserfc.jwk import ECKey

from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.registry import example_registry_text
from tests.certificates import Authority
from tests.integration.cli.conftest import Up, ran, running
from tests.patience import SOON_S

PAGE = (Path(__file__).parents[3] / "docs" / "one-server.md").read_text("utf-8")
OURS, OTHERS = (LocalIssuer(ECKey.generate_key("P-256", auto_kid=True)) for _ in range(2))


def token(role: str, organisation: str, issuer: LocalIssuer = OURS) -> str:
    scopes = ["signal:read", "dispatch:write"] if role == "operator" else ["signal:read", "offer:write", "meter:write"]
    return issuer.mint(role, organisation, "somebody", scopes, 3600, datetime.now(UTC))


@contextmanager
def key_set() -> Iterator[str]:
    """The URL of an identity provider's keys."""

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(OURS.jwks).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Keys) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/keys"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def served(folder: Path, authority: Authority, *words: str, **more: str) -> Iterator[Up]:
    (folder / "sites.toml").write_text(example_registry_text(), "utf-8")
    certificate = str(authority.certificate("server"))
    with key_set() as keys:
        settings = {
            "GRIDSIGNAL_REGISTRY": str(folder / "sites.toml"),
            "GRIDSIGNAL_TLS_CERTIFICATE": certificate,
            "GRIDSIGNAL_TLS_KEY": certificate,
            "GRIDSIGNAL_ISSUER": "gridsignal-local",
            "GRIDSIGNAL_JWKS_URL": keys,
        }
        with running(folder / "stack", *words, **settings | more) as stack:
            yield stack


def address(stack: Up, scheme: str) -> str:
    return re.search(rf"{scheme}://\S+", stack.greeting)[0]  # type: ignore[index]  # the greeting names it


def test_two_organisations_deal_over_tls_with_tokens_of_their_issuer(tmp_path: Path, authority: Authority) -> None:
    with served(tmp_path, authority) as stack:
        assert "tokens            of gridsignal-local for gridsignal" in stack.greeting
        assert "to try" not in stack.greeting
        assert not (stack.directory / "tokens").exists()
        assert not (stack.directory / "issuer").exists()
        desk = {
            "GRIDSIGNAL_API": address(stack, "https"),
            "GRIDSIGNAL_TOKEN": token("operator", "tso-north"),
            "GRIDSIGNAL_CA": str(authority.file),
        }
        asked = ran("gridsignal request create --zone DE-LU --down 12MW --start +40m --for 45m --json", **desk)
        assert (asked.code, asked.err) == (0, "")
        request_id = asked.rows()[0]["request"]["request_id"]
        url, ours = address(stack, "wss"), token("participant", "acme-ai")
        site = {"GRIDSIGNAL_URL": url, "GRIDSIGNAL_TOKEN": ours, "GRIDSIGNAL_CA": str(authority.file)}
        seen = ran("gridsignal watch requests --zone DE-LU --once --json", **site)
        assert (seen.code, seen.err) == (0, "")
        assert request_id in seen.out
        refused = ran("gridsignal request list", **desk | {"GRIDSIGNAL_TOKEN": token("operator", "tso-north", OTHERS)})
        assert refused.code != 0
        assert "token" in refused.err
        stranger = ran("gridsignal request list", **desk | {"GRIDSIGNAL_CA": str(authority.certificate("nobody"))})
        assert stranger.code != 0


def test_a_service_manager_hears_that_it_is_ready_alive_and_stopping(tmp_path: Path, authority: Authority) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(SOON_S)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with served(tmp_path, authority, **told):
            assert [manager.recv(100) for _ in range(4)] == [b"READY=1", *[b"WATCHDOG=1"] * 3]
        heard = manager.recv(100)
        while heard == b"WATCHDOG=1":
            heard = manager.recv(100)
        assert heard == b"STOPPING=1"


def test_the_page_starts_it(tmp_path: Path, authority: Authority) -> None:
    """The line without systemd, with addresses and files that are here."""
    (line,) = (block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "gridsignal up --dir" in block)
    said = dict(re.findall(r"(GRIDSIGNAL_\w+)=(\S+)", line))
    assert said["GRIDSIGNAL_HOST"] == "0.0.0.0"
    with served(tmp_path, authority, GRIDSIGNAL_HOST="127.0.0.1") as stack:
        assert address(stack, "https").startswith("https://127.0.0.1:")
    assert set(said) - {"GRIDSIGNAL_HOST"} == {
        f"GRIDSIGNAL_{name}" for name in ("REGISTRY", "TLS_CERTIFICATE", "TLS_KEY", "ISSUER", "JWKS_URL")
    }


def test_the_unit_s_settings_are_those_of_the_page_and_there_are_such(tmp_path: Path, authority: Authority) -> None:
    deploy = Path(__file__).parents[3] / "deploy" / "systemd"
    said = dict(re.findall(r"^(GRIDSIGNAL_\w+)=(\S+)", (deploy / "gridsignal.env").read_text("utf-8"), re.MULTILINE))
    unit = (deploy / "gridsignal.service").read_text("utf-8")
    assert "RestartPreventExitStatus=2" in unit
    (tmp_path / "sites.toml").write_text(example_registry_text(), "utf-8")
    certificate = str(authority.certificate("unit"))
    here = {
        "GRIDSIGNAL_REGISTRY": str(tmp_path / "sites.toml"),
        "GRIDSIGNAL_TLS_CERTIFICATE": certificate,
        "GRIDSIGNAL_TLS_KEY": certificate,
        "GRIDSIGNAL_JWKS_URL": "http://127.0.0.1:9/keys",
    }
    assert set(here) < set(said)
    away = ran(["up", "--directory", str(tmp_path / "stack")], **said | here | {"GRIDSIGNAL_HOST": "127.0.0.1"})
    assert away.code == 3
    assert "jwks_url: expected a key set at http://127.0.0.1:9/keys" in away.err


@pytest.mark.parametrize(
    ("environment", "keys"),
    [
        ({"GRIDSIGNAL_HOST": "0.0.0.0"}, ["registry", "tls_certificate", "jwks"]),
        ({"GRIDSIGNAL_HOST": "0.0.0.0", "GRIDSIGNAL_TLS": "proxy"}, ["registry", "jwks"]),
        ({"GRIDSIGNAL_ISSUER": "https://id.example"}, ["issuer"]),
        ({"GRIDSIGNAL_JWKS_URL": "https://id.example/keys"}, ["registry", "issuer"]),
        ({"GRIDSIGNAL_JWKS_URL": "https://id.example/keys", "GRIDSIGNAL_ISSUER": "https://id.example"}, ["registry"]),
    ],
)
def test_what_is_missing_beyond_this_machine_is_told_at_once(
    environment: dict[str, str], keys: list[str], tmp_path: Path
) -> None:
    refused = ran(["up", "--directory", str(tmp_path / "stack")], cwd=tmp_path, **environment)
    assert (refused.code, refused.out) == (2, "")
    assert [line.split(": ")[1] for line in refused.err.splitlines()] == keys
    assert not (tmp_path / "stack").exists()
