"""Which sites the grid hears, and what those that it does not hear do by their profile: a pure reduce. No clock.

A site was heard when the log had something that it sent: an answer, an acknowledgement, a reading. What it does itself
it decides with the SDK's `gridsignal.failsafe`; here it is told what that profile makes of a silence, at its longest.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from dataclasses import dataclass, field
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


SILENCES = 64
"""Of each site."""


class _Silence(NamedTuple):
    since: datetime
    until: datetime


@dataclass(slots=True)
class _Heard:
    first: datetime
    last: datetime
    silences: list[_Silence] = field(default_factory=list)
    """Those between the two that lasted for its heartbeat or longer, oldest first."""

    def hear(self, at: datetime, heartbeat_s: int | None) -> None:
        if at > self.last:
            place, parts = slice(len(self.silences), None), [_Silence(self.last, at)]
        elif at < self.first:
            place, parts = slice(0, 0), [_Silence(at, self.first)]
        else:
            within = bisect_left(self.silences, at, key=lambda silence: silence.until)
            if within == len(self.silences) or at <= (silence := self.silences[within]).since:
                return
            place, parts = slice(within, within + 1), [_Silence(silence.since, at), _Silence(at, silence.until)]
        self.first, self.last = min(self.first, at), max(self.last, at)
        heartbeat = timedelta.max if heartbeat_s is None else timedelta(seconds=heartbeat_s)
        self.silences[place] = [each for each in parts if each.until - each.since >= heartbeat]
        del self.silences[:-SILENCES]


class Contacts:
    """When each site of a participant was heard last, and its silences before.

    What a site sent lies on several topics, each read by itself: in whatever order it comes, the same follows.
    Bounded: by the doors, which take the words of sites in the registry alone; of each, the newest SILENCES. When full:
    the oldest silence goes. Conflates: what was heard without a silence between.
    """

    def __init__(self) -> None:
        self._heard: dict[tuple[str, str], _Heard] = {}

    def hear(self, participant: str, site: str, at: datetime, heartbeat_s: int | None) -> None:
        """The log had something that a site sent; `heartbeat_s` is its profile's, where it has one."""
        if (known := self._heard.get((participant, site))) is None:
            self._heard[participant, site] = _Heard(at, at)
        else:
            known.hear(at, heartbeat_s)

    def heard_at(self, participant: str, site: str) -> datetime | None:
        """When something was heard last; None: never."""
        known = self._heard.get((participant, site))
        return None if known is None else known.last

    def stand(self, participant: str, site: str, profile: Profile, now: datetime) -> Stand:
        """How a site stands by its profile."""
        if (known := self._heard.get((participant, site))) is None:
            return Stand(Contact.UNKNOWN, is_silent=True, until=None)
        heartbeat = timedelta(seconds=profile.heartbeat_s)
        longest = heartbeat + timedelta(seconds=profile.minimum_s + profile.spread_s)
        is_silent = now - known.last >= heartbeat
        newest = known.silences[-1].since if known.silences else None
        since = known.last if is_silent else newest
        if since is not None and now < since + longest:
            return Stand(Contact.FAILSAFE, is_silent, since + longest)
        return Stand(Contact.ALONE if is_silent else Contact.HEARD, is_silent, None)
