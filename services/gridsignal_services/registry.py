"""Who and what there is: zones, organisations, sites and products, from one TOML file. A mistake refuses to start."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, JsonValue, ValidationError

from gridsignal_schemas.messages import DispatchRequest, PinnedRule
from gridsignal_schemas.rules.products import Product
from gridsignal_schemas.signatures import Signing
from gridsignal_schemas.values import (
    MAX_POWER_W,
    Currency,
    Identifier,
    Name,
    Power,
    Revision,
    Sha256,
    Shape,
    Timestamp,
    Zone,
    rfc3339,
)
from gridsignal_services.access import Entitlements, Principal, Role
from gridsignal_services.access.participant_keys import Asks, Signs, faults_of_keys, signing
from gridsignal_services.grid_areas import AreaEntry, faults_of_areas
from gridsignal_services.products import ProductEntry, faults_of_products, product_of
from gridsignal_services.settings import ConfigError
from gridsignal_services.settlement.days import WrongPlace, public_holidays
from gridsignal_services.settlement.methods import METHODS
from gridsignal_services.settlement.pinned import pinned, pinned_method, rule_of
from gridsignal_services.settlement.rules import SHIPPED, Missing, RuleFault, SettlementRule, shipped_rule


class ZoneEntry(Shape):
    """One bidding zone."""

    currency: Currency
    """What prices in it are quoted in."""
    timezone: Name
    """The market's time zone, an IANA name: market days begin at its midnight."""
    holidays: Name | None = None
    """Whose public holidays are no working days: a country such as GB, or a part of one such as GB-ENG."""

    @property
    def tz(self) -> ZoneInfo:
        """The market's time zone."""
        return ZoneInfo(self.timezone)


class OperatorEntry(Asks):
    """An organisation that asks for flexibility; `signatures` is about what it is sent on its requests."""

    zones: Annotated[list[Zone], Field(min_length=1)]
    """Where it may ask."""


class ParticipantEntry(Signs):
    """An organisation that runs data centers."""

    zones: Annotated[list[Zone], Field(min_length=1)]
    """Whose prices, carbon and public requests it may see."""


class MeterEntry(Shape):
    """A meter of a connection point, and when it measures it."""

    since: Timestamp | None = None
    """From when on; without it from ever."""
    until: Timestamp | None = None
    """When it was taken out: where another took its place, that one's `since`."""
    digits: Annotated[int, Field(ge=1, le=15)] | None = None
    """Of its register in watt-hours; without it as its readings tell."""


class FailsafeEntry(Shape):
    """What a site does that no longer hears the grid, as agreed with it."""

    heartbeat_s: Annotated[int, Field(ge=1, le=86_400)]
    """So long a silence is lost contact."""
    limit_w: Power
    """What the site then takes from the grid at most, in watts."""
    minimum_s: Annotated[int, Field(ge=0, le=86_400)]
    """For how long at least, unless a permit lets it go."""
    spread_s: Annotated[int, Field(ge=0, le=86_400)] = 600
    """Sites return within so long after that, at random."""
    orders: Literal["HOLD", "COMPLETE", "RESTORE"] = "COMPLETE"
    """What becomes of an order that does not say so itself."""


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
    meters: Annotated[dict[Identifier, MeterEntry], Field(max_length=64, default_factory=dict)]
    """All meters of the connection by their names in readings; without any each that speaks counts."""
    failsafe: FailsafeEntry | None = None
    """What it does that no longer hears the grid; without it nothing is agreed."""


class RuleEntry(Shape):
    """A settlement rule of one's own."""

    version: Revision
    """+1 for each change of its parameters."""
    sha256: Sha256
    """Of the canonical text of all its parameters: whoever changes them changes it."""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    """What differs from the defaults; docs/settlement.md names them."""


class SignerEntry(Shape):
    """Whose key tree heads may be signed with; an older key stays, with the time until which it was used."""

    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Ed25519, 32 bytes in hexadecimal, as `gridsignal audit key` shows it."""
    valid_from: Timestamp | None = None
    """Heads signed from then on; absent: all before valid_until."""
    valid_until: Timestamp | None = None
    """Heads signed before then; absent: all from valid_from on."""


class Registry(Shape):
    """Zones, organisations, sites and products, from one TOML file.

    Bounded: by the file, which an administrator writes.
    """

    zones: Annotated[dict[Zone, ZoneEntry], Field(min_length=1)]
    operators: dict[Identifier, OperatorEntry] = Field(default_factory=dict)
    participants: dict[Identifier, ParticipantEntry] = Field(default_factory=dict)
    sites: dict[Identifier, SiteEntry] = Field(default_factory=dict)
    areas: dict[Identifier, AreaEntry] = Field(default_factory=dict)
    products: dict[Name, ProductEntry] = Field(default_factory=dict)
    rules: dict[Identifier, RuleEntry] = Field(default_factory=dict)
    signers: dict[Identifier, SignerEntry] = Field(default_factory=dict)
    signed_for: Name | None = None
    """This deployment's name, for which participants sign: what is signed for another counts nowhere here."""

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
        found = [
            *faults_of_keys(registry.signed_for, registry.participants),
            *_faults_of_zones(registry),
            *_faults_of_sites(registry),
            *faults_of_areas(registry.areas, registry.sites, registry.zones, registry.operators),
            *_faults_of_rules(registry),
        ]
        if faults := found or list(faults_of_products(registry.products, _known_rules(registry))):
            raise ConfigError(*(f"{file}: {fault}" for fault in faults))
        return registry

    def organisations(self) -> list[tuple[Role, str]]:
        """Each with its role, operators first."""
        return [("operator", name) for name in self.operators] + [("participant", name) for name in self.participants]

    def knows(self, principal: Principal) -> bool:
        """Whether the principal's organisation has a place here: who was removed is refused whatever they ask."""
        groups: dict[str, Mapping[str, object]] = {"operator": self.operators, "participant": self.participants}
        return principal.organisation in groups.get(principal.role, ())

    def rules_of(self, product: str) -> tuple[PinnedRule, PinnedRule]:
        """The settlement rule and the baseline method of a product; those that ship for one that is not listed."""
        known = self.product(product)
        name, _, version = known.settlement.rpartition(" ")
        own = self.rules.get(name)
        rule = shipped_rule(name, int(version)) if own is None else _rule_of(name, own)
        return pinned(rule), pinned_method(METHODS[known.baseline.rpartition(" ")[0]])

    def product(self, name: str) -> Product:
        """A product as it is here; one that nobody has named lays down nothing."""
        return product_of(name, self.products.get(name))

    def signing_of(self, participant: str, operator: str | None = None) -> Signing:
        """What holds for signatures of a participant's record, about a request of this operator, if it is about one."""
        if (who := self.participants.get(participant)) is None:
            return Signing()
        return signing(self.signed_for, who, None if operator is None else self.operators.get(operator))

    def warnings(self) -> list[str]:
        """What may not be meant so, a sentence each: products under whose rules silence is worth money."""
        found = []
        for product in self.products:
            rule = rule_of(self.rules_of(product)[0].parameters)
            if rule.charges and rule.missing is Missing.NOTHING:
                found.append(
                    f"products.{product}.settlement: {rule.name} {rule.version} charges what lacks, and nothing of what"
                    ' no meter told: who sends no readings owes nothing. A rule with missing = "ZERO" charges that, too'
                )
        return found

    def publishes_at(self, request: DispatchRequest) -> datetime | None:
        """From when on participants may be told the prices of others' offers; None where they never are."""
        entry = self.products.get(request.product)
        if entry is None or entry.publish_after_s is None:
            return None
        return request.ends_at + timedelta(seconds=entry.publish_after_s)

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
    for name, entry in registry.zones.items():
        try:
            public_holidays(entry.holidays or "GB", date(2024, 1, 1), date(2024, 1, 1))
        except WrongPlace as wrong:
            faults.append(f"zones.{name}.holidays: {wrong}")
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


def _rule_of(name: str, entry: RuleEntry) -> SettlementRule:
    """Raises RuleFault."""
    return SettlementRule.of({**entry.parameters, "name": name, "version": entry.version})


def _known_rules(registry: Registry) -> Iterator[str]:
    yield from (f"{name} {entry.version}" for name, entry in registry.rules.items())
    yield from (f"{rule.name} {rule.version}" for rules in SHIPPED.values() for rule in rules)


def _faults_of_rules(registry: Registry) -> Iterator[str]:
    for name, entry in registry.rules.items():
        if name in SHIPPED:
            yield f"rules.{name}: expected a name of one's own, for a rule of this name ships"
            continue
        try:
            rule = _rule_of(name, entry)
        except RuleFault as broken:
            for each in broken.faults:
                yield f"rules.{name}.parameters{each.pointer.replace('/', '.')}: {each.message}"
            continue
        if rule.missing is Missing.ESTIMATE:
            expected = (
                "expected NOTHING or ZERO, for no record of the log says what an operator estimates, got ESTIMATE"
            )
            yield f"rules.{name}.parameters.missing: {expected}"
        if rule.sha256 != entry.sha256:
            yield f"rules.{name}.sha256: expected {rule.sha256}, that of its parameters, got {entry.sha256}"


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
        faults += [
            f"sites.{name}.meters.{meter}.until: expected a time after since ({rfc3339(each.since)}),"
            f" got {rfc3339(each.until)}"
            for meter, each in site.meters.items()
            if each.since is not None and each.until is not None and each.until <= each.since
        ]
        if site.failsafe is not None and site.failsafe.limit_w > site.capacity_w:
            faults.append(
                f"sites.{name}.failsafe.limit_w: expected at most capacity_w ({site.capacity_w}), "
                f"got {site.failsafe.limit_w}"
            )
        if site.minimum_load_w > site.capacity_w:
            faults.append(
                f"sites.{name}.minimum_load_w: expected at most capacity_w ({site.capacity_w}), "
                f"got {site.minimum_load_w}"
            )
    return faults
