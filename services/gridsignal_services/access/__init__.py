"""Who may see and do what: pure functions, used by every door.

A token says who somebody is and what kinds of things they may do; the registry says which zones and sites are theirs.
Default deny: an audience nobody is named in is seen by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Role = Literal["operator", "participant", "admin", "service"]

SIGNAL_READ = "signal:read"
OFFER_WRITE = "offer:write"
DISPATCH_WRITE = "dispatch:write"
SIGNAL_WRITE = "signal:write"
SCOPES = frozenset({SIGNAL_READ, OFFER_WRITE, DISPATCH_WRITE, SIGNAL_WRITE})


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

    @property
    def name(self) -> str:
        """As it is written beside each record it causes: role:organisation."""
        return f"{self.role}:{self.organisation}"


@dataclass(frozen=True, slots=True)
class Entitlements:
    """What the registry says belongs to an organisation."""

    zones: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a record concerns. Every field widens it; all empty means nobody."""

    zone: str | None = None
    """Everyone entitled to this zone."""
    participants: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()


NOBODY = Audience()


def may_see(principal: Principal, audience: Audience, entitlements: Entitlements) -> bool:
    """Whether this principal may see a record for this audience: at subscribe, delivery, replay and every read."""
    if SIGNAL_READ not in principal.scopes:
        return False
    if audience.zone is not None and audience.zone in entitlements.zones:
        return True
    if principal.role == "operator":
        return principal.organisation in audience.operators
    if principal.role == "participant":
        return principal.organisation in audience.participants or not audience.sites.isdisjoint(entitlements.sites)
    return False
