"""The reduce: one zone's partition of the dispatch stream in, its state and the accepted records out.

Deterministic: the state after an offset is a function of the records up to it, on every node and after every restart.
The only clock is the log's: the running maximum of the append times, in grid time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from typing import Any

from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.messages import (
    AreaRegistration,
    BaselineDeclaration,
    BaselineFixed,
    Clearing,
    DispatchOrder,
    DispatchRequest,
    DisputeRejected,
    FlexOffer,
    GridClock,
    OfferDecision,
    OfferWithdrawal,
    OrderResponse,
    Record,
    RequestCancellation,
    Settlement,
    SettlementDispute,
    ShiftConfirm,
    ShiftRelease,
    ShiftReserve,
    ShiftReserved,
    SiteRegistration,
    TimerFired,
    TreeHead,
)
from gridsignal_schemas.records import field_of, row_of
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import IllegalTransition, OfferState, RequestState
from gridsignal_services.access import NOBODY, Audience, Principal
from gridsignal_services.clock import EPOCH, grid_time
from gridsignal_services.ledger import (
    awarding,
    firing,
    fixing,
    offering,
    ordering,
    requesting,
    settlements,
    shifting,
    sites,
)
from gridsignal_services.ledger.announcements import Announcement, OfferKey
from gridsignal_services.ledger.book import KEPT, Book
from gridsignal_services.ledger.entry import Entry, OfferStanding, Outcome, audience_at_site
from gridsignal_services.ledger.forgetting import forget
from gridsignal_services.ledger.moves import end_offers
from gridsignal_services.ledger.offsets import Offsets
from gridsignal_services.ledger.ordering import audience_of_site
from gridsignal_services.ledger.pieces import Steps, in_one_go
from gridsignal_services.ledger.requesting import audience_of_request
from gridsignal_services.ledger.standing import Announced, seen_by
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedOrder, TrackedRequest, TrackedResponse
from gridsignal_services.ledger.tree import Tree
from gridsignal_services.ledger.writers import writer_fault

_RULES: dict[type[Record], Callable[[Book, Entry, Any], Outcome | Steps[Outcome]]] = {
    SiteRegistration: sites.register,
    AreaRegistration: sites.register_area,
    BaselineDeclaration: sites.declare,
    DispatchRequest: requesting.request,
    RequestCancellation: requesting.cancel,
    FlexOffer: offering.offer,
    OfferWithdrawal: offering.withdraw,
    OrderResponse: ordering.respond,
    DispatchOrder: ordering.order,
    OfferDecision: ordering.decision,
    Clearing: awarding.clear,
    TimerFired: firing.fire,
    BaselineFixed: fixing.fix,
    Settlement: settlements.settle,
    SettlementDispute: settlements.dispute,
    DisputeRejected: settlements.reject,
    ShiftReserve: shifting.reserve,
    ShiftReserved: shifting.reserved,
    ShiftConfirm: shifting.confirm,
    ShiftRelease: shifting.release,
}


class Ledger:
    """The meaning of one partition.

    Bounded: as the book and the tree are; `refused_offsets` takes one bit for each record.
    """

    def __init__(self, partition: int, kept: timedelta = KEPT) -> None:
        self.partition = partition
        self.book = Book(kept=kept)
        self.grid: GridClock | None = None
        self.position = 0
        """The next offset."""
        self.refused_offsets = Offsets()
        self.tree = Tree()
        """Over all records before `position`, refused ones, too."""
        self.forgotten: list[Book] = []
        """Requests that the last record made the book let go of, each as a book of its own; the caller takes them
        after each piece of the record: nobody finds them in the book any more."""

    @property
    def requests(self) -> dict[str, TrackedRequest]:
        return self.book.requests

    @property
    def offers(self) -> dict[OfferKey, TrackedOffer]:
        return self.book.offers

    @property
    def orders(self) -> dict[str, TrackedOrder]:
        return self.book.orders

    @property
    def responses(self) -> dict[tuple[str, str], TrackedResponse]:
        return self.book.responses

    @property
    def sites(self) -> dict[str, SiteRegistration]:
        return self.book.sites

    @property
    def baselines(self) -> dict[str, BaselineDeclaration]:
        return self.book.baselines

    @property
    def now(self) -> datetime | None:
        """The log clock in grid time; None before the first record."""
        return None if self.book.now == EPOCH else self.book.now

    def next_owed(self) -> Iterator[Announcement]:
        """Announcements that the owner has to write, oldest first, one after the other: there may be thousands."""
        return self.book.announcements.next_owed()

    def due_clearings(self, now: datetime) -> list[str]:
        """Requests that wait for a clearing, each operator's longest wait first and the operators in turn; not those
        that can't be decided any more."""
        return [request_id for request_id in self.book.waiting_in_turn() if self._can_be_decided(request_id, now)]

    def _can_be_decided(self, request_id: str, now: datetime) -> bool:
        tracked = self.book.requests[request_id]
        in_time = tracked.state is not RequestState.CLEARING or now <= tracked.request.decision_deadline
        return in_time and not self.book.announcements.owes_order_of(request_id)

    def offer_state(self, participant: str, offer_id: str) -> OfferStanding | None:
        """Where an offer stands; None for one the log does not hold."""
        if (tracked := self.book.offers.get((participant, offer_id))) is not None:
            return OfferStanding(tracked.state, tracked.offer.revision, tracked.receipt, tracked.codes)
        if (aside := offering.aside_of(self.book, (participant, offer_id))) is None:
            return None
        receipt = Receipt(offer_id=offer_id, revision=1, sha256=aside.digest, received_at=aside.received_at)
        return OfferStanding(OfferState.REJECTED, 1, receipt, aside.codes)

    def audience_of(self, record: Record) -> Audience:
        """Who may see a record that was accepted; nobody, for what is never delivered."""
        match row_of(record).seen_by:
            case "invited" if isinstance(record, DispatchRequest):
                return audience_of_request(record)
            case "invited":
                request_id = field_of(record, "request_id")
                tracked = self.book.requests.get(request_id)
                return self.book.past.audiences.get(request_id, NOBODY) if tracked is None else tracked.audience
            case "site":
                return audience_of_site(self.book, record)
            case "own":
                return audience_at_site(record)
            case _:
                return NOBODY

    def current(self, viewer: Principal) -> Iterator[tuple[Record, Audience]]:
        """The snapshot of the stream for an organisation: open requests, the decisions on them, orders as they stand.

        Of decisions and orders only those it may see, so that it costs by what is its own. All are of the moment of the
        call; each is put in full when its turn comes.
        """
        return map(self._in_full, seen_by(self.book, viewer))

    def _in_full(self, seen: Record | Announced) -> tuple[Record, Audience]:
        record = seen.in_full() if isinstance(seen, Announced) else seen
        return record, self.audience_of(record)

    def apply(self, entry: Entry) -> Outcome:
        """Reduces one record in one go. Never raises for what it says: it is then not accepted, with the reason."""
        return in_one_go(self.steps(entry))

    def steps(self, entry: Entry) -> Steps[Outcome]:
        """Reduces one record piece by piece; between the pieces others may read the book, and nothing else is reduced.

        Until the last piece is done `position` is that of this record. Never raises for what a record says, as `apply`.
        """
        try:
            outcome = yield from self._reduce(entry)
        except MemoryError:  # this node's trouble, and no other's
            raise
        except Exception as error:  # a defect, the same on every node: one record must not end them all
            outcome = Outcome(False, (fault("DEFECT", "", f"expected a rule for this, got {type(error).__name__}"),))
        self._pass(entry.offset, entry.leaf, is_head=isinstance(entry.record, TreeHead))
        if not outcome.accepted:
            self.refused_offsets.add(entry.offset)
        elif isinstance(entry.record, Clearing):
            self.tree.cleared_to = self.position
        return outcome

    def skip(self, offset: int, leaf: bytes) -> None:
        """Passes over a record that could not be decoded."""
        self._pass(offset, leaf, is_head=False)
        self.refused_offsets.add(offset)

    def _pass(self, offset: int, leaf: bytes, *, is_head: bool) -> None:
        self.position = offset + 1
        self.tree.append(leaf)
        if not is_head:
            self.tree.news_to = self.position

    def _reduce(self, entry: Entry) -> Steps[Outcome]:
        if isinstance(entry.record, GridClock):
            return self._set_clock(entry.record, entry.principal)
        self.book.now = max(self.book.now, grid_time(self.grid, entry.appended_us))
        self.book.principal = entry.principal
        self.forgotten = []
        yield from forget(self.book, self.forgotten)
        if problem := writer_fault(self.book, entry.record, entry.principal):
            return Outcome(False, (problem,))
        if isinstance(entry.record, TreeHead):
            wrong = self.tree.fault_of(entry.record, self.partition)
            return Outcome(wrong is None, () if wrong is None else (wrong,))
        rule = _RULES.get(type(entry.record))
        if rule is None:
            return Outcome(False, (fault("STRAY", "", f"{entry.record.record_name} has no place on this stream"),))
        try:
            ruled = rule(self.book, entry, entry.record)
            outcome = (yield from ruled) if isinstance(ruled, Generator) else ruled
        except IllegalTransition as illegal:
            outcome = Outcome(False, (fault("ILLEGAL_STATE", "", str(illegal)),))
        yield from end_offers(self.book)
        return outcome

    def _set_clock(self, grid: GridClock, principal: str) -> Outcome:
        if problem := writer_fault(self.book, grid, principal):
            return Outcome(False, (problem,))
        if self.grid is not None or self.position:
            return Outcome(False, (fault("CLOCK_SET", "", "expected the grid's clock as the first record, once"),))
        self.grid = grid
        return Outcome(True)
