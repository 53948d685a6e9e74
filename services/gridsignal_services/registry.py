"""Who there is: zones, organisations and sites, from one TOML file. A mistake refuses to start."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, ValidationError

from gridsignal_schemas.values import MAX_POWER_W, Currency, Identifier, Name, Power, Shape, Zone
from gridsignal_services.access import Entitlements, Principal
from gridsignal_services.settings import ConfigError


class ZoneEntry(Shape):
    """One bidding zone."""

    currency: Currency
    """What prices in it are quoted in."""
    timezone: Name
    """The market's time zone, an IANA name: market days begin at its midnight."""

    @property
    def tz(self) -> ZoneInfo:
        """The market's time zone."""
        return ZoneInfo(self.timezone)


class OperatorEntry(Shape):
    """An organisation that asks for flexibility."""

    zones: Annotated[list[Zone], Field(min_length=1)]
    """Where it may ask."""


class ParticipantEntry(Shape):
    """An organisation that runs data centers."""

    zones: Annotated[list[Zone], Field(min_length=1)]
    """Whose prices, carbon and public requests it may see."""


class SiteEntry(Shape):
    """A data center's connection point."""

    participant: Identifier
    """Who runs it."""
    zone: Zone
    """Where it lies, for ever."""
    capacity_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)]
    """What the connection carries, in watts."""
    minimum_load_w: Power
    """What can't be shed, in watts: the idle power of machines and cooling."""
    external_ids: Annotated[dict[Name, Name], Field(max_length=16, default_factory=dict)]
    """Names elsewhere, by scheme: EIC, mRID, EAN."""


class Registry(Shape):
    """Zones, organisations and sites, from one TOML file.

    Bounded: by the file, which an administrator writes.
    """

    zones: Annotated[dict[Zone, ZoneEntry], Field(min_length=1)]
    operators: dict[Identifier, OperatorEntry] = Field(default_factory=dict)
    participants: dict[Identifier, ParticipantEntry] = Field(default_factory=dict)
    sites: dict[Identifier, SiteEntry] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Registry:
        """Reads a registry file. Raises ConfigError."""
        try:
            return cls.parse(path.read_text("utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as unreadable:
            reason = getattr(unreadable, "strerror", None) or "it is not UTF-8 text"
            raise ConfigError(f"{path}: expected a readable registry file, got: {reason}") from None

    @classmethod
    def parse(cls, text: str, file: str = "registry") -> Registry:
        """The registry that a TOML text describes. Raises ConfigError."""
        try:
            registry = cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as broken:
            raise ConfigError(f"{file}: expected TOML, got: {broken}") from None
        except ValidationError as invalid:
            raise ConfigError(*(f"{file}: {_fault(fault)}" for fault in invalid.errors(include_url=False))) from None
        if faults := [*_faults_of_zones(registry), *_faults_of_sites(registry)]:
            raise ConfigError(*(f"{file}: {fault}" for fault in faults))
        return registry

    def knows(self, principal: Principal) -> bool:
        """Whether the principal's organisation has a place here: who was removed is refused whatever they ask."""
        groups: dict[str, Mapping[str, object]] = {"operator": self.operators, "participant": self.participants}
        return principal.organisation in groups.get(principal.role, ())

    def entitlements(self, principal: Principal) -> Entitlements:
        """What belongs to the principal's organisation: nothing where the registry doesn't know it."""
        if principal.role == "operator" and (operator := self.operators.get(principal.organisation)):
            return Entitlements(zones=frozenset(operator.zones))
        if principal.role == "participant" and (participant := self.participants.get(principal.organisation)):
            own = (site for site, entry in self.sites.items() if entry.participant == principal.organisation)
            return Entitlements(zones=frozenset(participant.zones), sites=frozenset(own), past_sites=True)
        return Entitlements()


def example_registry() -> Registry:
    """The registry that ships with the package: three zones, two operators, three participants with four sites."""
    return Registry.parse(example_registry_text(), "example_sites.toml")


def example_registry_text() -> str:
    """The shipped registry file, to start one's own from."""
    return files("gridsignal_services").joinpath("example_sites.toml").read_text("utf-8")


def _fault(error: Any) -> str:
    """One line from pydantic's error: key: expected ..., got ..."""
    key = ".".join(str(part) for part in error["loc"] if part != "[key]")
    if error["type"] == "extra_forbidden":
        return f"{key}: expected no such key, got {error['input']!r:.60}"
    if error["type"] == "missing":
        return f"{key}: expected a value, got nothing"
    return f"{key}: expected {_expected(error['msg'])}, got {error['input']!r:.60}"


def _expected(message: str) -> str:
    message = message.removeprefix("Input should be ").removeprefix("Value error, expected ").split(", got ")[0]
    message = message.removesuffix(" after validation, not 0").replace("String should match pattern", "text like")
    return re.sub(r"^(Dictionary|List) should have", "a table with" if message[0] == "D" else "a list with", message)


def _faults_of_zones(registry: Registry) -> list[str]:
    faults = [
        f"zones.{name}.timezone: expected an IANA time zone such as Europe/Berlin, got {entry.timezone!r:.60}"
        for name, entry in registry.zones.items()
        if entry.timezone not in available_timezones()
    ]
    groups: dict[str, Mapping[str, OperatorEntry | ParticipantEntry]] = {
        "operators": registry.operators,
        "participants": registry.participants,
    }
    return faults + [
        f"{group}.{name}.zones: expected zones of this file ({', '.join(registry.zones)}), got {zone!r:.60}"
        for group, entries in groups.items()
        for name, entry in entries.items()
        for zone in entry.zones
        if zone not in registry.zones
    ]


def _faults_of_sites(registry: Registry) -> list[str]:
    faults = []
    for name, site in registry.sites.items():
        owner = registry.participants.get(site.participant)
        if owner is None:
            faults.append(
                f"sites.{name}.participant: expected a participant of this file, got {site.participant!r:.60}"
            )
        elif site.zone not in owner.zones:
            faults.append(f"sites.{name}.zone: expected one of {site.participant}'s zones, got {site.zone!r:.60}")
        if site.minimum_load_w > site.capacity_w:
            faults.append(
                f"sites.{name}.minimum_load_w: expected at most capacity_w ({site.capacity_w}), "
                f"got {site.minimum_load_w}"
            )
    return faults
