"""What a service is told by its environment. A mistake refuses to start.

ConfigError   one line naming the key, what was expected and what was found; `faults` has all of them
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gridsignal_services.outside import faults_of_the_outside


class ConfigError(Exception):
    """The configuration can't be used. Not retriable: somebody has to change it."""

    def __init__(self, *faults: str) -> None:
        super().__init__(faults[0])
        self.faults = faults
        """Every fault, one line each."""


_PREFIX = "GRIDSIGNAL_"
_OTHERS = frozenset(
    {
        "GRIDSIGNAL_URL",
        "GRIDSIGNAL_API",
        "GRIDSIGNAL_INGEST",
        "GRIDSIGNAL_TOKEN",
        "GRIDSIGNAL_SITE",
        "GRIDSIGNAL_SIGNING_KEY",
        "GRIDSIGNAL_CA",
        "GRIDSIGNAL_CERT",
        "GRIDSIGNAL_CERT_KEY",
        "GRIDSIGNAL_ALLOW_PLAINTEXT",
        "GRIDSIGNAL_GRID_CLOCK",
        "GRIDSIGNAL_SAMPLES",
    }
)
"""Read by commands and tests; no door's business."""
SECRETS = frozenset({"kafka_password", "ops_token", "redis", "schema_registry_password"})
"""Settings that may stand in a file, too: with _FILE at the end of the variable's name."""
_LIMITS = ("GRIDSIGNAL_GATEWAY_", "GRIDSIGNAL_DISPATCH_", "GRIDSIGNAL_INGEST_")
_OTHER_FAMILIES = ("GRIDSIGNAL_FEED_", "GRIDSIGNAL_TEST_")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Addresses and paths of the doors; each field is GRIDSIGNAL_ and its name in capitals in the environment.

    Beyond loopback a door needs TLS files and an issuer's key set of its own: the local issuer is for one machine.
    """

    directory: Path = Path("gridsignal-data")
    """Where the embedded log, the local issuer and the checkpoints keep their files."""
    checkpoints: int = 2
    """How many checkpoints of the ledger are kept of each partition, in a folder of the directory for each door: a
    start reads the log from the newest on. 0: none, a start reads the dispatch stream from its beginning."""
    heads_every_s: int = 60
    """How long a record may wait for a signed tree head that covers it, in seconds of this machine; 0: none is written.
    See docs/settlement.md, "Proof"."""
    heads_after_clearing_s: int = 1
    """The same for a clearing and what follows from it; at most heads_every_s."""
    proofs_after_s: int = 86_400
    """How old a tree head is before the doors show it, and prove records by it, to others than who runs the grid: it
    counts what everybody wrote. 0: at once. See docs/settlement.md, "At the doors"."""
    solver_limit_s: int = 1
    """How long the solver may look for a better choice of offers than the merit order, in seconds for each clearing;
    0: it isn't asked. It has to be installed (the extra `solver`). See docs/clearing.md."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    gateway_port: int = 8081
    """For data centers; 0: any free port."""
    dispatch_port: int = 8082
    """For operators; 0: any free port."""
    ingest_port: int = 8083
    """The push door and the feeds' state; 0: any free port."""
    console_gateway: str | None = None
    """Where browsers reach the gateway, such as wss://grid.example:8081: the dispatch door then serves the console at
    /console. Default: `gridsignal up` on loopback knows its own, elsewhere there is no console."""
    console_ingest: str | None = None
    """Where browsers reach the ingest door, such as https://grid.example:8083: the console then issues alerts and shows
    the feeds. Default: `gridsignal up` on loopback knows its own, elsewhere the console does neither."""
    console_client: str | None = None
    """The client id (public, without a secret) by which the console signs people in at the issuer, with OpenID Connect;
    goes with issuer. Default: people paste a token."""
    console_scope: str = "openid"
    """What the console asks the issuer for, with spaces between: its tokens have to carry role and organisation."""
    ops_host: str = "127.0.0.1"
    """Where the operations port listens: /metrics, and /healthz with reasons. Plain HTTP; never for clients."""
    ops_port: int | None = None
    """The operations port. Default: 1000 above the door's own port, for `gridsignal up` above the gateway's; 0: any."""
    ops_token: str | None = field(default=None, repr=False)
    """A bearer token that the operations port asks for. Default: none, whoever reaches the port may read."""
    registry: Path | None = None
    """TOML file with zones, operators, participants and sites. Default: the bundled example."""
    feeds: Path | None = None
    """TOML file that says which public feeds are read. Default: none."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    log_format: str = "console"
    """`console` for people, `json` for machines."""
    jwks: Path | None = None
    """File with the issuer's public keys (JWK set). Default: the local issuer's."""
    jwks_url: str | None = None
    """URL of the issuer's JWK set, instead of a file; https, beyond loopback."""
    jwks_refetch_s: int = 30
    """A token with an unknown key has the set at the URL read again, at most once in this time."""
    issuer: str | None = None
    """The `iss` that tokens must carry; goes with jwks or jwks_url."""
    audience: str = "gridsignal"
    """The `aud` that tokens must carry."""
    role_claim: str = "role"
    """The claim that says what its bearer is: operator or participant."""
    organisation_claim: str = "org"
    """The claim with the organisation's id, as in the registry."""
    scope_claim: str = "scope"
    """The claim that lists what its bearer may do."""
    max_token_life_s: int = 2_678_400
    """From `iat` to `exp`; a token made for longer is refused."""
    token_leeway_s: int = 60
    """How far the issuer's clock may be ahead; an expired token has no grace."""
    token_clients: str = ""
    """The clients whose tokens are taken, by `azp` or `client_id`, with commas between. Default: those of any."""
    revocations: Path | None = None
    """TOML file of revoked tokens, subjects and keys. Default: none."""
    watch_files_s: int = 5
    """How often the registry, key set, revocations and certificate are looked at; a changed file is taken at the next
    look after which it stays the same, on SIGHUP at once."""
    tls: str = "here"
    """`here`: the service terminates TLS. `proxy`: something in front does, and nothing else reaches these ports."""
    tls_certificate: Path | None = None
    """PEM file with the certificate chain; required beyond loopback, unless tls is `proxy`."""
    tls_key: Path | None = None
    """PEM file with the certificate's key."""
    kafka: str | None = None
    """The brokers, host:port, separated by commas; required by `gridsignal serve`."""
    kafka_ca: Path | None = None
    """PEM file with the authority of the brokers' certificates; connections are then TLS."""
    kafka_username: str | None = None
    """For SASL; together with kafka_password."""
    kafka_password: str | None = field(default=None, repr=False)
    kafka_sasl: str = "PLAIN"
    """PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. PLAIN sends the password itself and needs kafka_ca."""
    kafka_in_clear: str = "refuse"
    """`allow`: PLAIN without kafka_ca, where nobody can listen between here and the brokers."""
    schema_registry: str | None = None
    """URL of a Confluent-compatible schema registry; required with kafka."""
    schema_registry_username: str | None = None
    schema_registry_password: str | None = field(default=None, repr=False)
    topic_prefix: str = ""
    """Prefix of every topic and subject, so that a simulation has its own."""
    redis: str | None = field(default=None, repr=False)
    """URL of a Redis or Valkey that the gateways share. Default: each has its own cache."""
    limits: Mapping[str, str] = field(default_factory=dict)
    """Limits of a door that differ from its defaults, by variable: GRIDSIGNAL_GATEWAY_ and the name of a number of
    GatewaySettings in capitals, GRIDSIGNAL_DISPATCH_ or GRIDSIGNAL_INGEST_ and one of RestLimits or IngestLimits."""

    def __post_init__(self) -> None:
        if faults := _faults_of_settings(self):
            raise ConfigError(*faults)

    def ops_port_beside(self, port: int) -> int:
        """The operations port of a process whose door is at `port`; 0, any free one, beside another such."""
        if self.ops_port is not None or port == 0:
            return self.ops_port or 0
        return port + _OPS_ABOVE if port + _OPS_ABOVE <= 65535 else port - _OPS_ABOVE

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *checks: Check, **arguments: object) -> ServerSettings:
        """The environment's settings; arguments that are not None come before them. Raises ConfigError as `of` does."""
        return cls.of(*given(environment, **arguments), checks)

    @classmethod
    def of(cls, values: Mapping[str, Any], faults: Sequence[str] = (), checks: Sequence[Check] = ()) -> ServerSettings:
        """The settings with these values, which hold to these checks.

        Raises ConfigError with the faults found before, its own and those of the checks: one start tells all.
        """
        unproven = object.__new__(cls)  # the checks look at settings that have faults, too
        for name, value in ({known.name: known.default for known in fields(cls)} | {"limits": {}, **values}).items():
            object.__setattr__(unproven, name, value)
        all_faults = [*faults, *_faults_of_settings(unproven)]
        for check in checks:
            try:
                check(unproven)
            except ConfigError as error:
                all_faults += error.faults
        if all_faults:
            raise ConfigError(*dict.fromkeys(all_faults))
        return cls(**values)


Check = Callable[[ServerSettings], object]
"""What settings must hold to before anybody is asked; raises ConfigError."""


def given(environment: Mapping[str, str], **arguments: object) -> tuple[dict[str, Any], list[str]]:
    """The values that the environment gives, arguments that are not None before them; and what is wrong with it.

    A secret may stand in a file: GRIDSIGNAL_KAFKA_PASSWORD_FILE and so on name it.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for key, text in sorted(environment.items()):
        if not key.startswith(_PREFIX) or key in _OTHERS or key.startswith(_OTHER_FAMILIES):
            continue
        name = key.removeprefix(_PREFIX).lower()
        secret = name.removesuffix("_file")
        try:
            if name in ServerSettings.__dataclass_fields__ and name != "limits":
                values[name] = _typed(key, name, text)
            elif key.startswith(_LIMITS):
                values.setdefault("limits", {})[key] = text
            elif secret in SECRETS and f"{_PREFIX}{secret}".upper() not in environment:
                values[secret] = _secret(key, Path(text))
            else:
                faults.append(f"{key}: expected no such variable, docs/settings.md has those that exist")
        except ConfigError as error:
            faults += error.faults
    return values | {name: value for name, value in arguments.items() if value is not None}, faults


def _secret(key: str, path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(f"{key}: expected a readable file at {path}, got: {reason}") from None


_PATHS = frozenset({"directory", "feeds", "registry", "jwks", "revocations", "tls_certificate", "tls_key", "kafka_ca"})
_COUNTS = frozenset({"jwks_refetch_s", "max_token_life_s", "token_leeway_s", "watch_files_s"})
_MOST_CHECKPOINTS = 100
_WAITS = frozenset({"heads_every_s", "heads_after_clearing_s"})
_MOST_HEADS_S = 86_400
_MOST_SOLVER_S = 60
_PORTS = frozenset({"gateway_port", "dispatch_port", "ingest_port", "ops_port"})
_OPS_ABOVE = 1000
_WEBSOCKET = re.compile(r"wss?://[A-Za-z0-9.\[\]:_-]+")
_ISSUER = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(?:/[A-Za-z0-9._~%/-]*)?")
_HTTP = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+")


def _typed(key: str, name: str, text: str) -> object:
    if name in _PATHS:
        return Path(text)
    if name in _PORTS:
        if not (text.isascii() and text.isdigit() and len(text) <= 5):
            raise ConfigError(f"{key}: expected a port from 0 to 65535, got {text!r:.60}")
        return int(text)
    if name == "checkpoints":
        if not (text.isascii() and text.isdigit() and len(text) <= 3):
            raise ConfigError(f"{key}: expected a number from 0 to {_MOST_CHECKPOINTS}, got {text!r:.60}")
        return int(text)
    if name in _COUNTS | _WAITS | {"solver_limit_s", "proofs_after_s"}:
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise ConfigError(f"{key}: expected a whole number of seconds, got {text!r:.60}")
        return int(text)
    return text


def _faults_of_settings(settings: ServerSettings) -> list[str]:
    faults = [
        f"{name}: expected a port from 0 to 65535, got {getattr(settings, name)}"
        for name in sorted(_PORTS)
        if not 0 <= (getattr(settings, name) or 0) <= 65535
    ]
    faults += [
        f"{name}: expected 0 to {_MOST_HEADS_S}, got {got}"
        for name in sorted(_WAITS)
        if not 0 <= (got := getattr(settings, name)) <= _MOST_HEADS_S
    ]
    if not 0 <= settings.checkpoints <= _MOST_CHECKPOINTS:
        faults.append(f"checkpoints: expected 0 to {_MOST_CHECKPOINTS}, got {settings.checkpoints}")
    if not 0 <= settings.solver_limit_s <= _MOST_SOLVER_S:
        faults.append(f"solver_limit_s: expected 0 to {_MOST_SOLVER_S}, got {settings.solver_limit_s}")
    if settings.log_format not in ("console", "json"):
        faults.append(f"log_format: expected console or json, got {settings.log_format!r:.60}")
    if settings.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        faults.append(f"log_level: expected DEBUG, INFO, WARNING or ERROR, got {settings.log_level!r:.60}")
    faults += _faults_of_the_issuer(settings)
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        faults.append("tls_key: expected together with tls_certificate, got one of them")
    faults += _faults_of_the_console(settings)
    if settings.tls not in ("here", "proxy"):
        faults.append(f"tls: expected here or proxy, got {settings.tls!r:.60}")
    if not is_loopback(settings.host):
        if settings.tls_certificate is None and settings.tls == "here":
            faults.append(
                f"tls_certificate: expected with a host beyond loopback, got none for {settings.host!r:.60}"
                " (or tls=proxy where something in front answers TLS)"
            )
        if settings.jwks is None and settings.jwks_url is None:
            faults.append(f"jwks: expected with a host beyond loopback, got none for {settings.host!r:.60}")
    return faults + faults_of_the_outside(settings)


def _faults_of_the_console(settings: ServerSettings) -> list[str]:
    """Each address goes into the policy that browsers hold the page to: it may not say anything more."""
    asked = (
        ("console_gateway", settings.console_gateway, _WEBSOCKET, "wss://grid.example:8081"),
        ("console_ingest", settings.console_ingest, _HTTP, "https://grid.example:8083"),
    )
    faults = [
        f"{name}: expected an address such as {example}, got {got!r:.60}"
        for name, got, form, example in asked
        if got is not None and not form.fullmatch(got)
    ]
    issuer = settings.issuer or ""
    if settings.console_client is not None and not (_ISSUER.fullmatch(issuer) and _is_trustworthy(issuer)):
        faults.append(f"console_client: expected with an issuer that is a URL with https, got {issuer!r:.60}")
    return faults


def _faults_of_the_issuer(settings: ServerSettings) -> list[str]:
    faults = [
        f"{name}: expected 1 or more, got {got}" for name in sorted(_COUNTS) if (got := getattr(settings, name)) < 1
    ]
    if settings.jwks is not None and settings.jwks_url is not None:
        faults.append("jwks_url: expected a file or a URL, got both")
    if (settings.jwks is None and settings.jwks_url is None) != (settings.issuer is None):
        faults.append("issuer: expected together with jwks or jwks_url, got one of them")
    if settings.jwks_url is not None and not _is_trustworthy(settings.jwks_url):
        faults.append(f"jwks_url: expected a URL with https, got {settings.jwks_url!r:.60}")
    return faults


def _is_trustworthy(url: str) -> bool:
    """Whether nobody on the way can change what a URL answers."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        )
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is reachable from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
