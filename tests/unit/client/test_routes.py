"""The way to a gateway: what is wrong with an address, a proxy or a certificate is said before anything is sent."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from gridsignal import UsageError
from gridsignal.addresses import is_loopback, stream_url
from gridsignal.proxies import Proxy, proxy_for
from gridsignal.route import route_to
from gridsignal.tls import context, explained

LIBRARY = "websockets"  # any module that is installed
ABSENT = "no_such_library"
CANARY = "canary-7"


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:8081",
        "ws://127.9.9.9:8081",
        "ws://[::1]:8081",
        "ws://[::ffff:127.0.0.1]:8081",
        "ws://LOCALHOST:1",
        "wss://grid.example",
        "wss://[2001:db8::1]:8443",
    ],
)
def test_the_stream_is_found_below_a_host(url: str) -> None:
    assert stream_url(url) == stream_url(f"{url}/") == f"{url}/v1/stream"


@pytest.mark.parametrize("host", ["grid.example", "10.0.0.7", "[2001:db8::1]", "localhost.example", "127.0.0.1.nip.io"])
def test_a_token_crosses_no_network_in_clear_unless_that_is_wanted(host: str) -> None:
    with pytest.raises(UsageError, match="allow_plaintext=True"):
        stream_url(f"ws://{host}:8081")
    assert stream_url(f"ws://{host}:8081", allow_plaintext=True) == f"ws://{host}:8081/v1/stream"


@pytest.mark.parametrize(
    "url",
    [
        f"ws://me:{CANARY}@127.0.0.1",
        f"https://me:{CANARY}@grid.example",
        f"ws://127.0.0.1/v1/stream?token={CANARY}",
        f"http://127.0.0.1/?token={CANARY}",
        f"wss://grid.example/#{CANARY}",
        "http://127.0.0.1",
        "127.0.0.1:8081",
        "ws://",
        "ws://[::1",
        "ws://127.0.0.1:99999",
        "ws://127.0.0.1:0",
        "",
        None,
        b"ws://127.0.0.1",
    ],
)
def test_what_is_no_address_is_refused_without_showing_a_secret(url: Any) -> None:
    with pytest.raises(UsageError, match="expected a url") as refused:
        stream_url(url)
    assert CANARY not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_this_machine_is_known_by_its_addresses() -> None:
    assert is_loopback("::1")
    assert not is_loopback("::2")


# --- proxies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8081", "wss://localhost", "http://[::1]:8082", "https://127.1.2.3"])
def test_nothing_for_this_machine_goes_through_a_proxy(url: str) -> None:
    names = ("http_proxy", "https_proxy", "socks_proxy", "ALL_PROXY", "ws_proxy", "wss_proxy")
    assert proxy_for(url, dict.fromkeys(names, "nonsense"), socks_library=ABSENT) is None


@pytest.mark.parametrize(
    ("no_proxy", "bypassed"),
    [
        ("*", True),
        ("grid.example", True),
        (".example", True),
        ("*.example", True),
        ("other.example, GRID.example:8443", True),
        ("grid.example:1", False),
        ("id.example", False),
        ("", False),
    ],
)
def test_no_proxy_is_obeyed(no_proxy: str, bypassed: bool) -> None:
    environ = {"https_proxy": "http://proxy.corp:3128", "no_proxy": no_proxy}
    found = proxy_for("wss://grid.example:8443", environ, socks_library=ABSENT)
    assert (found is None) == bypassed


@pytest.mark.parametrize(
    ("host", "listed"), [("10.1.2.3", "10.0.0.0/8"), ("[fd00::1]", "fd00::/8"), ("[fd00::1]", "fd00::1")]
)
def test_no_proxy_lists_addresses_and_networks(host: str, listed: str) -> None:
    environ = {"HTTPS_PROXY": "http://proxy.corp:3128", "NO_PROXY": listed}
    assert proxy_for(f"wss://{host}:8443", environ, socks_library=ABSENT) is None
    assert proxy_for("wss://[2001:db8::1]", environ, socks_library=ABSENT) == Proxy(
        "HTTPS_PROXY", "http://proxy.corp:3128"
    )


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "wss_proxy", "ALL_PROXY", "socks_proxy"])
@pytest.mark.parametrize(
    "value",
    [
        f"me:{CANARY}@proxy.corp:3128",
        "proxy.corp:3128",
        f"ftp://me:{CANARY}@proxy.corp",
        f"http://me:{CANARY}@proxy.corp:port",
        f"http://me:{CANARY}@[::1",
        f"http://{CANARY}@proxy.corp:3128",
        f"http://me:{CANARY}@proxy.corp/path",
        f"socks5://me:{CANARY}@proxy.corp:1080",
        f"socks5h://me:{CANARY}@proxy.corp:1080",
    ],
)
def test_a_proxy_that_can_t_be_used_is_named_without_its_password(variable: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"^{variable}: ") as refused:
        proxy_for("wss://grid.example", {variable: value}, socks_library=ABSENT)
    assert CANARY not in str(refused.value)


def test_a_socks_proxy_is_taken_where_its_library_is_there() -> None:
    environ = {"all_proxy": f"socks5h://me:{CANARY}@proxy.corp:1080"}
    found = proxy_for("wss://grid.example", environ, socks_library=LIBRARY)
    assert found is not None
    assert CANARY not in repr(found)


# --- certificates -----------------------------------------------------------------------------------------------


def options(**given: Any) -> dict[str, Any]:
    return {"context": None, "cafile": None, "certfile": None, "keyfile": None, "allow_plaintext": False} | given


@pytest.mark.parametrize("name", ["cafile", "certfile"])
@pytest.mark.parametrize(
    "content", [None, b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    file = tmp_path / "corporate.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=r"corporate\.pem"):
        route_to("wss://grid.example", **options(**{name: file}))


@pytest.mark.parametrize(
    "given",
    [
        {"keyfile": "key.pem"},
        {"context": ssl.create_default_context(), "cafile": "ca.pem"},
    ],
)
def test_options_that_contradict_each_other_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        route_to("wss://grid.example", **options(**given))


def test_certificates_without_tls_are_a_mistake() -> None:
    with pytest.raises(UsageError, match="wss://"):
        route_to("ws://127.0.0.1:8081", **options(context=ssl.create_default_context()))


def test_tls_is_always_verified() -> None:
    made = context()
    assert made.check_hostname
    assert made.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(("code", "helps"), [(18, True), (19, True), (20, True), (10, False), (62, False), (64, False)])
@pytest.mark.parametrize("words", ["self-signed certificate", "expired", "in words of tomorrow"])
def test_a_private_authority_is_named_by_what_openssl_found_and_not_by_its_words(
    code: int, helps: bool, words: str
) -> None:
    found = ssl.SSLCertVerificationError(1, "certificate verify failed")
    found.verify_code, found.verify_message = code, words
    told = explained(found)
    assert told is not None
    assert words in told
    assert ("cafile=" in told) is helps


def test_what_is_no_fault_of_tls_is_not_explained_as_one() -> None:
    assert explained(OSError("no route")) is None
    assert explained(TimeoutError()) is None
