"""The operator's and the feeds' commands on a company's machine: proxies, private authorities, redirects."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.integration.cli.conftest import ran

TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"  # it opens nothing
COMMANDS = {
    "request": ("request", "list", "--api"),
    "order": ("order", "list", "--api"),
    "ingest": ("ingest", "status", "--ingest"),
}


class Door:
    """Answers every request alike, and keeps what it was asked."""

    def __init__(self, status: int = 200, tls: ssl.SSLContext | None = None, **headers: str) -> None:
        self.heard: list[str] = []
        self._tls, self._listening = tls, socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listening.getsockname()[1]}"
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers.items())]
        lines += ["Content-Type: application/json", "Connection: close", "", ""]
        self._head = "\r\n".join(lines).encode()

    def serve(self) -> None:
        """Until it is closed."""
        while True:
            try:
                arrived, _ = self._listening.accept()
            except OSError:
                return
            with suppress(OSError), arrived:  # whoever does not like our certificate hangs up
                asker = self._tls.wrap_socket(arrived, server_side=True) if self._tls else arrived
                request = asker.recv(65_536).decode()
                self.heard.append(request)
                listed = "[]" if "/v1/feeds" in request else '{"requests": [], "orders": [], "next": null}'
                asker.sendall(self._head + listed.encode())
                asker.close()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@contextmanager
def standing(door: Door) -> Iterator[Door]:
    thread = threading.Thread(target=door.serve)
    thread.start()
    try:
        yield door
    finally:
        door.close()
        thread.join()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("proxy", ["ALL_PROXY", "http_proxy", "HTTPS_PROXY"])
@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1", "http://127.0.0.1:1", "proxy.corp:3128"])
def test_a_door_on_this_machine_is_reached_past_any_proxy(command: str, proxy: str, value: str) -> None:
    with standing(Door()) as door:
        ran([*COMMANDS[command], door.url], GRIDSIGNAL_TOKEN=TOKEN, **{proxy: value})
        assert door.heard


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("value", ["socks5://me:canary@127.0.0.1:1", "me:canary@proxy.corp:3128"])
def test_a_proxy_that_can_not_be_used_is_named_without_its_password(command: str, value: str) -> None:
    done = ran([*COMMANDS[command], "https://grid.example"], GRIDSIGNAL_TOKEN=TOKEN, ALL_PROXY=value)
    assert done.code == 2
    assert "ALL_PROXY" in done.err
    assert "canary" not in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_no_token_crosses_a_network_in_clear(command: str) -> None:
    with standing(Door()) as proxy:
        there = [*COMMANDS[command], "http://grid.example"]
        done = ran(there, GRIDSIGNAL_TOKEN=TOKEN, http_proxy=proxy.url)
        assert (done.code, proxy.heard) == (2, [])
        assert "GRIDSIGNAL_ALLOW_PLAINTEXT=1" in done.err
        ran(there, GRIDSIGNAL_TOKEN=TOKEN, http_proxy=proxy.url, GRIDSIGNAL_ALLOW_PLAINTEXT="1")
        assert TOKEN in proxy.heard[0]


def test_a_token_goes_through_a_proxy_in_a_tunnel_alone() -> None:
    with standing(Door(502)) as proxy:
        done = ran([*COMMANDS["request"], "https://grid.example"], GRIDSIGNAL_TOKEN=TOKEN, https_proxy=proxy.url)
    assert done.code == 3
    assert "https_proxy" in done.err
    assert proxy.heard[0].startswith("CONNECT ")
    assert TOKEN not in "".join(proxy.heard)


@pytest.mark.parametrize("command", ["request", "order"])
def test_a_redirect_is_told_and_the_token_not_sent_there(command: str) -> None:
    with standing(Door()) as elsewhere, standing(Door(302, Location=f"{elsewhere.url}/?q=canary")) as door:
        done = ran([*COMMANDS[command], door.url], GRIDSIGNAL_TOKEN=TOKEN)
    assert done.code == 1
    assert elsewhere.url in done.err
    assert "canary" not in done.err
    assert elsewhere.heard == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_private_authority_is_a_setting_and_the_failure_says_so(tmp_path: Path, command: str) -> None:
    authority = Authority(tmp_path)
    shown = authority.server(authority.certificate(), wants_client=True)
    mine = str(authority.certificate("mine"))
    with standing(Door(tls=shown)) as door:
        there = [*COMMANDS[command], door.url]
        done = ran(there, GRIDSIGNAL_TOKEN=TOKEN)
        assert (done.code, door.heard) == (1, [])
        assert "CERTIFICATE_VERIFY_FAILED" in done.err
        assert "--ca" in done.err
        ran(there, GRIDSIGNAL_TOKEN=TOKEN, GRIDSIGNAL_CA=str(authority.file), GRIDSIGNAL_CERT=mine)
        assert len(door.heard) == 1
        ran([*there, "--ca", str(authority.file), "--cert", mine], GRIDSIGNAL_TOKEN=TOKEN)
        assert len(door.heard) == 2


def test_a_certificate_file_that_is_none_is_named(tmp_path: Path) -> None:
    done = ran(
        [*COMMANDS["request"], "https://grid.example"], GRIDSIGNAL_TOKEN=TOKEN, GRIDSIGNAL_CA=str(tmp_path / "no.pem")
    )
    assert done.code == 2
    assert "no.pem" in done.err


@pytest.mark.parametrize(
    "token", [f"{TOKEN}\r\nX-Evil: 1", f"Bearer {TOKEN}", f"{TOKEN[:20]} {TOKEN[20:]}", f"{TOKEN}é", TOKEN + "a" * 8192]
)
@pytest.mark.parametrize("command", ["request", "watch"])
def test_what_is_no_token_is_never_sent_nor_shown(tmp_path: Path, token: str, command: str) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    with standing(Door()) as door:
        words = COMMANDS["request"] if command == "request" else ("watch", "prices", "--url")
        url = door.url if command == "request" else door.url.replace("http", "ws")
        done = ran([*words, url, "--token-file", str(file)])
    assert (done.code, door.heard) == (2, [])
    assert TOKEN[:12] not in done.err


def test_a_door_is_found_at_an_ipv6_address() -> None:
    done = ran([*COMMANDS["request"], "http://[::1]:1"], GRIDSIGNAL_TOKEN=TOKEN)
    assert done.code == 3
    assert "[::1]:1" in done.err
