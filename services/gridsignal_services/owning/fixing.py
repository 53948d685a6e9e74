"""A site's baseline for a request whose gate has closed, from what its meters said before: a pure function.

All that it goes by beside readings is of the ledger's state under a root, or pinned in the record: so whoever has the
log computes it again, whatever the registry says by then.

Bounded: 366 days' readings at most, of each as many as are added up; a longer day has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from math import gcd
from zoneinfo import ZoneInfo, available_timezones

from gridsignal_schemas.messages import BaselineFixed, DayLeftOut, PinnedRule, RuleName, RunMode
from gridsignal_schemas.messages.settlements import MAX_INTERVALS
from gridsignal_schemas.rules.readings import is_carried
from gridsignal_schemas.values import MAX_POWER_W
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.delivered import meters_of
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.metering.counting import CountingReadings
from gridsignal_services.metering.older_readings import Held
from gridsignal_services.owning.due import Subject, Undecidable, baseline_subject, why
from gridsignal_services.registry import Registry
from gridsignal_services.settlement.baseline_said import Event, LeftOut, NoBaseline, Site
from gridsignal_services.settlement.baselines import Fixed, fixed
from gridsignal_services.settlement.days import Calendar, Slot, public_holidays
from gridsignal_services.settlement.energy import Installed
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
    """Its holidays are those among the days that the method may look at, and the request's own."""
    event_days: frozenset[date]
    """Those on which the site was to move power."""
    time_zone: str
    root: bytes
    """Of the partition's tree, where the book stands."""
    meters: Mapping[str, Installed]
    """All of the connection; empty: those that speak."""
    capacity_w: int
    """More than the connection carries is no measurement."""

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

    def counting(self) -> list[CountingReadings]:
        """What of the readings of each period counts, for who hears them one by one."""
        return [CountingReadings(*period, self.participant) for period in self.periods()]

    def fixed(self, held: Iterable[Held]) -> BaselineFixed:
        """The record; without figures where the method has too little to go by. Raises Undecidable."""
        try:
            return self._fixed(sorted(set_of(held), key=lambda each: each.offset))
        except Exception as error:  # whatever it is, it concerns one site
            raise Undecidable(self.subject, why(error)) from error

    def _fixed(self, held: list[Held]) -> BaselineFixed:
        found: Fixed | None = None
        left_out: Sequence[LeftOut] = ()
        resolution_s = self._resolution_s()
        length_s = round((self.event.ends_at - self.event.starts_at).total_seconds())
        reason = ""
        if length_s // resolution_s > MAX_INTERVALS:
            reason = f"the request has more than {MAX_INTERVALS} intervals; what the site declared holds"
        else:
            readings = (each.reading for each in held if is_carried(each.reading, self.capacity_w))
            site = Site(History.by_days(readings, self.calendar, self.meters), self.calendar, self.event_days)
            try:
                found = fixed(self.method.name, self.rule, site, self.event, timedelta(seconds=resolution_s))
                left_out = found.left_out
            except NoBaseline as none:
                reason, left_out = str(none), none.left_out
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
            left_out=[DayLeftOut(day=each.day.isoformat(), why=each.why) for each in left_out],
            root=self.root.hex(),
            time_zone=self.time_zone,
            holidays=[day.isoformat() for day in sorted(self.calendar.holidays, reverse=True)],
        )

    def _resolution_s(self) -> int:
        """Quarter hours, or what the request is made of, where that is finer."""
        ends = (self.event.starts_at, self.event.ends_at)
        return gcd(_QUARTER_S, *(round((each - self.calendar.begins(self.event.day)).total_seconds()) for each in ends))


def set_of(held: Iterable[Held]) -> list[Held]:
    """Each reading once, however many of the periods it touches."""
    return list({each.offset: each for each in held}.values())


def unfixed(ledger: Ledger, request_id: str, site: str, registry: Registry) -> Unfixed | None:
    """What is owed of a site; None where the registry has no such zone any more."""
    return foreseen(ledger, request_id, site, ledger.book.baselines_owed[request_id, site], registry)


def foreseen(ledger: Ledger, request_id: str, site: str, participant: str, registry: Registry) -> Unfixed | None:
    """What would be owed of a site that offers; None where its request reads no history, or has no such zone."""
    zone = registry.zones.get(ledger.book.requests[request_id].request.zone)
    if zone is None:
        return None

    def holidays(first: date, last: date) -> frozenset[date]:
        found = frozenset[date]() if zone.holidays is None else public_holidays(zone.holidays, first, last)
        return frozenset(day for day in found if first <= day <= last)

    return _unfixed(ledger, request_id, site, participant, zone.timezone, holidays)


def fixed_before(ledger: Ledger, record: BaselineFixed) -> Unfixed | None:
    """What a record was computed from, by the calendar that it names; None where it was not owed.

    Raises ValueError where it names no time zone that this machine knows.
    """
    if record.time_zone not in available_timezones():
        raise ValueError(f"expected an IANA time zone, got {record.time_zone!r:.60}")
    pinned = frozenset(map(date.fromisoformat, record.holidays or ()))
    participant = ledger.book.baselines_owed.get((record.request_id, record.site))
    if participant is None:
        return None
    return _unfixed(ledger, record.request_id, record.site, participant, record.time_zone, lambda _first, _last: pinned)


def _unfixed(
    ledger: Ledger,
    request_id: str,
    site: str,
    participant: str,
    time_zone: str,
    holidays: Callable[[date, date], frozenset[date]],
) -> Unfixed | None:
    book = ledger.book
    request, registered = book.requests[request_id].request, book.sites.get(site)
    rule = history_method(request)
    if rule is None or request.baseline_method is None or registered is None:
        return None
    zone = ZoneInfo(time_zone)
    day = Calendar(zone).day_of(request.starts_at)
    calendar = Calendar(zone, holidays(day - rule.lookback_days * _DAY, day))
    return Unfixed(
        zone=request.zone,
        request_id=request_id,
        participant=participant,
        site=site,
        method=request.baseline_method,
        rule=rule,
        event=Event(day, request.starts_at, request.ends_at),
        calendar=calendar,
        event_days=frozenset(_event_days(book, site, calendar, day, rule.lookback_days)),
        time_zone=time_zone,
        root=ledger.tree.root(),
        meters=meters_of(book, site),
        capacity_w=registered.capacity_w,
    )


def _event_days(book: Book, site: str, calendar: Calendar, day: date, lookback_days: int) -> Iterator[date]:
    """The days before it on which the site was to move power, orders that were let go of included.

    A rehearsal moves none, and what never held has not moved any.
    """
    for active in book.activations(site, RunMode.LIVE):
        for before in (day - back * _DAY for back in range(1, lookback_days + 1)):
            if active.touch(calendar.begins(before), calendar.begins(before + _DAY)):
                yield before
