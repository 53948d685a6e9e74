"""A site's baseline for a request whose gate has closed, from what its meters said before: a pure function.

Bounded: 366 days' readings at most, of each as many as are added up; a longer day has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from math import gcd

from gridsignal_schemas.messages import BaselineFixed, PinnedRule, RuleName, RunMode
from gridsignal_schemas.messages.settlements import MAX_INTERVALS
from gridsignal_schemas.rules.lifecycle import ORDER_NEVER_HELD
from gridsignal_schemas.values import MAX_POWER_W
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.delivered import orders_of
from gridsignal_services.metering.older_readings import Held
from gridsignal_services.owning.due import Subject, Undecidable, baseline_subject, why
from gridsignal_services.registry import Registry
from gridsignal_services.settlement.baselines import Event, Fixed, NoBaseline, Site, fixed
from gridsignal_services.settlement.days import Calendar, Slot, public_holidays
from gridsignal_services.settlement.history import History
from gridsignal_services.settlement.methods import XOfY
from gridsignal_services.settlement.pinned import history_method

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_QUARTER_S = 900


@dataclass(frozen=True, slots=True)
class Unfixed:
    """A baseline that is owed, and all that it is computed from beside the readings: a copy."""

    zone: str
    request_id: str
    participant: str
    site: str
    method: PinnedRule
    rule: XOfY
    event: Event
    calendar: Calendar
    event_days: frozenset[date]

    @property
    def subject(self) -> Subject:
        """The site, at this request."""
        return baseline_subject(self.request_id, self.site)

    def periods(self) -> Iterator[Slot]:
        """Of which readings are needed: the hours of each day that may be one of the method's, newest first."""
        opens_min = 0 if self.rule.window_min is None else self.rule.window_min[0]
        event = Slot(self.event.starts_at + timedelta(minutes=opens_min), self.event.ends_at)
        for back in range(1, self.rule.lookback_days + 1):
            (same,) = self.calendar.same_hours((event,), self.event.day, self.event.day - back * _DAY)
            if same is not None:
                yield Slot(same.starts_at - _HOUR, same.ends_at + _HOUR)  # a register counts from the reading before

    def fixed(self, held: Iterable[Held]) -> BaselineFixed:
        """The record; without figures where the method has too little to go by. Raises Undecidable."""
        try:
            return self._fixed(sorted(set_of(held), key=lambda each: each.offset))
        except Exception as error:  # whatever it is, it concerns one site
            raise Undecidable(self.subject, why(error)) from error

    def _fixed(self, held: list[Held]) -> BaselineFixed:
        found: Fixed | None = None
        resolution_s = self._resolution_s()
        length_s = round((self.event.ends_at - self.event.starts_at).total_seconds())
        reason = ""
        if length_s // resolution_s > MAX_INTERVALS:
            reason = f"the request has more than {MAX_INTERVALS} intervals; what the site declared holds"
        else:
            site = Site(History([each.reading for each in held]), self.calendar, self.event_days)
            try:
                found = fixed(self.method.name, self.rule, site, self.event, timedelta(seconds=resolution_s))
            except NoBaseline as none:
                reason = str(none)
        window = None if found is None else found.window
        return BaselineFixed(
            zone=self.zone,
            request_id=self.request_id,
            participant=self.participant,
            site=self.site,
            method=RuleName(name=self.method.name, version=self.method.version, sha256=self.method.sha256),
            starts_at=self.event.starts_at,
            resolution_s=resolution_s,
            power_w=[] if found is None else [min(MAX_POWER_W, max(0, round(each))) for each in found.history_w],
            days=[] if found is None else [day.isoformat() for day in found.days],
            window_starts_at=None if window is None else window.starts_at,
            window_ends_at=None if window is None else window.ends_at,
            window_w=None if found is None or window is None else round(found.before_w),
            readings_position=0,
            readings=len(held),
            readings_sha256=sha256(b"".join(each.sha256 for each in held)).hexdigest(),
            reason=reason[:512],
        )

    def _resolution_s(self) -> int:
        """Quarter hours, or what the request is made of, where that is finer."""
        ends = (self.event.starts_at, self.event.ends_at)
        return gcd(_QUARTER_S, *(round((each - self.calendar.begins(self.event.day)).total_seconds()) for each in ends))


def set_of(held: Iterable[Held]) -> list[Held]:
    """Each reading once, however many of the periods it touches."""
    return list({each.offset: each for each in held}.values())


def unfixed(book: Book, request_id: str, site: str, registry: Registry) -> Unfixed | None:
    """What is owed of a site; None where the registry has no such zone any more."""
    request = book.requests[request_id].request
    rule, zone = history_method(request), registry.zones.get(request.zone)
    if rule is None or zone is None or request.baseline_method is None:
        return None
    calendar = Calendar(zone.tz)
    day = calendar.day_of(request.starts_at)
    if zone.holidays is not None:
        calendar = Calendar(zone.tz, public_holidays(zone.holidays, day - 400 * _DAY, day))
    return Unfixed(
        zone=request.zone,
        request_id=request_id,
        participant=book.baselines_owed[request_id, site],
        site=site,
        method=request.baseline_method,
        rule=rule,
        event=Event(day, request.starts_at, request.ends_at),
        calendar=calendar,
        event_days=frozenset(_event_days(book, site, calendar, request.starts_at)),
    )


def _event_days(book: Book, site: str, calendar: Calendar, before: datetime) -> Iterator[date]:
    """The days on which the site was to move power, as far as the ledger remembers; a rehearsal moves none."""
    for tracked in orders_of(book, site):
        order = tracked.order
        if tracked.state in ORDER_NEVER_HELD or order.run_mode is RunMode.DRY_RUN or order.starts_at >= before:
            continue
        day, last = calendar.day_of(order.starts_at), calendar.day_of(min(order.ends_at or before, before))
        while day <= last:
            yield day
            day += _DAY
