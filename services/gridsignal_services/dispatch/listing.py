"""Lists and their filters: written as people write them, walked through in slices, paid by whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Annotated, Any, ClassVar, TypeVar

from fastapi import Depends, Query
from pydantic import BeforeValidator

from gridsignal_schemas.messages import OrderState
from gridsignal_schemas.rules.access import zone_fault
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import OfferState, RequestShown, SettlementState
from gridsignal_schemas.values import Timestamp, rfc3339
from gridsignal_services.access import Principal
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.views import overlaps, page
from gridsignal_services.rest import problems
from gridsignal_services.work import Work

T = TypeVar("T")


def _in_capitals(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


_Capitals = BeforeValidator(_in_capitals)
_Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
_After = Annotated[str | None, Query(description="The `next` of the page before, which had the same filters.")]
_NewestFirst = Annotated[bool, Query(description="Begin with what came last.")]
_From = Annotated[Timestamp | None, Query(alias="from", description="Only what touches [from, to).")]
_To = Annotated[Timestamp | None, Query(alias="to", description="Only what touches [from, to).")]
MOST_LINES = 5000
"""Intervals on one page; one order's may be more."""
ZoneFilter = Annotated[str | None, Query(examples=["DE-LU"])]
RequestStates = Annotated[RequestShown | None, _Capitals, Query(description="Capitals or not.")]
OfferStates = Annotated[OfferState | None, _Capitals, Query(description="Capitals or not.")]
SettlementStates = Annotated[
    SettlementState | None,
    _Capitals,
    Query(description="Capitals or not. DISPUTED: every one with an open dispute, PROVISIONAL or not."),
]
OrderStates = Annotated[OrderState | None, _Capitals, Query(description="Capitals or not.")]


class Page:
    """Which part of a list is asked for: what every list takes, with the words of each parameter."""

    NAMES: ClassVar[tuple[str, ...]] = ("after", "limit")

    def __init__(self, after: _After = None, limit: _Limit = 100) -> None:
        self.after, self.limit = after, limit

    def of(self, ids: Iterable[str]) -> tuple[list[str], str | None]:
        """The page's ids, and the last of them where more follow. Raises Problem 422 for an `after` that is no id."""
        try:
            return page(ids, self.after, self.limit)
        except LookupError:
            raise self.unknown() from None

    def unknown(self) -> problems.Problem:
        """Problem 422 for an `after` that is none of the list."""
        expected = "expected the `next` of a page with the same filters"
        return problems.invalid([fault("PAGE", "?after", expected)])

    def within(self, ids: Iterable[str], lines: Callable[[str], int]) -> tuple[list[str], str | None]:
        """The same, and no more than MOST_LINES of their lines: it ends early. Raises Problem 422."""
        chosen, following = self.of(ids)
        fitting = cut(((name, lines(name)) for name in chosen), MOST_LINES)
        return fitting, following if fitting == chosen else fitting[-1]


class Listing(Page):
    """A list that can be turned round."""

    NAMES = ("newest_first", *Page.NAMES)

    def __init__(self, newest_first: _NewestFirst = False, after: _After = None, limit: _Limit = 100) -> None:
        super().__init__(after, limit)
        self.newest_first = newest_first


class Dated(Listing):
    """A list of what has a period, which may be asked for by it; there is no longest one."""

    NAMES = ("from", "to", *Listing.NAMES)

    def __init__(
        self,
        from_: _From = None,
        to: _To = None,
        newest_first: _NewestFirst = False,
        after: _After = None,
        limit: _Limit = 100,
    ) -> None:
        super().__init__(newest_first, after, limit)
        self.from_, self.to = from_, to

    @property
    def has_period(self) -> bool:
        """Whether either end is named."""
        return self.from_ is not None or self.to is not None

    def touches(self, starts_at: datetime, ends_at: datetime | None) -> bool:
        """Whether a period touches what was asked for."""
        return overlaps(starts_at, ends_at, self.from_, self.to)

    def must_not_be_reversed(self) -> None:
        """Raises Problem 422 where `to` does not come after `from`: an empty list would look like an answer."""
        if self.from_ is not None and self.to is not None and self.to <= self.from_:
            expected = f"expected after from ({rfc3339(self.from_)}), got {rfc3339(self.to)}"
            raise problems.invalid([fault("PERIOD", "?to", expected)])


APage = Annotated[Page, Depends()]
AListing = Annotated[Listing, Depends()]
ADated = Annotated[Dated, Depends()]


def cut(ids: Iterable[tuple[str, int]], most: int) -> list[str]:
    """The first of these ids whose lines are no more than `most` together; one at least."""
    chosen, lines = list[str](), 0
    for name, length in ids:
        lines += length
        if chosen and lines > most:
            break
        chosen.append(name)
    return chosen


def must_be_theirs(door: Door, who: Principal, zone: str | None) -> None:
    """Raises Problem 422 for a zone that is none of theirs: an empty list would look like an answer."""
    if zone is not None and (foreign := zone_fault(zone, "?zone", door.entitlements(who))):
        raise problems.invalid([foreign])


async def must_be_known(door: Door, who: Principal, request_id: str | None, found: Mapping[str, object]) -> None:
    """Raises Problem 404 where nothing was found on a request that they may not see: it would look like an answer."""
    if request_id is not None and not found:
        await door.request(who, request_id)


async def listed(
    entries: Iterable[tuple[str, T]],
    keeps: Callable[[T], bool],
    since: Callable[[T], datetime],
    work: Work,
    *,
    newest_first: bool,
) -> dict[str, T]:
    """What is kept of the entries by id, in order of `since`. The entries change no more, whoever has a turn."""

    def found(entry: tuple[str, T]) -> tuple[datetime, str, T] | None:
        return (since(entry[1]), *entry) if keeps(entry[1]) else None

    kept = [entry for entry in await work.each(entries, found) if entry is not None]
    with work.here():
        kept.sort(key=itemgetter(0), reverse=newest_first)
        return {name: entry for _, name, entry in kept}
