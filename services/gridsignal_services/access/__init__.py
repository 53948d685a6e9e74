"""Who may see and do what: pure functions, used by every door.

A token says who somebody is and what kinds of things they may do; the registry says which zones and sites are theirs.
Default deny: an audience nobody is named in is seen by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridsignal_schemas.rules.access import (
    DISPATCH_WRITE,
    OFFER_WRITE,
    OPERATIONS_READ,
    SCOPES,
    SIGNAL_READ,
    SIGNAL_WRITE,
    Entitlements,
    Principal,
    Role,
)

__all__ = [
    "DISPATCH_WRITE",
    "NOBODY",
    "OFFER_WRITE",
    "OPERATIONS_READ",
    "SCOPES",
    "SIGNAL_READ",
    "SIGNAL_WRITE",
    "Audience",
    "Entitlements",
    "Principal",
    "Role",
    "may_see",
]


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
