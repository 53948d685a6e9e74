"""Which sites the grid hears, and what those that it does not hear do by their profile: a pure reduce. No clock.

A site was heard when the log had something that it sent: an answer, an acknowledgement, a reading. What it does itself
it decides with the SDK's `gridsignal.failsafe`; here it is told what that profile makes of a silence, at its longest.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol


class Profile(Protocol):
    """What was agreed for a lost contact; the registry's entry is one."""

    @property
    def heartbeat_s(self) -> int: ...

    @property
    def minimum_s(self) -> int: ...

    @property
    def spread_s(self) -> int: ...


class BySite(Protocol):
    """Something that a site sent."""

    @property
    def participant(self) -> str: ...

    @property
    def site(self) -> str: ...


class Contact(enum.StrEnum):
    """How a site stands with the grid, by its profile."""

    UNKNOWN = "UNKNOWN"
    """Nothing was ever heard."""
    HEARD = "HEARD"
    FAILSAFE = "FAILSAFE"
    """It keeps its failsafe limit; also when it is heard again, until its time is over or a permit lets it go."""
    ALONE = "ALONE"
    """Its failsafe's time is over, and it is silent still."""


class Stand(NamedTuple):
    """How a site stands at a moment."""

    contact: Contact
    is_silent: bool
    until: datetime | None
    """When its failsafe is over at the latest; None where it is in none."""


@dataclass(slots=True)
class _Heard:
    at: datetime
    was_silent_from: datetime | None = None
    """The last time before the newest silence that was longer than its heartbeat."""


class Contacts:
    """When each site of a participant was heard last.

    Bounded: by the doors, which take the words of sites in the registry alone. Conflates: the newest counts.
    """

    def __init__(self) -> None:
        self._heard: dict[tuple[str, str], _Heard] = {}

    def hear(self, participant: str, site: str, at: datetime, heartbeat_s: int | None) -> None:
        """The log had something that a site sent; `heartbeat_s` is its profile's, where it has one."""
        if (known := self._heard.get((participant, site))) is None:
            self._heard[participant, site] = _Heard(at)
            return
        if heartbeat_s is not None and at - known.at >= timedelta(seconds=heartbeat_s):
            known.was_silent_from = known.at
        known.at = max(known.at, at)

    def heard_at(self, participant: str, site: str) -> datetime | None:
        """When something was heard last; None: never."""
        known = self._heard.get((participant, site))
        return None if known is None else known.at

    def stand(self, participant: str, site: str, profile: Profile, now: datetime) -> Stand:
        """How a site stands by its profile."""
        if (known := self._heard.get((participant, site))) is None:
            return Stand(Contact.UNKNOWN, is_silent=True, until=None)
        heartbeat = timedelta(seconds=profile.heartbeat_s)
        longest = heartbeat + timedelta(seconds=profile.minimum_s + profile.spread_s)
        is_silent = now - known.at >= heartbeat
        since = known.at if is_silent else known.was_silent_from
        if since is not None and now < since + longest:
            return Stand(Contact.FAILSAFE, is_silent, since + longest)
        return Stand(Contact.ALONE if is_silent else Contact.HEARD, is_silent, None)
