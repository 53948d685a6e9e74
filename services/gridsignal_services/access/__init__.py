"""Who may see and do what: pure functions, used by every door.

A token says who somebody is and what kinds of things they may do; the registry says which zones and sites are theirs.
Default deny: an audience nobody is named in is seen by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

Role = Literal["operator", "participant", "admin", "service"]

SIGNAL_READ = "signal:read"
OFFER_WRITE = "offer:write"
DISPATCH_WRITE = "dispatch:write"
SIGNAL_WRITE = "signal:write"
SCOPES = frozenset({SIGNAL_READ, OFFER_WRITE, DISPATCH_WRITE, SIGNAL_WRITE})


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


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a record concerns. Every field widens it, but where participants and sites are named: then these
    participants at these sites, so that a site's next owner doesn't read what the one before was told. All empty
    means nobody."""

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
        return _concerns(audience, principal.organisation, entitlements)
    return False


def _concerns(audience: Audience, participant: str, entitlements: Entitlements) -> bool:
    is_named = participant in audience.participants
    if not audience.sites or (audience.participants and not is_named):
        return is_named
    return (is_named and entitlements.past_sites) or not audience.sites.isdisjoint(entitlements.sites)
