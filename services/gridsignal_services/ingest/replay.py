"""Plays recorded days to the clock it is given: what the demo and `gridsignal replay` publish comes from here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from heapq import merge
from importlib.resources import files
from itertools import count, groupby

from gridsignal_schemas.messages import CarbonIntensity, PriceStatus, Record, SpotPrice
from gridsignal_services.clock import Clock
from gridsignal_services.ingest.schedule import day_starts_at, market_day
from gridsignal_services.ingest.series import Publication, hours, publications

_SHIPPED = files("gridsignal_services.ingest").joinpath("series")


def shipped_days() -> list[str]:
    """The recorded days that come with the product."""
    return sorted(f.name.removesuffix(".csv") for f in _SHIPPED.iterdir() if f.name.endswith(".csv"))


def shipped(*days: str) -> list[Publication]:
    """What the shipped days publish, all of them unless some are named. Raises FileNotFoundError for an unknown one."""
    return publications(row for day in days or shipped_days() for row in hours(shipped_text(day)))


def shipped_text(day: str) -> str:
    """The file of a shipped day."""
    return _SHIPPED.joinpath(f"{day}.csv").read_text("utf-8")


def example_prices(now: datetime) -> list[Publication]:
    """The curve of a recorded day, put on today and tomorrow: something to try a client with, marked as no price."""
    curves = [p.record for p in shipped(shipped_days()[0]) if isinstance(p.record, SpotPrice)]
    days = [market_day(now), market_day(now) + timedelta(days=1)]
    marks = {"dataset": "EXAMPLE", "provider": "example", "flags": ["example"], "status": PriceStatus.FORECAST}
    return [
        Publication(now, curve.model_copy(update=marks | {"starts_at": day_starts_at(day), "issued_at": now}))
        for day in days
        for curve in curves
    ]


def repeated(day: str, now: datetime) -> Iterator[Publication]:
    """A shipped day, and the same again on each day after it, from the day of `now` on: for a clock that goes on."""
    recorded = shipped(day)
    first = max(0, (now - day_starts_at(date.fromisoformat(day))).days)

    def each_day(kind: str) -> Iterator[Publication]:
        same = [publication for publication in recorded if publication.record.record_name == kind]
        return (_later(one, timedelta(days=number)) for number in count(first) for one in same)

    kinds = sorted({publication.record.record_name for publication in recorded})
    return merge(*map(each_day, kinds), key=lambda publication: publication.order)


def _later(publication: Publication, by: timedelta) -> Publication:
    record = publication.record
    assert isinstance(record, (SpotPrice, CarbonIntensity)), "a recorded day has no other"
    if not by:
        return publication
    issued_at = None if record.issued_at is None else record.issued_at + by
    marks = {"starts_at": record.starts_at + by, "issued_at": issued_at, "flags": ["example"]}
    return Publication(publication.at + by, record.model_copy(update=marks))


def selection(zones: Iterable[str] = (), days: Iterable[date] = ()) -> Callable[[str, date], bool]:
    """A `keep` for publications(): these zones and market days, everything where none are named."""
    wanted_zones, wanted_days = frozenset(zones), frozenset(days)
    return lambda zone, day: (not wanted_zones or zone in wanted_zones) and (not wanted_days or day in wanted_days)


async def play(plan: Iterable[Publication], clock: Clock, publish: Callable[[list[Record]], Awaitable[object]]) -> None:
    """Publishes each record at its grid time, those of one moment in one call; what is past is published at once.

    observed_at is the clock's time at that moment; nothing here reads another clock, so a stepped clock replays
    the same bytes every time.
    """
    for at, moment in groupby(plan, key=lambda publication: publication.at):
        await clock.sleep_until(at)
        now = clock.now()
        await publish([publication.record.model_copy(update={"observed_at": now}) for publication in moment])
