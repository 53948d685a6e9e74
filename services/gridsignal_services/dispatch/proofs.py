"""The operations on proofs: signed heads of a zone's log, and what shows that a record lies under one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.evidence import Heads, Proof
from gridsignal_schemas.messages import Clearing, DispatchOrder, DispatchRequest, Record, TreeHead
from gridsignal_schemas.records import row_of
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.values import EXACT_MAX
from gridsignal_services.access import Principal
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Poison
from gridsignal_services.bus.publish import principal_of
from gridsignal_services.clock import append_us
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.listing import must_be_theirs
from gridsignal_services.dispatch.operations import runs_it
from gridsignal_services.dispatch.places import Kind, at, found, must_name_one, sought
from gridsignal_services.dispatch.shown_heads import Changed
from gridsignal_services.ledger.about import operator_of
from gridsignal_services.rest import problems
from gridsignal_services.work import Work

MOST_HEADS = 20
_PARTITIONS = TOPICS["dispatch"].partitions
_Since = Annotated[int | None, Query(ge=1, le=EXACT_MAX, description="The size of a head that you keep.")]
_Offset = Annotated[int | None, Query(ge=0, le=EXACT_MAX, description="With `zone`: the record there.")]


def routes(door: Door) -> APIRouter:
    """The router of /v1/heads and /v1/proofs."""
    router = APIRouter(prefix="/v1", tags=["proofs"])
    _heads(router, door)
    _proofs(router, door)
    return router


def _heads(router: APIRouter, door: Door) -> None:
    @router.get("/heads", summary="List signed heads")
    async def heads(
        request: Request,
        zone: str,
        limit: Annotated[int, Query(ge=1, le=MOST_HEADS, description="How many at most.")] = 5,
        since: _Since = None,
    ) -> Heads:
        """The newest signed heads of the log on which a zone of yours is written, the newest first, each with what
        shows that it extends the next one of the list; with `since`, the last one also that of your own.

        Other zones may be written there, too, and a size counts all of them: heads are shown a day late, or as late as
        whoever runs this door has said."""
        who = door.principal(request)
        door.only(request, "zone", "limit", "since")
        must_be_theirs(door, who, zone)
        await door.catch_up(request)
        async with door.turn(who) as work:
            shown = await _newest(door, who, partition_of(zone, _PARTITIONS), limit, work)
            if since is not None:
                await _must_be_of_a_head(door, partition_of(zone, _PARTITIONS), since, shown[:1], work)
                shown = [head for head in shown if head.size >= since]
            return Heads(heads=await door.heads.chain(shown, since, work))


def _proofs(router: APIRouter, door: Door) -> None:
    @router.get("/proofs", summary="Prove a record")
    async def proof(
        request: Request,
        kind: Kind | None = None,
        record_id: Annotated[
            str | None, Query(alias="id", description="With `kind`; of a settlement its order's.")
        ] = None,
        participant: Annotated[str | None, Query(description="Whose offer it is.")] = None,
        request_id: Annotated[str | None, Query(description="Of an offer on a request that is over.")] = None,
        zone: str | None = None,
        offset: _Offset = None,
        since: _Since = None,
    ) -> Proof:
        """A record that you may see, what it says, and what shows that it lies under the newest head that you may see:
        the newest revision of what has an id, or the record at an offset of a zone's log.

        `evidence` is the file that `gridsignal audit verify` checks, where there is nothing else."""
        who = door.principal(request)
        door.only(request, "kind", "id", "participant", "request_id", "zone", "offset", "since")
        must_name_one(kind, record_id, zone, offset)
        must_be_theirs(door, who, zone)
        await door.catch_up(request)
        async with door.turn(who) as work:
            if zone is not None and offset is not None:
                return await _at(door, who, partition_of(zone, _PARTITIONS), offset, since, work)
            assert kind is not None, "one of both is named"
            place = await sought(door, who, kind, record_id or "", participant, request_id, work)
            logged = await found(door, place)
            head = await _head_over(door, who, place.partition, logged.offset, work)
            return await _answer(door, logged, door.heads.codec.decode(logged.value), head, since, work)


async def _at(door: Door, who: Principal, partition: int, offset: int, since: int | None, work: Work) -> Proof:
    head = await _head_over(door, who, partition, offset, work)
    logged = await at(door.heads.log, partition, offset)
    record = None if logged is None else _seen(door, who, logged)
    if logged is None or record is None:
        raise problems.not_found("record")
    return await _answer(door, logged, record, head, since, work)


async def _newest(door: Door, who: Principal, partition: int, limit: int, work: Work) -> list[TreeHead]:
    """The newest that they may see: old enough, but for whoever runs the grid."""
    until_us, late_s = None, door.heads.late_s
    if late_s and not runs_it(who):
        until_us = max(0, append_us(door.replica.grid, door.clock.now()) - late_s * 1_000_000)
    return await door.heads.newest(partition, until_us, limit, work)


async def _answer(
    door: Door, logged: LogRecord, record: Record, head: TreeHead, since: int | None, work: Work
) -> Proof:
    if since is not None:
        await _must_be_of_a_head(door, logged.partition, since, [head], work)
    try:
        evidence = await door.heads.proof(logged, head, since, work)
    except Changed:
        raise problems.nothing_yet("The record was changed after it was logged: nothing proves it.") from None
    plain: dict[str, Any] = record.model_dump(mode="json")
    return Proof(record_name=record.record_name, record=plain, evidence=evidence)


async def _head_over(door: Door, who: Principal, partition: int, offset: int, work: Work) -> TreeHead:
    """The newest head, which has to cover the offset. Raises Problem 404."""
    for head in await _newest(door, who, partition, 1, work):
        if offset < head.size:
            return head
    late = "" if runs_it(who) else f": heads are shown {door.heads.late_s} s after they are signed"
    raise problems.nothing_yet(f"No signed head that you may see covers this record yet{late}.")


async def _must_be_of_a_head(door: Door, partition: int, since: int, newest: Sequence[TreeHead], work: Work) -> None:
    """Raises Problem 422 unless it is the size of a signed head, and of none that is newer than they may see."""
    if all(head.size < since for head in newest):
        why = "which is larger than the newest"
    elif await door.heads.has(partition, since, work):
        return
    else:
        why = "which is no signed head's"
    message = f"expected the size of a head that you may see, got {since}, {why}"
    raise problems.invalid([fault("NOT_COVERED", "?since", message)])


def _seen(door: Door, who: Principal, logged: LogRecord) -> Record | None:
    """The record at a place, if it is theirs to see; None also where it can't be read."""
    try:
        record = door.heads.codec.decode(logged.value)
    except Poison:
        return None
    return record if _may_see(door, who, logged, record) else None


def _may_see(door: Door, who: Principal, logged: LogRecord, record: Record) -> bool:
    """What they wrote, what was said to them, and heads. What an operator wrote others see as it holds now: a place may
    have what no ledger took, which was never said to anybody."""
    if isinstance(record, TreeHead) or principal_of(logged) == who.name:
        return True
    ledger = door.replica.ledgers[logged.partition]
    if isinstance(record, DispatchRequest):
        tracked = ledger.requests.get(record.request_id)
        return tracked is not None and tracked.request == record and door.sees_request(who, ledger, tracked)
    if isinstance(record, Clearing):
        mine = ledger.book.operator_of(record.request_id)
        return who.role == "operator" and who.organisation == mine
    if row_of(record).word_of == "participant":
        return who.role == "operator" and who.organisation == operator_of(ledger.book, record)
    if row_of(record).word_of == "operator" and not isinstance(record, DispatchOrder):
        return False
    return door.sees(who, ledger.audience_of(record))
