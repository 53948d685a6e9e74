"""Alerts and what sites said of each revision: a pure reduce of two topics. No loop, no clock of its own.

Three states that are never mixed: received is the software's word, applied the site's, verified the meters' (see
verified.py). Of each kind of word the first counts, by the time at which the log had it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from gridsignal_schemas.messages import AckState, AlertAck, GridAlert

ALERTS_OF_A_PROVIDER = 1000
"""In a zone."""
REVISIONS = 16

Name = tuple[str, str, str]
"""Zone, provider, alert_id."""


class Said(NamedTuple):
    """A word of a site, and when the log had it."""

    ack: AlertAck
    logged_at: datetime


@dataclass(slots=True)
class KnownRevision:
    """One revision, and what each site said of it first."""

    alert: GridAlert
    logged_at: datetime
    said: dict[str, dict[AckState, Said]] = field(default_factory=dict)
    """By site."""

    @property
    def receive_by(self) -> datetime | None:
        """By when each site has to have it; None where the alert names no time."""
        return after(self.logged_at, self.alert.acknowledge_within_s)

    @property
    def begins_at(self) -> datetime:
        """From when on it can be obeyed."""
        return max(self.alert.starts_at, self.logged_at)

    @property
    def apply_by(self) -> datetime | None:
        """By when each site has to have done it; None where the alert names no time."""
        return after(self.begins_at, self.alert.apply_within_s)

    def of(self, site: str) -> Mapping[AckState, Said]:
        """What a site said of it."""
        return self.said.get(site, {})


@dataclass(slots=True)
class KnownAlert:
    """An alert and its newest revisions, oldest first."""

    revisions: dict[int, KnownRevision] = field(default_factory=dict)
    superseded_by: str | None = None
    """The alert of the same provider that says so; its first word counts."""

    @property
    def newest(self) -> KnownRevision:
        """The revision that counts."""
        return self.revisions[next(reversed(self.revisions))]

    def is_over(self, now: datetime) -> bool:
        """Whether nothing is asked any more: it has ended, or another alert said that it takes its place."""
        ends_at = self.newest.alert.ends_at
        return self.superseded_by is not None or (ends_at is not None and ends_at <= now)


class AlertTable:
    """Every alert that is kept, by zone, provider and id.

    Bounded: `most` alerts of a provider in a zone, of each the newest 16 revisions, of these one word of each kind and
    site. When full: the provider's oldest alert goes. Conflates: nothing.
    """

    def __init__(self, most: int = ALERTS_OF_A_PROVIDER) -> None:
        self._most = most
        self._of: dict[tuple[str, str], dict[str, KnownAlert]] = {}
        """By zone and provider."""

    def publish(self, alert: GridAlert, logged_at: datetime) -> None:
        """Takes the next alert of the log; a revision that is no newer changes nothing."""
        of_provider = self._of.setdefault((alert.zone, alert.provider), {})
        known = of_provider.setdefault(alert.alert_id, KnownAlert())
        if known.revisions and alert.revision <= known.newest.alert.revision:
            return
        known.revisions[alert.revision] = KnownRevision(alert, logged_at)
        if len(known.revisions) > REVISIONS:
            del known.revisions[next(iter(known.revisions))]
        older = of_provider.get(alert.supersedes or "")
        if older is not None and older is not known and older.superseded_by is None and _may_end(alert, older):
            older.superseded_by = alert.alert_id
        if len(of_provider) > self._most:
            del of_provider[next(iter(of_provider))]

    def acknowledge(self, ack: AlertAck, logged_at: datetime) -> bool:
        """Takes a site's word. False where its alert, or the revision, is not known."""
        known = self.of((ack.zone, ack.provider, ack.alert_id))
        if known is None or (revision := known.revisions.get(ack.revision)) is None:
            return False
        revision.said.setdefault(ack.site, {}).setdefault(ack.state, Said(ack, logged_at))
        return True

    def of(self, name: Name) -> KnownAlert | None:
        """One alert."""
        zone, provider, alert_id = name
        return self._of.get((zone, provider), {}).get(alert_id)

    def of_id(self, alert_id: str) -> Iterator[tuple[Name, KnownAlert]]:
        """Those of this id, of whatever zone and provider."""
        for (zone, provider), alerts in self._of.items():
            if alert_id in alerts:
                yield (zone, provider, alert_id), alerts[alert_id]

    def all(self) -> Iterator[tuple[Name, KnownAlert]]:
        """Each with its name, in no order."""
        for (zone, provider), alerts in self._of.items():
            for alert_id, known in alerts.items():
                yield (zone, provider, alert_id), known


def after(since: datetime, seconds: int | None) -> datetime | None:
    """So much later; None where nothing is said."""
    return None if seconds is None else since + timedelta(seconds=seconds)


def _may_end(alert: GridAlert, older: KnownAlert) -> bool:
    # an exercise ends nothing that is real
    return not alert.is_drill or older.newest.alert.is_drill
