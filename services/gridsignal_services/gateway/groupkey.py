"""What a subscription asks for and may see: whoever has the same key gets the same bytes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from gridsignal_protocol.server.subscription import Want
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.frames import Mode
from gridsignal_services.access import SIGNAL_READ, Audience, Entitlements, Principal, may_see
from gridsignal_services.gateway.history import StreamEntry
from gridsignal_services.gateway.rendering import Encoding

Name = tuple[str, str]
"""Of whom a record may concern: ("zone", "DE-LU"), ("site", "fra-1"), ("participant", "acme-ai")."""
_SUB_BYTES = 9
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A visibility class: everybody in it sees the same records of a stream."""

    principal: Principal
    entitlements: Entitlements

    def may_see(self, entry: StreamEntry) -> bool:
        return may_see(self.principal, entry.audience, self.entitlements)


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What decides which bytes a member gets."""

    stream: str
    zones: frozenset[str] | None
    facets: frozenset[str] | None
    """Products on prices, accountings on carbon, orders on regulation."""
    mode: Mode
    encoding: Encoding
    viewer: Viewer

    def wants(self, entry: StreamEntry) -> bool:
        """Filter and visibility; a zone filter never hides what is addressed to one's own site."""
        if self.facets is not None and entry.facet not in self.facets:
            return False
        if self.zones is not None and entry.zone not in self.zones:
            own = self.viewer.entitlements.sites
            if entry.audience.sites.isdisjoint(own):
                return False
        return self.viewer.may_see(entry)

    @property
    def names(self) -> Iterator[Name]:
        """Under each of which it is found: what it wants is for an audience that has one of them."""
        viewer = self.viewer
        zones = viewer.entitlements.zones
        yield from (("zone", zone) for zone in (zones if self.zones is None else zones & self.zones))
        yield from (("site", site) for site in viewer.entitlements.sites)
        yield (viewer.principal.role, viewer.principal.organisation)


def names_of(audience: Audience) -> Iterator[Name]:
    """Whom a record for this audience may concern."""
    if audience.zone is not None:
        yield ("zone", audience.zone)
    yield from (("site", site) for site in audience.sites)
    yield from (("participant", name) for name in audience.participants)
    yield from (("operator", name) for name in audience.operators)


def sub_of(key: GroupKey, secret: bytes) -> str:
    """The name of a group's subscriptions: the same for the same key, whether or not anybody else has it now."""
    who, theirs = key.viewer.principal, key.viewer.entitlements
    sets = (key.zones, key.facets, who.scopes, theirs.zones, theirs.sites)
    parts = [key.stream, key.mode, key.encoding, who.role, who.organisation]
    parts += ["*" if names is None else ",".join(sorted(names)) for names in sets]
    digest = hashlib.blake2b("\n".join(parts).encode(), key=secret, digest_size=_SUB_BYTES, person=b"gs-sub").digest()
    return base64.urlsafe_b64encode(digest).decode()


def group_key(want: Want, encoding: Encoding, who: Principal, entitled: Entitlements) -> GroupKey:
    """The group of a subscription: what does not change the bytes is left out, so that groups are few and large."""
    viewer = _viewer(want.stream, who, entitled)
    return GroupKey(want.stream, want.zones, want.facets, want.mode, encoding, viewer)


def _viewer(stream: str, who: Principal, entitled: Entitlements) -> Viewer:
    scopes = who.scopes & {SIGNAL_READ}
    if not TOPICS[stream].is_public:
        return Viewer(Principal(who.role, who.organisation, "", scopes, _FOR_EVER), entitled)
    return Viewer(Principal("service", "", "", scopes, _FOR_EVER), Entitlements(zones=entitled.zones))
