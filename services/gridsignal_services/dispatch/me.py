"""The operation that says who asks: what a token is good for, what is theirs, what time it is on the grid."""

from __future__ import annotations

from fastapi import APIRouter, Request

from gridsignal_schemas.values import Currency, Identifier, Shape, Timestamp, Zone
from gridsignal_services.console.pages import Console
from gridsignal_services.dispatch.door import Door


class ZoneShown(Shape):
    """A zone that is theirs."""

    zone: Zone
    timezone: str
    """The market's, by its name in the IANA database."""
    currency: Currency


class Me(Shape):
    """Who asks, by their token and the registry."""

    role: str
    """operator or participant."""
    organisation: Identifier
    subject: str
    """The person or program, as the issuer names it."""
    scopes: list[str]
    """What the token may be used for, of docs/tokens.md."""
    token_expires_at: Timestamp
    """By the clock on the wall."""
    zones: list[ZoneShown]
    sites: list[Identifier]
    """A participant's connection points; none of an operator's."""
    now: Timestamp
    """Grid time: the wall's, but in a simulation."""
    rate: float
    """Grid seconds in a second of the wall; 1 but in a simulation."""
    gateway: str | None
    """Where the gateway is reached by WebSocket; null: this door has not been told."""
    ingest: str | None
    """Where signals are pushed and the feeds' state is read; null: this door has not been told."""


def routes(door: Door, console: Console) -> APIRouter:
    """The router of /v1/me."""
    router = APIRouter(prefix="/v1", tags=["me"])

    @router.get("/me", summary="Show who you are")
    async def me(request: Request) -> Me:
        """What your token is good for, the zones and sites that are yours, and the time on the grid."""
        who = door.principal(request)
        door.only(request)
        await door.catch_up(request)
        theirs, grid = door.entitlements(who), door.replica.grid
        return Me(
            role=who.role,
            organisation=who.organisation,
            subject=who.subject,
            scopes=sorted(who.scopes),
            token_expires_at=who.expires_at,
            zones=[
                ZoneShown(zone=name, timezone=entry.timezone, currency=entry.currency)
                for name, entry in door.registry.zones.items()
                if name in theirs.zones
            ],
            sites=sorted(theirs.sites) if who.role == "participant" else [],
            now=door.clock.now(),
            rate=1.0 if grid is None else grid.rate,
            gateway=console.gateway,
            ingest=console.ingest,
        )

    return router
