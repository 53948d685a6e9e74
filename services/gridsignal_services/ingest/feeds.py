"""Which feeds are read: one TOML file for zones, order of preference and addresses; secrets from the environment alone.

[zones.DE-LU]
price = ["entsoe", "energy_charts"]     # the next is asked while one before it fails
carbon = ["electricitymaps"]

[providers.openadr3]
address = "https://vtn.example.org/openadr3/3.1.0"
target.ven-7 = "acme-ai"

[markets.SDAC]                          # limits, currencies, area codes that the defaults lack: market_tables.py
limits = [{ since = 2027-03-01, lowest = -700, highest = 5000 }]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridsignal_services.ingest.feed import Signal
from gridsignal_services.ingest.market_tables import markets_of
from gridsignal_services.ingest.markets import Markets
from gridsignal_services.ingest.providers import PROVIDERS
from gridsignal_services.ingest.watch import Feed
from gridsignal_services.settings import ConfigError

PREFIX = "GRIDSIGNAL_FEED_"
_SECRETS = frozenset({"token", "user", "password", "client_id", "client_secret"})
_ZONE = re.compile(r"[A-Za-z0-9_-]{1,64}")

Settings = Mapping[str, Mapping[str, str]]
"""Per provider: addresses, names, secrets."""


@dataclass(frozen=True, slots=True)
class Feeds:
    """What to read, and what the providers need to be told. Secrets are in `settings`: it is never shown."""

    feeds: tuple[Feed, ...] = ()
    settings: Settings = field(default_factory=dict, repr=False)
    markets: Markets = field(default_factory=Markets)

    @classmethod
    def load(cls, path: Path, environment: Mapping[str, str]) -> Feeds:
        """Reads a feeds file. Raises ConfigError naming every key that is wrong or missing."""
        try:
            return cls.parse(path.read_text("utf-8"), environment, str(path))
        except (OSError, UnicodeDecodeError) as unreadable:
            reason = getattr(unreadable, "strerror", None) or "it is not UTF-8 text"
            raise ConfigError(f"{path}: expected a readable feeds file, got: {reason}") from None

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str], file: str = "feeds") -> Feeds:
        """The feeds that a TOML text describes. Raises ConfigError."""
        try:
            tables = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as broken:
            raise ConfigError(f"{file}: expected TOML, got: {broken}") from None
        table = tables.get("markets", {})
        markets, wrong = markets_of(table) if isinstance(table, dict) else (Markets(), ["markets: expected a table"])
        if faults := [f"{file}: {fault}" for fault in (*_faults(tables), *wrong)]:
            raise ConfigError(*faults)
        feeds = tuple(
            Feed(zone, Signal(signal), tuple(names))
            for zone, signals in tables["zones"].items()
            for signal, names in signals.items()
        )
        settings = _together(tables.get("providers", {}), settings_of(environment))
        if missing := list(_missing(feeds, settings)):
            raise ConfigError(*missing)
        return cls(feeds, settings, markets)


def settings_of(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Every provider's settings in the environment: GRIDSIGNAL_FEED_<PROVIDER>_<KEY>."""
    found: dict[str, dict[str, str]] = {name: {} for name in PROVIDERS}
    for variable, value in environment.items():
        for name in PROVIDERS:
            prefix = f"{PREFIX}{name.upper()}_"
            if variable.startswith(prefix):
                found[name][variable.removeprefix(prefix).lower()] = value
    return found


def _together(tables: Mapping[str, Any], environment: Settings) -> dict[str, dict[str, str]]:
    return {name: dict(_flat(tables.get(name, {}))) | dict(environment[name]) for name in PROVIDERS}


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested tables as dotted keys: region.US-CAL-CISO."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", str(value)


def _faults(tables: Mapping[str, Any]) -> Iterator[str]:
    for key in tables.keys() - {"zones", "providers", "markets"}:
        yield f"{key:.60}: expected zones, providers and markets only"
    zones, providers = tables.get("zones"), tables.get("providers", {})
    if not isinstance(zones, dict):  # an empty table is somebody's word that nothing is to be read
        yield "zones: expected a table for each zone, got none"
    elif not isinstance(providers, dict):
        yield "providers: expected a table for each provider"
    else:
        for zone, signals in zones.items():
            yield from _zone_faults(zone, signals)
        for name, table in providers.items():
            yield from _provider_faults(name, table)


def _zone_faults(zone: str, signals: object) -> Iterator[str]:
    if not _ZONE.fullmatch(zone):
        yield f"zones.{zone:.64}: expected letters, digits, - and _"
    if not isinstance(signals, dict) or not signals:
        yield f"zones.{zone}: expected a list of providers for each signal, got none"
        return
    known = ", ".join(Signal)
    for signal, names in signals.items():
        at = f"zones.{zone}.{signal}"
        if signal not in list(Signal):
            yield f"{at:.120}: expected one of {known}"
        elif not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
            yield f"{at}: expected a list of different providers, the preferred one first"
        else:
            yield from (fault for name in names if (fault := _name_fault(at, name, Signal(signal))))


def _name_fault(at: str, name: object, signal: Signal) -> str:
    able = sorted(known for known, provider in PROVIDERS.items() if signal in provider.cadence)
    return "" if name in able else f"{at}: expected some of {', '.join(able)}, got {name!r:.40}"


def _provider_faults(name: str, table: object) -> Iterator[str]:
    if name not in PROVIDERS or not isinstance(table, dict):
        yield f"providers.{name:.40}: expected a table of one of {', '.join(PROVIDERS)}"
        return
    for key, value in _flat(table):
        if key in _SECRETS:
            yield f"providers.{name}.{key}: expected in the environment as {_variable(name, key)}, not in a file"
        elif not value:
            yield f"providers.{name}.{key:.60}: expected a value, got nothing"


def _missing(feeds: tuple[Feed, ...], settings: Settings) -> Iterator[str]:
    for name in dict.fromkeys(name for feed in feeds for name in feed.providers):
        for key in PROVIDERS[name].needs:
            if not settings[name].get(key):
                yield f"{_variable(name, key)}: expected a value for {name}, got nothing"


def _variable(name: str, key: str) -> str:
    return f"{PREFIX}{name.upper()}_{key.upper()}"
