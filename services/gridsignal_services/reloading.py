"""What an administrator may change without a restart: registry, key set, revocations, certificate.

The files are read again when one of them changes and is then left alone, and at once on SIGHUP. Either all are good
and are taken together, or nothing changes and the log says what is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gridsignal_services.access.keys import TrustedKeys
from gridsignal_services.access.revocations import Revocations
from gridsignal_services.access.tokens import TokenRules, Verifier
from gridsignal_services.registry import Registry, example_registry
from gridsignal_services.settings import ConfigError, ServerSettings
from gridsignal_services.telemetry import logger

_log = logger("settings")
_FILES = ("registry", "jwks", "revocations", "tls_certificate", "tls_key")


class Entitling(Protocol):
    """A door: takes changes while it is open."""

    def entitle(self, registry: Registry) -> None:
        """Takes a registry, and looks anew at who is connected: their tokens may not be good any more."""

    def renew_certificate(self) -> None:
        """Reads its certificate again, for connections that come from now on."""


@dataclass(frozen=True, slots=True)
class Files:
    """What the files of the settings say."""

    registry: Registry
    revocations: Revocations
    keys: TrustedKeys | None
    """None: the local issuer's, or those at a URL."""


def read_files(settings: ServerSettings) -> Files:
    """Reads all files. Raises ConfigError with every fault of all of them."""
    faults: list[str] = []
    registry, revocations, keys = example_registry(), Revocations(), None
    try:
        registry = Registry.load(settings.registry) if settings.registry else registry
    except ConfigError as error:
        faults += error.faults
    try:
        if settings.revocations is not None:
            revocations = Revocations.parse(settings.revocations.read_text("utf-8"))
    except (OSError, ValueError) as error:
        faults.append(f"revocations: {settings.revocations}: {_reason(error)}")
    try:
        keys = TrustedKeys.parse(settings.jwks.read_text("utf-8")) if settings.jwks else None
    except (OSError, ValueError) as error:
        reason = _reason(error).removeprefix("jwks: ")
        faults.append(f"jwks: expected a readable set of public keys in {settings.jwks}, got: {reason:.200}")
    if fault := _certificate_fault(settings):
        faults.append(fault)
    if faults:
        raise ConfigError(*faults)
    return Files(registry, revocations, keys)


def rules_of(settings: ServerSettings) -> TokenRules:
    """What the settings say about tokens."""
    return TokenRules(
        max_life_s=settings.max_token_life_s,
        leeway_s=settings.token_leeway_s,
        role_claim=settings.role_claim,
        organisation_claim=settings.organisation_claim,
        scope_claim=settings.scope_claim,
        clients=frozenset(filter(None, map(str.strip, settings.token_clients.split(",")))),
    )


def _certificate_fault(settings: ServerSettings) -> str:
    """What is wrong with the certificate, or nothing."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return ""
    for name, path in (("tls_certificate", settings.tls_certificate), ("tls_key", settings.tls_key)):
        try:
            path.read_bytes()
        except OSError as error:
            return f"{name}: expected a readable PEM file at {path}, got: {_reason(error)}"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ValueError) as error:
        return (
            f"tls_certificate: expected a certificate in {settings.tls_certificate} and its key in {settings.tls_key}, "
            f"got: {_reason(error)}"
        )
    return ""


def _reason(error: OSError | ValueError) -> str:
    return str(getattr(error, "strerror", None) or error)


class Reloading:
    """Watches the files and passes on what changes. `asked` is set for a look at once: SIGHUP."""

    def __init__(
        self,
        settings: ServerSettings,
        verifier: Verifier,
        registry: Registry,
        doors: Sequence[Entitling],
        asked: asyncio.Event | None = None,
    ) -> None:
        self._settings, self._verifier, self._registry, self._doors = settings, verifier, registry, doors
        self._asked = asked or asyncio.Event()
        self._paths = [path for name in _FILES if (path := getattr(settings, name)) is not None]
        self._taken = _state(self._paths)
        _warn_of_products(registry)

    async def run(self) -> None:
        """Watches until it is cancelled."""
        seen = self._taken
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.watch_files_s):
                    await self._asked.wait()
            before, seen = seen, await asyncio.to_thread(_state, self._paths)
            # a file that is still being written is left alone: what it says so far may be read as less than it says
            if self._asked.is_set() or (seen == before and seen != self._taken):
                self._asked.clear()
                self._taken = seen
                await self._reload()

    def take_keys(self, keys: TrustedKeys) -> None:
        """Other keys, from wherever: who came in with one that is gone is turned out."""
        self._verifier.trust(keys)
        warn_of(keys)
        for door in self._doors:
            door.entitle(self._registry)

    async def _reload(self) -> None:
        try:
            files = await asyncio.to_thread(read_files, self._settings)
        except ConfigError as error:
            _log.error("changed files are not taken, what was before stays", faults=list(error.faults))
            return
        if self._settings.registry is not None:
            self._registry = files.registry
            _warn_of_products(files.registry)
        if files.keys is not None:
            self._verifier.trust(files.keys)
            warn_of(files.keys)
        self._verifier.revoke(files.revocations)
        for door in self._doors:
            door.entitle(self._registry)
            try:
                door.renew_certificate()
            except OSError as error:  # changed once more since it was checked: the next look takes it
                _log.error("the certificate is not taken", reason=_reason(error))
        _log.info("files taken", files=[path.name for path in self._paths])


def warn_of(keys: TrustedKeys) -> None:
    """Names the keys of a set that can't be used."""
    if keys.unusable:
        _log.warning("keys left out", usable=len(keys.by_id), faults=list(keys.unusable))


def _warn_of_products(registry: Registry) -> None:
    for warning in registry.warnings():
        _log.warning("a product of the registry may not be meant so", what=warning)


def _state(paths: Sequence[Path]) -> Mapping[Path, tuple[int, ...] | None]:
    """What tells that a file is another one; None where there is none."""
    found: dict[Path, tuple[int, ...] | None] = {}
    for path in paths:
        try:
            found_file = path.stat()
            found[path] = (found_file.st_mtime_ns, found_file.st_size, found_file.st_ino)
        except OSError:
            found[path] = None
    return found
