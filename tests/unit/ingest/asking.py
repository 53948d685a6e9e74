"""Reading an answer as the door does, in one word."""

from __future__ import annotations

from datetime import datetime

from gridsignal_schemas.messages import CarbonIntensity, GridAlert, Record, SpotPrice
from gridsignal_services.ingest.feed import Ask, FeedAnswer, Signal, read
from gridsignal_services.ingest.providers import PROVIDERS
from tests.builders import utc

NOW = utc("22:30")


def told(
    provider: str,
    body: bytes,
    *,
    zone: str | None = None,
    status: int = 200,
    signal: Signal | None = None,
    now: datetime = NOW,
    window: tuple[datetime, datetime] | None = None,
    settings: dict[str, str] | None = None,
) -> list[Record]:
    """What an answer of a provider holds. Raises FeedError."""
    starts_at, ends_at = window or (None, None)
    ask = Ask(zone=zone, signal=signal, now=now, starts_at=starts_at, ends_at=ends_at, settings=settings or {})
    return read(PROVIDERS[provider], FeedAnswer(body, status=status), ask)


def prices(provider: str, body: bytes, zone: str | None = None, **ask: object) -> list[SpotPrice]:
    """The price curves of an answer."""
    return [record for record in told(provider, body, zone=zone, **ask) if isinstance(record, SpotPrice)]  # type: ignore[arg-type]  # as told() has them


def carbon(provider: str, body: bytes, zone: str | None = None, **ask: object) -> list[CarbonIntensity]:
    """The carbon curves of an answer."""
    return [record for record in told(provider, body, zone=zone, **ask) if isinstance(record, CarbonIntensity)]  # type: ignore[arg-type]  # as told() has them


def alerts(provider: str, body: bytes, zone: str | None = None, **ask: object) -> list[GridAlert]:
    """The alerts of an answer."""
    return [record for record in told(provider, body, zone=zone, **ask) if isinstance(record, GridAlert)]  # type: ignore[arg-type]  # as told() has them
