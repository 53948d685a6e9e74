"""The REST door's threshold: who knocks, what they carry, and how a write becomes an answer."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from fastapi import Request, Response
from pydantic import BaseModel

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.codes import CODES
from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import Clearing, DispatchOrder, DispatchRequest, DisputeRejected, RequestCancellation
from gridsignal_services.access import DISPATCH_WRITE, SIGNAL_READ, Audience, Entitlements, Principal, may_see
from gridsignal_services.alerting.contact import Contacts
from gridsignal_services.alerting.table import AlertTable
from gridsignal_services.clock import Clock
from gridsignal_services.dispatch.archive import Archive
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.dispatch.metering import Measuring
from gridsignal_services.dispatch.parts import REQUESTS, Kind
from gridsignal_services.dispatch.past import PastReader
from gridsignal_services.dispatch.position import PositionSeal
from gridsignal_services.dispatch.setpoint_log import SetpointLog
from gridsignal_services.dispatch.shown_heads import ShownHeads
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedOrder, TrackedRequest
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.registry import Registry
from gridsignal_services.replica import Replica
from gridsignal_services.rest import problems, tracing
from gridsignal_services.rest.callers import Callers
from gridsignal_services.work import Work

WAIT_S = 5.0
"""How long a read waits for the position it names."""
MOMENT_S = 0.2
POSITION = "Gridsignal-Position"
_KEY = re.compile(r"[\x21-\x7e]{1,128}")

M = TypeVar("M", bound=BaseModel)
Command = DispatchRequest | RequestCancellation | Clearing | DispatchOrder | DisputeRejected
"""What an operator puts on the log."""


class Door:
    """What every operation needs; one for each process."""

    def __init__(
        self,
        replica: Replica,
        readings: ReadingsReader,
        archive: Archive,
        finished: Finished,
        setpoints: SetpointLog,
        callers: Callers,
        seal: PositionSeal,
        clock: Clock,
        alerts: AlertTable,
        contacts: Contacts,
        heads: ShownHeads,
    ) -> None:
        self.replica, self.clock, self.alerts, self.contacts = replica, clock, alerts, contacts
        self.readings, self.archive, self.measuring = readings, archive, Measuring(readings.meters)
        self.setpoints, self.heads = setpoints, heads
        self._finished = finished
        self._callers, self._seal = callers, seal

    @property
    def registry(self) -> Registry:
        """Whom the door knows now."""
        return self._callers.registry

    def entitle(self, registry: Registry) -> None:
        """Takes a changed registry."""
        self._callers.registry = registry

    # --- who -----------------------------------------------------------------------------------------------------

    def principal(self, request: Request, scope: str = SIGNAL_READ) -> Principal:
        """Who asks. Raises Problem 401, 403, or 429 for an organisation that asks too fast."""
        return self._callers.principal(request, scope)

    def work(self, principal: Principal) -> Work:
        """Counts an answer's computing against whoever asked."""
        return self._callers.work(principal)

    def turn(self, principal: Principal, *, is_owed: bool = False) -> AbstractAsyncContextManager[Work]:
        """`work` for a long answer, one of an organisation after the other. Raises Problem 429 unless it is owed."""
        return self._callers.turn(principal, is_owed=is_owed)

    def operator(self, request: Request) -> Principal:
        """An operator who may write. Raises Problem 401 or 403."""
        principal = self.principal(request, DISPATCH_WRITE)
        if principal.role != "operator":
            raise problems.forbidden(DISPATCH_WRITE)
        if SIGNAL_READ not in principal.scopes:  # each write is answered with what it made
            raise problems.forbidden(SIGNAL_READ)
        return principal

    def entitlements(self, principal: Principal) -> Entitlements:
        """What the registry says is theirs."""
        return self.registry.entitlements(principal)

    def sees(self, principal: Principal, audience: Audience) -> bool:
        """`may_see` with the registry's word."""
        return may_see(principal, audience, self.entitlements(principal))

    # --- what they carry -----------------------------------------------------------------------------------------

    async def body(self, request: Request, shape: type[M], who: Principal) -> M:
        """The body, read exactly. Raises Problem 400, 408, 413, 415, 422, 429."""
        return await self._callers.body(request, shape, who)

    def idempotency_key(self, request: Request) -> str:
        """Raises Problem 400 where it is missing or unusable."""
        given = request.headers.getlist("idempotency-key")
        if len(given) != 1 or not _KEY.fullmatch(given[0]):
            got = "none" if not any(given) else "several" if len(given) > 1 else "others"
            message = f"expected one Idempotency-Key of 1 to 128 visible characters, got {got}"
            raise problems.bad_request("IDEMPOTENCY_KEY", "Idempotency-Key", message)
        return given[0]

    def only(self, request: Request, *names: str) -> None:
        """Raises Problem 422 for parameters this operation doesn't have: a filter with a typo would show too much."""
        given = [name for name, _ in request.query_params.multi_items()]
        faults = [
            Detail(code="UNKNOWN_PARAMETER", pointer=f"?{name:.60}", message=f"expected one of {', '.join(names)}")
            for name in dict.fromkeys(given)
            if name not in names
        ]
        faults += [
            Detail(code="REPEATED_PARAMETER", pointer=f"?{name}", message="expected the parameter once")
            for name in names
            if given.count(name) > 1
        ]
        if faults:
            raise problems.invalid(faults)

    async def catch_up(self, request: Request) -> None:
        """Waits for the position a read names, on whatever process, and for no record to be half reduced.

        Raises Problem 400 or 503.
        """
        if (text := request.headers.get(POSITION)) is not None:
            await self._reach(text)
        await self.replica.whole()

    async def _reach(self, text: str) -> None:
        try:
            partition, offset = self._seal.open(text)
        except ValueError as fault:
            raise problems.bad_request("POSITION", POSITION, str(fault)) from None
        try:
            async with asyncio.timeout(WAIT_S):
                await self.replica.passed(partition, offset)
        except TimeoutError:
            raise problems.unavailable("expected to have reached this position by now") from None

    # --- writing -------------------------------------------------------------------------------------------------

    async def submit(self, record: Command, principal: Principal, response: Response) -> Outcome:
        """Puts a record on the log, and answers what the reduce made of it. Raises LogUnavailable."""
        outcome = await self.replica.submit(record, principal.name, traceparent=tracing.traceparent())
        partition = partition_of(record.zone, TOPICS["dispatch"].partitions)
        response.headers[POSITION] = self._seal.close(partition, self.replica.ledgers[partition].position - 1)
        return outcome

    async def moved_on(self, ledger: Ledger) -> None:
        """Returns once something more is reduced, or after a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MOMENT_S):
                await self.replica.passed(ledger.partition, ledger.position)

    # --- finding -------------------------------------------------------------------------------------------------

    def ledgers(self) -> Iterator[Ledger]:
        """All zones."""
        return iter(self.replica.ledgers.values())

    def past(self, principal: Principal, work: Work) -> PastReader:
        """What they may read of what is over, at that work's expense."""
        return PastReader(self._finished, principal, self.entitlements(principal), work, self.replica.ledgers)

    async def request(
        self,
        principal: Principal,
        request_id: str,
        *,
        own: bool = False,
        kinds: Sequence[Kind] = REQUESTS,
        work: Work | None = None,
    ) -> tuple[Ledger, TrackedRequest]:
        """A request they may see; with `own`, one that is theirs; where it is over with these parts of it alone.

        Raises Problem 404.
        """
        past = self.past(principal, work or self.work(principal))
        async for ledger in self._everywhere(lambda: past.of_request(kinds, request_id)):
            tracked = ledger.requests.get(request_id)
            if tracked is not None and self.sees_request(principal, ledger, tracked) and _own(own, principal, tracked):
                return ledger, tracked
        raise problems.not_found("request")

    async def order(
        self, principal: Principal, order_id: str, *, own: bool = False, work: Work | None = None
    ) -> tuple[Ledger, TrackedOrder]:
        """An order they may see; with `own`, on a request that is theirs. Raises Problem 404."""
        past = self.past(principal, work or self.work(principal))
        async for ledger in self._everywhere(lambda: past.of_order(order_id)):
            tracked = ledger.orders.get(order_id)
            if tracked is None or not self.sees(principal, ledger.audience_of(tracked.order)):
                continue
            if not own or owns(principal, ledger.requests[tracked.order.request_id]):
                return ledger, tracked
        raise problems.not_found("order")

    async def _everywhere(self, past: Callable[[], Awaitable[Ledger | None]]) -> AsyncIterator[Ledger]:
        """All zones, then the past: what leaves the one meanwhile is in the other."""
        await self.replica.whole()
        for ledger in self.ledgers():
            yield ledger
        if (found := await past()) is not None:
            yield found

    def sees_request(self, principal: Principal, ledger: Ledger, tracked: TrackedRequest) -> bool:
        """Whoever may see its current revision: who could see an earlier one has no right to what was added."""
        return self.sees(principal, ledger.audience_of(tracked.request))

    def sees_offer(self, principal: Principal, ledger: Ledger, tracked: TrackedOffer) -> bool:
        """The participant whose offer it is, and the operator who asked."""
        if principal.role == "participant":
            return tracked.offer.participant == principal.organisation
        request_id = tracked.offer.request_id or ""
        request = ledger.requests.get(request_id)
        if request is None:  # it has left since
            return principal.role == "operator" and principal.organisation == ledger.book.past.operator_of(request_id)
        return owns(principal, request)


def owns(principal: Principal, tracked: TrackedRequest) -> bool:
    """Whether a request is this operator's."""
    return principal.role == "operator" and tracked.request.operator == principal.organisation


def may_read(principal: Principal, participant: str) -> bool:
    """Whether what this participant declared or metered is theirs to read, where the site is: one that changes hands
    takes nothing along that its last participant said of it."""
    return reads_of(principal) in (None, participant)


def reads_of(principal: Principal) -> str | None:
    """The one participant whose declarations and readings `may_read` allows; None where it is everybody's."""
    return principal.organisation if principal.role == "participant" else None


def _own(wanted: bool, principal: Principal, tracked: TrackedRequest) -> bool:
    return not wanted or owns(principal, tracked)


def must_be_accepted(outcome: Outcome) -> None:
    """Raises Problem 409 or 422 for a record that the reduce did not accept; a repeat is fine."""
    if outcome.accepted or outcome.duplicate:
        return
    faults: list[Detail] = list(outcome.faults)
    if CODES[outcome.code].conflict:
        raise problems.conflict(faults)
    raise problems.invalid(faults)
