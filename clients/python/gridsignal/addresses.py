"""Addresses as users give them: checked, and shown without what is secret in them."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from gridsignal.errors import UsageError

STREAM = "/v1/stream"
_HINT = "such as ws://127.0.0.1:8081 or wss://grid.example"


def stream_url(url: str, *, allow_plaintext: bool = False) -> str:
    """The address of the stream: `/v1/stream` where the user named only the host. Raises UsageError."""
    parts = split(url, ("ws", "wss"), _HINT)
    if parts.query or parts.fragment:
        raise UsageError("expected a url without query or fragment: the token goes in token=")
    if parts.scheme == "ws":
        refuse_plaintext(parts.hostname or "", "wss://", allowed=allow_plaintext, how="allow_plaintext=True")
    return urlunsplit(parts._replace(path=STREAM)) if parts.path in ("", "/") else url


def split(url: str, schemes: tuple[str, ...], hint: str) -> SplitResult:
    """The parts of a url with a host and without credentials. Raises UsageError, which shows no credentials."""
    try:
        parts = urlsplit(url)
        secret = "@" in parts.netloc
        sound = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError, TypeError):  # what is no text at all, and ports and brackets that are none
        raise UsageError(f"expected a url {hint}, got {shown(url)}") from None
    if secret:
        raise UsageError("expected a url without user and password: the token has a setting of its own")
    if not sound:
        raise UsageError(f"expected a url {hint}, got {shown(url)}")
    return parts


def refuse_plaintext(host: str, instead: str, *, allowed: bool, how: str) -> None:
    """Raises UsageError where a token would cross a network for everybody to read."""
    if not allowed and not is_loopback(host):
        message = f"expected {instead} for {host}, for the token can be read on the way without TLS"
        raise UsageError(f"{message}; {how} allows that")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or address alone."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def shown(url: object) -> str:
    """A url for people: without what stands before an @ or behind a question mark."""
    if not isinstance(url, str):
        return type(url).__name__
    before = url.partition("?")[0].partition("#")[0]
    return f"{before.rpartition('@')[2]!r:.80}"
