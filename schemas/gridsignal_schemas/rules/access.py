"""Who somebody is, what their token lets them do, and what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.rules.faults import fault

Role = Literal["operator", "participant", "service"]

SIGNAL_READ = "signal:read"
OFFER_WRITE = "offer:write"
DISPATCH_WRITE = "dispatch:write"
SIGNAL_WRITE = "signal:write"
OPERATIONS_READ = "operations:read"
SCOPES = frozenset({SIGNAL_READ, OFFER_WRITE, DISPATCH_WRITE, SIGNAL_WRITE, OPERATIONS_READ})

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who holds a token: one identity in one organisation."""

    role: Role
    organisation: str
    """The operator's or participant's id."""
    subject: str
    """The person or program, for the record; decides nothing."""
    scopes: frozenset[str]
    expires_at: datetime
    """Wall time."""
    issued_at: datetime = field(default=_LONG_AGO, compare=False)
    """Wall time, by the issuer's clock."""
    token_id: str = field(default="", compare=False)
    """The token's `jti`, where it has one."""
    key_id: str = field(default="", compare=False)
    """Which of the issuer's keys signed it."""

    @property
    def name(self) -> str:
        """As it is written beside each record it causes: role:organisation."""
        return f"{self.role}:{self.organisation}"


@dataclass(frozen=True, slots=True)
class Entitlements:
    """What the registry says belongs to an organisation."""

    zones: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    past_sites: bool = False
    """Also what was said to them at sites that were theirs; a connection for one site sees that one alone."""


def zone_fault(zone: str, pointer: str, entitled: Entitlements) -> Detail | None:
    """What every door says of a zone that is none of theirs, known or not; None where it is theirs.

    What was sent is said back cut: it may be of any length.
    """
    if zone in entitled.zones:
        return None
    mine = ", ".join(sorted(entitled.zones)) or "none"
    return fault("ZONE_UNKNOWN", pointer, f"expected one of your zones ({mine}), got {zone!r:.60}")
