"""What `gridsignal doctor` looks at: settings, files, clocks, ports and what a running stack says of itself.

Nothing is changed, nothing is locked, and whoever doesn't answer within `PATIENCE_S` is away.
"""

from __future__ import annotations

import asyncio
import ctypes
import resource
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from gridsignal_services import diagnosis
from gridsignal_services.access import signer
from gridsignal_services.access.keys_at_url import KeysAtUrl, KeysUnavailable
from gridsignal_services.addresses import authority
from gridsignal_services.bus import LogError
from gridsignal_services.bus.sqlite_file import FILE, LOCK
from gridsignal_services.bus.sqlite_keeping import LogSize, measure
from gridsignal_services.clock import wall
from gridsignal_services.diagnosis import FeedSeen, Finding, SecretFile, State
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.ingest.feeds import Feeds
from gridsignal_services.reloading import read_files
from gridsignal_services.settings import SECRETS, ConfigError, ServerSettings

PATIENCE_S = 3.0
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_PORTS_OF = ("gateway", "dispatch", "ingest")
_ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised, not listened on
_OPEN_FILES_LINE = "Max open files"


def findings(settings: ServerSettings, environment: Mapping[str, str], name: str | None) -> Iterator[Finding]:
    """Everything, check by check; `name` is that by which clients reach the doors."""
    size, unreadable = _log(settings)
    yield from _of_files(settings, environment)
    yield diagnosis.of_clock(wall(), _newest(size), _issuers_time(settings), _is_synchronised())
    yield from unreadable
    yield _of_disk(settings, size)
    yield from diagnosis.of_modes(list(_secret_files(settings, environment)))
    yield from _of_certificate(settings, name)
    yield asyncio.run(_of_issuer(settings))
    yield from _of_brokers(settings)
    health, metrics = _running(settings)
    ports = {door: int(getattr(settings, f"{door}_port")) for door in _PORTS_OF}
    taken = frozenset(port for port in ports.values() if port and _answers(_near(settings.host), port))
    yield from diagnosis.of_doors(ports, health, taken)
    yield from _of_feeds(settings, environment, metrics)
    yield diagnosis.of_open_files(_open_files(settings, bool(health)), GatewaySettings.of(settings).max_connections)


def _log(settings: ServerSettings) -> tuple[LogSize | None, list[Finding]]:
    if settings.kafka is not None or not (settings.directory / FILE).exists():
        return None, []
    try:
        return measure(settings.directory), []
    except LogError as error:
        todo = "run as the user of the stack; `gridsignal audit verify` reads every record of a log"
        return None, [Finding("log", State.WRONG, str(error), todo)]


def _newest(size: LogSize | None) -> datetime | None:
    topics = size.topics if size is not None else ()
    return max((topic.newest for topic in topics if topic.newest is not None), default=None)


def _of_files(settings: ServerSettings, environment: Mapping[str, str]) -> Iterator[Finding]:
    faults: list[str] = []
    try:
        read_files(settings)
    except ConfigError as error:
        faults += error.faults
    try:
        _feeds(settings, environment)
    except ConfigError as error:
        faults += error.faults
    for fault in faults:
        yield Finding("settings", State.WRONG, fault, "mend the file, or the variable that names it")
    if not faults:
        yield Finding("settings", State.OK, "every file that they name can be used")


def _feeds(settings: ServerSettings, environment: Mapping[str, str]) -> Feeds:
    return Feeds.load(settings.feeds, environment) if settings.feeds else Feeds()


def _is_synchronised() -> bool | None:
    """What the kernel of Linux says of its clock; None elsewhere."""
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(256))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def _issuers_time(settings: ServerSettings) -> datetime | None:
    if settings.jwks_url is None:
        return None
    with suppress(httpx2.HTTPError, httpx2.InvalidURL, ValueError, TypeError):
        answer = httpx2.head(settings.jwks_url, timeout=PATIENCE_S)
        return parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC)
    return None


def _of_disk(settings: ServerSettings, size: LogSize | None) -> Finding:
    folder = settings.directory.absolute()
    while not folder.exists():
        folder = folder.parent
    disk = shutil.disk_usage(folder)
    taken = 0 if size is None else size.file_bytes + size.write_ahead_bytes
    return diagnosis.of_disk(disk.free, disk.total, taken)


def _secret_files(settings: ServerSettings, environment: Mapping[str, str]) -> Iterator[SecretFile]:
    directory = settings.directory
    log = [directory / f"{FILE}{beside}" for beside in ("", "-wal", "-shm")]
    keys = [directory / signer.FILE, *directory.glob("*keys.json"), *directory.glob("issuer/*key.json")]
    for path in (directory, *log, *keys, *directory.glob("tokens/*.token")):
        yield from _seen(path)
    named = [environment.get(f"GRIDSIGNAL_{name.upper()}_FILE") for name in sorted(SECRETS)]
    for name in (settings.tls_key, *named):
        if name:
            yield from _seen(Path(name), for_group=True)


def _seen(path: Path, *, for_group: bool = False) -> Iterator[SecretFile]:
    with suppress(OSError):
        yield SecretFile(str(path), path.stat().st_mode & 0o777, for_group)


def _of_certificate(settings: ServerSettings, wanted: str | None) -> Iterator[Finding]:
    if settings.tls_certificate is None:
        return
    try:
        leaf = x509.load_pem_x509_certificates(settings.tls_certificate.read_bytes())[0]
    except (OSError, ValueError):
        return  # `settings` says why
    names: list[str] = []
    with suppress(x509.ExtensionNotFound):
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(each.value) for each in alternatives]
    yield diagnosis.of_certificate(leaf.not_valid_before_utc, leaf.not_valid_after_utc, names, wall(), wanted)


async def _of_issuer(settings: ServerSettings) -> Finding:
    if settings.jwks_url is not None:
        try:
            keys = await KeysAtUrl(settings.jwks_url, refetch_s=PATIENCE_S).fetch()
        except KeysUnavailable as away:
            todo = "look at the URL and the way there (SSL_CERT_FILE for an authority of your own): no start without it"
            return Finding("issuer", State.WRONG, str(away), todo)
        return Finding("issuer", State.OK, f"{len(keys.by_id if keys else ())} keys at {settings.jwks_url}")
    if settings.jwks is not None:
        return Finding("issuer", State.OK, f"its keys are in {settings.jwks}, which nobody renews but you")
    return Finding("issuer", State.OK, "the local one: tokens for this machine")


def _of_brokers(settings: ServerSettings) -> Iterator[Finding]:
    """Whether somebody listens where Kafka and the schema registry should."""
    for broker in (settings.kafka or "").split(","):
        host, _, port = broker.strip().rpartition(":")
        if host:
            yield _of_peer("brokers", host.strip("[]"), int(port))
    if settings.schema_registry is not None:
        url = urlsplit(settings.schema_registry)
        yield _of_peer("schema registry", url.hostname or "", url.port or (443 if url.scheme == "https" else 80))


def _of_peer(check: str, host: str, port: int) -> Finding:
    at = authority(host, port)
    if _answers(host, port):
        return Finding(check, State.OK, f"{at} answers")
    return Finding(check, State.WRONG, f"{at} does not answer", "start it, or look at the name and the firewall")


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=PATIENCE_S):
            return True
    except OSError:
        return False


def _near(host: str) -> str:
    return _ANYWHERE.get(host, host)


def _running(settings: ServerSettings) -> tuple[dict[str, Mapping[str, object]], list[str]]:
    """What the operations ports of this machine say: the state of each part, and the metrics."""
    doors = [settings.gateway_port, settings.dispatch_port, settings.ingest_port]
    health: dict[str, Mapping[str, object]] = {}
    metrics: list[str] = []
    for port in dict.fromkeys(settings.ops_port_beside(port) for port in doors):
        if not port:
            continue
        said = _asked(settings, port, "/healthz")
        with suppress(ValueError):
            parts = said.json() if said is not None else {}
            if isinstance(parts, dict) and all(isinstance(part, dict) and "live" in part for part in parts.values()):
                health |= parts
                counted = _asked(settings, port, "/metrics") if parts else None
                metrics += [counted.text] if counted is not None else []
    return health, metrics


def _asked(settings: ServerSettings, port: int, path: str) -> httpx2.Response | None:
    headers = {"Authorization": f"Bearer {settings.ops_token}"} if settings.ops_token else {}
    try:
        url = f"http://{authority(_near(settings.ops_host), port)}{path}"
        answer = httpx2.get(url, headers=headers, timeout=PATIENCE_S)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return None
    return answer if answer.status_code == 200 else None


def _of_feeds(settings: ServerSettings, environment: Mapping[str, str], metrics: list[str]) -> list[Finding]:
    samples: dict[tuple[str, ...], dict[str, float]] = {}
    for family in (family for text in metrics for family in text_string_to_metric_families(text)):
        if family.name in ("gridsignal_feed_last_success_seconds", "gridsignal_feed_stale"):
            for sample in family.samples:
                feed = tuple(sample.labels[label] for label in ("provider", "zone", "signal"))
                samples.setdefault(feed, {})[family.name.removeprefix("gridsignal_feed_")] = sample.value
    seen = [FeedSeen(" ".join(feed), _moment(said), said.get("stale") == 1) for feed, said in sorted(samples.items())]
    if seen:
        return diagnosis.of_feeds(seen, wall())
    with suppress(ConfigError):
        if _feeds(settings, environment).feeds:
            return [Finding("feeds", State.WARNING, "none is read: no ingest door runs here", "start the stack")]
    return [Finding("feeds", State.OK, "none is to be read")]


def _moment(said: Mapping[str, float]) -> datetime | None:
    return datetime.fromtimestamp(said["last_success_seconds"], UTC) if said.get("last_success_seconds") else None


def _open_files(settings: ServerSettings, runs: bool) -> int:
    """The bound of the process that runs, where it can be seen, else that of what is started from here."""
    with suppress(OSError, ValueError, IndexError):
        if runs:
            pid = int((settings.directory / LOCK).read_text("ascii"))
            lines = Path(f"/proc/{pid}/limits").read_text("ascii").splitlines()
            return int(next(line for line in lines if line.startswith(_OPEN_FILES_LINE)).split()[4])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return hard if hard != resource.RLIM_INFINITY else 2**31
