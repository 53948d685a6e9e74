"""The proxy on the way to an address, as the environment names it: checked before use, and never for this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from gridsignal.addresses import is_loopback
from gridsignal.errors import UsageError

_VARIABLES = {
    "ws": ("ws_proxy", "socks_proxy", "https_proxy", "http_proxy", "all_proxy"),
    "wss": ("wss_proxy", "socks_proxy", "https_proxy", "all_proxy"),
    "http": ("http_proxy", "all_proxy"),
    "https": ("https_proxy", "all_proxy"),
}
_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where to go first, and who says so."""

    variable: str
    url: str = field(repr=False)
    """May hold a password."""


def proxy_for(url: str, environ: Mapping[str, str], *, socks_library: str) -> Proxy | None:
    """The proxy for a url; None where there is none or it is bypassed. Raises UsageError, which shows no password.

    `socks_library` is the module that the caller's own library needs for SOCKS.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or _bypassed(host, parts.port, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    found = _named(parts.scheme, environ)
    if found is None and not proxy_bypass(host):
        found = _systems(parts.scheme, environ)
    return None if found is None else _checked(*found, socks_library)


def _bypassed(host: str, port: int | None, listed: str) -> bool:
    """Whether no_proxy lists a host: by name, as a name below it, by address or network, with a port or without."""
    for entry in filter(None, (each.strip() for each in listed.lower().split(","))):
        name, its_port = entry, ""
        if entry.startswith("[") or entry.count(":") == 1:
            name, _, its_port = entry.rpartition(":") if not entry.endswith("]") else (entry, "", "")
        name = name.strip("[]").removeprefix("*").lstrip(".")
        if its_port and its_port != str(port):
            continue
        if entry == "*" or (name and (host == name or host.endswith(f".{name}") or _within(host, name))):
            return True
    return False


def _within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _named(scheme: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    for variable in _VARIABLES[scheme]:
        for spelled in (variable, variable.upper()):
            if value := environ.get(spelled, "").strip():
                return spelled, value
    return None


def _systems(scheme: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """What macOS or Windows has set; elsewhere `getproxies` reads the environment once more and finds nothing new."""
    found = getproxies()
    for variable in _VARIABLES[scheme]:
        kind = variable.removesuffix("_proxy")
        if variable not in environ and variable.upper() not in environ and kind in found:
            return f"the system's {kind} proxy", found[kind]
    return None


def _checked(variable: str, value: str, socks_library: str) -> Proxy:
    try:
        parts = urlsplit(value)
        sound = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.path not in ("", "/") or parts.query or parts.fragment:
        schemes = ", ".join(_SCHEMES)
        raise UsageError(f"{variable}: expected a proxy such as http://proxy.example:3128, with a scheme of {schemes}")
    if parts.username is not None and parts.password is None:
        raise UsageError(f"{variable}: expected a password beside the user of the proxy, got a user alone")
    if parts.scheme.startswith("socks") and find_spec(socks_library) is None:
        package = socks_library.replace("_", "-")
        raise UsageError(
            f"{variable}: a SOCKS proxy needs the package {package}, which is not installed; "
            f"name an HTTP proxy instead, or the host in no_proxy"
        )
    return Proxy(variable, value)
