"""Lists and their filters: written as people write them, walked through in slices, paid by whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Annotated, Any, TypeVar

from fastapi import Query
from pydantic import BeforeValidator

from gridsignal_schemas.messages import OrderState
from gridsignal_schemas.rules.access import zone_fault
from gridsignal_schemas.rules.lifecycle import OfferState, RequestShown, SettlementState
from gridsignal_services.access import Principal
from gridsignal_services.dispatch.door import Door
from gridsignal_services.rest import problems
from gridsignal_services.work import Work

T = TypeVar("T")


def _in_capitals(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


_Capitals = BeforeValidator(_in_capitals)
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
After = Annotated[str | None, Query(description="The `next` of the page before, which had the same filters.")]
NewestFirst = Annotated[bool, Query(description="Begin with what came last.")]
ZoneFilter = Annotated[str | None, Query(examples=["DE-LU"])]
RequestStates = Annotated[RequestShown | None, _Capitals, Query(description="Capitals or not.")]
OfferStates = Annotated[OfferState | None, _Capitals, Query(description="Capitals or not.")]
SettlementStates = Annotated[SettlementState | None, _Capitals, Query(description="Capitals or not.")]
OrderStates = Annotated[OrderState | None, _Capitals, Query(description="Capitals or not.")]


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
